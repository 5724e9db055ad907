"""What a handful of samples says: median, spread and an interval."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hmexp.errors import MeasurementError

_RESAMPLES: Final = 2000
_SEED: Final = 20201


@dataclass(frozen=True)
class Summary:
    """Samples in a few numbers, all in the unit of the samples.

    Parameters
    ----------
    n : int
        How many samples there are.
    median, minimum, maximum : float
        Of the samples.
    mad : float
        Median absolute deviation from the median, not scaled.
    ci_low, ci_high : float
        Bootstrap 95 % interval of the median. It covers the spread within one process, not the
        drift from one launch to the next.
    """

    n: int
    median: float
    ci_low: float
    ci_high: float
    mad: float
    minimum: float
    maximum: float

    def to_record(self) -> dict[str, float]:
        """The summary as JSON-able values."""
        return asdict(self)


def summarise(samples: npt.ArrayLike) -> Summary:
    """Summarise samples.

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
    values = np.asarray(samples, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise MeasurementError(f"there are no samples to summarise (shape {values.shape})")
    if not (np.isfinite(values).all() and (values > 0).all()):
        raise MeasurementError(f"a sample is not a finite positive number: {values.tolist()}")
    median = float(np.median(values))
    generator = np.random.default_rng(_SEED)
    resampled = values[generator.integers(0, values.size, size=(_RESAMPLES, values.size))]
    low, high = np.percentile(np.median(resampled, axis=1), [2.5, 97.5])
    return Summary(
        n=int(values.size),
        median=median,
        ci_low=float(low),
        ci_high=float(high),
        mad=float(np.median(np.abs(values - median))),
        minimum=float(values.min()),
        maximum=float(values.max()),
    )
