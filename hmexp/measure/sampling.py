"""How many samples a measurement takes, and how long one lasts."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hmexp.errors import ParameterError
from hmexp.measure.stopping import StopRule


@dataclass(frozen=True)
class Sampling:
    """How a launch is sampled.

    Parameters
    ----------
    samples : int
        How many samples, at least.
    seconds : float
        How long one should last, at least [s].
    precision : float
        More samples are taken until half the width of the interval is at most this part of the median;
        0: `samples` are taken, and no more.
    most : int, optional
        The cap on them; twice `samples` if not given.
    """

    samples: int = 10
    seconds: float = 0.05
    precision: float = 0.0
    most: int | None = None

    def rule(self) -> StopRule:
        """Make the stop rule, if these values can give a number worth having.

        Raises
        ------
        ParameterError
            Naming the value and the range.
        """
        rule = StopRule.of(self.samples, self.precision, self.most)
        if isinstance(self.seconds, bool) or not isinstance(self.seconds, int | float):
            raise ParameterError(f"sample_seconds {self.seconds!r} is not a number")
        if not 0.001 <= self.seconds <= 60:
            raise ParameterError(
                f"sample_seconds {self.seconds} is outside 0.001..60",
                "shorter samples measure the clock and the scheduler, not the memory",
            )
        return replace(rule, sample_seconds=float(self.seconds))

    @property
    def nanoseconds(self) -> float:
        """How long a sample should last, at least [ns]."""
        return self.seconds * 1e9
