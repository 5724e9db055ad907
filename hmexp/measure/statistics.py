"""What a handful of samples says: median, spread and an interval, over samples or over launches."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from hmexp.errors import MeasurementError
from hmexp.measure.launch_effects import INDEPENDENT, LaunchEffects

_RESAMPLES: Final = 2000
_SEED: Final = 20201
#: Logarithm of the largest number that an interval may end with.
_MOST: Final = 700.0
#: An interval whose ends are further apart than this factor says nothing.
ABSURD: Final = 9.0
TOO_FEW: Final = "too few launches to say"


@dataclass(frozen=True)
class Summary:
    """Samples in a few numbers, all in the unit of the samples.

    Parameters
    ----------
    n : int
        How many samples there are.
    median, minimum, maximum : float
        Of the samples; the median of several launches is that of their medians.
    mad : float
        Median absolute deviation of the samples from the median, not scaled.
    ci_low, ci_high : float or None
        95 % interval of the median: None where there are too few launches, or samples, to say.
    interval_over : str
        What the interval covers: ``samples`` is the spread within one process alone, ``launches`` the
        drift from one process and allocation to the next, too.
    """

    n: int
    median: float
    ci_low: float | None
    ci_high: float | None
    mad: float
    minimum: float
    maximum: float
    interval_over: Literal["samples", "launches"] = "samples"

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends of the interval; None where there is none."""
        return None if self.ci_low is None or self.ci_high is None else (self.ci_low, self.ci_high)

    @property
    def half_width(self) -> float:
        """Half of the interval, as a part of the median; infinite where there is none."""
        if self.interval is None:
            return math.inf
        low, high = self.interval
        return (high - low) / 2 / self.median


def summarise(samples: npt.ArrayLike) -> Summary:
    """Summarise the samples of one launch.

    The interval is the percentile bootstrap of B. Efron, R. Tibshirani, "An Introduction to the
    Bootstrap", 1993, with a fixed seed: the same samples always give the same interval. One sample has
    none.

    Parameters
    ----------
    samples : array_like
        One value or more, shape ``(n,)``.

    Raises
    ------
    MeasurementError
        If there is no sample, or one is not a finite positive number.
    """
    values = _checked(samples)
    if values.size == 1:
        return _summary(values, float(values[0]), None, None, "samples")
    generator = np.random.default_rng(_SEED)
    resampled = np.sort(_resampled_medians(values, _RESAMPLES, generator))
    # As numpy.percentile has it, which needs as much as numpy.median.
    low, high = np.interp(
        [0.025 * (_RESAMPLES - 1), 0.975 * (_RESAMPLES - 1)], np.arange(_RESAMPLES), resampled
    )
    return _summary(values, float(median_of(values)), float(low), float(high), "samples")


def summarise_launches(
    launches: Sequence[npt.ArrayLike], effects: LaunchEffects = INDEPENDENT, group: str = ""
) -> Summary:
    """Summarise samples of several launches: fresh processes with fresh pages.

    Launches differ from one another by more than samples within one do, so the interval is over the
    medians of the launches: that of Student's t of their logarithms, since what disturbs a launch
    multiplies its speed. Where launches of the run are alike in their order or have two states, `effects`
    says so, and widens it (see `hmexp.measure.launch_effects`).

    Parameters
    ----------
    launches : sequence of array_like
        The samples of each launch, in the order in which they were made; of one launch alone this is
        `summarise`.
    effects : LaunchEffects
        What the launches of the whole run say of one another.
    group : str
        Whose spread is the least that is believed, where there are such effects: the operation.

    Raises
    ------
    MeasurementError
        If a launch has no sample, or one that is not a finite positive number.
    """
    values = [_checked(samples) for samples in launches]
    if len(values) == 1:
        return summarise(values[0])
    if not values:
        raise MeasurementError("there are no launches to summarise")
    medians = np.array([float(median_of(samples)) for samples in values])
    middle = float(median_of(medians))
    logs = np.log(medians)
    spread = max(float(np.std(logs, ddof=1)), effects.spreads.get(group, 0.0))
    reach = effects.critical_value(len(values)) * spread / math.sqrt(len(values))
    # The mean of a few logarithms may lie further from their median than the interval reaches.
    low = min(middle, math.exp(max(float(logs.mean()) - reach, -_MOST)))
    high = max(middle, math.exp(min(float(logs.mean()) + reach, _MOST)))
    return _summary(np.concatenate(values), middle, low, high, "launches")


def say_interval(summary: Summary, number: Callable[[float], str], between: str = " to ") -> str:
    """Both ends of an interval in words; `TOO_FEW` where it says nothing.

    Parameters
    ----------
    summary : Summary
        Whose interval.
    number : callable
        Writes a value.
    between : str
        What stands between the ends.
    """
    if summary.interval is None or summary.interval[1] > ABSURD * summary.interval[0]:
        return TOO_FEW if summary.interval_over == "launches" else TOO_FEW.replace("launches", "samples")
    low, high = summary.interval
    return f"{number(low)}{between}{number(high)}"


def median_of(values: npt.ArrayLike, axis: int | None = None) -> npt.NDArray[np.float64]:
    """Median of values that are all numbers.

    As `numpy.median`, which loads all of `numpy.ma` for values that are masked: half as much again of
    what a worker needs of numpy, for every launch.

    Parameters
    ----------
    values : array_like
        No NaN among them, and at least one.
    axis : int, optional
        Along which; over all if not given.
    """
    array = np.asarray(values, dtype=np.float64)
    array = np.sort(array.ravel() if axis is None else array, axis=-1 if axis is None else axis)
    where = -1 if axis is None else axis
    count = array.shape[where]
    middle = array.take([(count - 1) // 2, count // 2], axis=where)
    return np.asarray(middle.mean(axis=where))


def _resampled_medians(
    values: npt.NDArray[np.float64], times: int, generator: np.random.Generator
) -> npt.NDArray[np.float64]:
    drawn = values[generator.integers(0, values.size, size=(times, values.size))]
    return median_of(drawn, axis=1)


def _summary(
    values: npt.NDArray[np.float64],
    median: float,
    low: float | None,
    high: float | None,
    over: Literal["samples", "launches"],
) -> Summary:
    return Summary(
        n=int(values.size),
        median=median,
        ci_low=low,
        ci_high=high,
        mad=float(median_of(np.abs(values - median))),
        minimum=float(values.min()),
        maximum=float(values.max()),
        interval_over=over,
    )


def _checked(samples: npt.ArrayLike) -> npt.NDArray[np.float64]:
    values = np.asarray(samples, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise MeasurementError(f"there are no samples to summarise (shape {values.shape})")
    if not (np.isfinite(values).all() and (values > 0).all()):
        raise MeasurementError(f"a sample is not a finite positive number: {values.tolist()}")
    return values
