"""A program's slowdown over the share of slow memory, from a few measured shares.

A polynomial without a constant over the share of slow pages, of the third degree where three shares or more
were measured: of a published predictor this form was within 10 % for most of 265 programs. How well it fits
this one is a question for a share that was left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hmexp.errors import MeasurementError

#: Terms of the polynomial.
MOST_TERMS: Final = 3


@dataclass(frozen=True)
class Slowdown:
    """How much longer a program takes with a share of slow memory.

    Parameters
    ----------
    share : float
        Part of its pages on slow memory.
    factor : float
        Its time as a multiple of that on DRAM alone.
    low, high : float
        95 % interval of the factor.
    """

    share: float
    factor: float
    low: float
    high: float


@dataclass(frozen=True)
class MeasuredTime:
    """What a program takes at one share: a time, or the inverse of a rate.

    Parameters
    ----------
    share : float
        Part of its pages on slow memory.
    median : float
        Median of the launches, in any unit.
    reach : float
        Half the width of its 95 % interval [natural logarithm].
    """

    share: float
    median: float
    reach: float


class SlowdownCurve:
    """The slowdown at every share, with an interval from those of the measured ones.

    Parameters
    ----------
    alone : MeasuredTime
        On DRAM alone.
    measured : sequence of MeasuredTime
        At shares of slow memory above 0, each another.

    Raises
    ------
    MeasurementError
        If there is no such share, or two are the same.
    """

    def __init__(self, alone: MeasuredTime, measured: Sequence[MeasuredTime]) -> None:
        shares = [each.share for each in measured]
        if not shares or len(set(shares)) < len(shares) or min(shares) <= 0:
            raise MeasurementError(
                "a slowdown needs measurements at shares of slow memory above 0, each another",
                "measure a pattern such as 1:1 beside 1:0",
            )
        self.alone, self.measured = alone, tuple(measured)
        self.terms = min(MOST_TERMS, len(shares))
        # Every value of the polynomial is a sum of the measured slowdowns with these weights.
        self._weights = np.linalg.pinv(_powers(np.array(shares), self.terms))

    def at(self, share: float) -> Slowdown:
        """The slowdown at a share."""
        weights = (_powers(np.array([share]), self.terms) @ self._weights)[0]
        factors = np.array([each.median / self.alone.median for each in self.measured])
        reaches = np.array([each.reach for each in self.measured])
        factor = 1.0 + float(weights @ (factors - 1.0))
        # To first order; what DRAM alone is off by moves all of them at once.
        own = float(((weights * factors * reaches) ** 2).sum())
        common = float(weights @ factors) * self.alone.reach
        reach = math.sqrt(own + common**2)
        return Slowdown(share, factor, factor - reach, factor + reach)


def _powers(shares: npt.NDArray[np.float64], terms: int) -> npt.NDArray[np.float64]:
    return np.stack([shares**power for power in range(1, terms + 1)], axis=1)
