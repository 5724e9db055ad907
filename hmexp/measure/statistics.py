"""What a handful of samples says: median, spread and an interval, over samples or over launches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from hmexp.errors import MeasurementError

_RESAMPLES: Final = 2000
_SEED: Final = 20201
#: Student's t for 95 %, both sides, by degrees of freedom from 1.
_STUDENT: Final = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086,
)  # fmt: skip
_NORMAL: Final = 1.960


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
    ci_low, ci_high : float
        Bootstrap 95 % interval of the median.
    interval_over : str
        What the interval covers: ``samples`` is the spread within one process alone, ``launches`` the
        drift from one process and allocation to the next, too.
    """

    n: int
    median: float
    ci_low: float
    ci_high: float
    mad: float
    minimum: float
    maximum: float
    interval_over: Literal["samples", "launches"] = "samples"

    @property
    def half_width(self) -> float:
        """Half of the interval, as a part of the median."""
        return (self.ci_high - self.ci_low) / 2 / self.median


def summarise(samples: npt.ArrayLike) -> Summary:
    """Summarise the samples of one launch.

    The interval is the percentile bootstrap of B. Efron, R. Tibshirani, "An Introduction to the
    Bootstrap", 1993, with a fixed seed: the same samples always give the same interval.

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
    generator = np.random.default_rng(_SEED)
    resampled = np.sort(_resampled_medians(values, _RESAMPLES, generator))
    # As numpy.percentile has it, which needs as much as numpy.median.
    low, high = np.interp(
        [0.025 * (_RESAMPLES - 1), 0.975 * (_RESAMPLES - 1)], np.arange(_RESAMPLES), resampled
    )
    return _summary(values, float(median_of(values)), float(low), float(high), "samples")


def summarise_launches(launches: Sequence[npt.ArrayLike]) -> Summary:
    """Summarise samples of several launches: fresh processes with fresh pages.

    Launches differ from one another by more than samples within one do, so the bootstrap is
    hierarchical: launches are drawn with replacement, then samples within each. Of so few launches
    the percentiles of the resampled medians cover too little (with three, no interval between the
    launches can cover the median more often than 75 % of the time), so the interval is the median
    times ``exp(+-t s)``: `s` is the standard deviation of the logarithms of the resampled medians, and
    `t` Student's for one degree of freedom less than there are launches (Efron and Tibshirani 1993,
    12.3 to 12.5; T. Hesterberg, "What Teachers Should Know About the Bootstrap", 2015, on few values).

    Parameters
    ----------
    launches : sequence of array_like
        The samples of each launch; of one launch alone this is `summarise`.

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
    count = len(values)
    middle = float(median_of([median_of(samples) for samples in values]))
    generator = np.random.default_rng(_SEED)
    # A launch that is drawn twice gets its samples drawn twice.
    drawn = np.array([_resampled_medians(samples, _RESAMPLES, generator) for samples in values])
    chosen = generator.integers(0, count, size=(_RESAMPLES, count))
    again = generator.integers(0, _RESAMPLES, size=(_RESAMPLES, count))
    spread = float(np.std(np.log(median_of(drawn[chosen, again], axis=1))))
    student = _STUDENT[count - 2] if count - 2 < len(_STUDENT) else _NORMAL + 2.5 / count
    reach = float(np.exp(min(student * spread, 700.0)))
    return _summary(np.concatenate(values), middle, middle / reach, middle * reach, "launches")


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
    low: float,
    high: float,
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
