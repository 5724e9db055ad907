"""When a launch has samples enough."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from hmexp.errors import ParameterError
from hmexp.measure.statistics import summarise
from hmexp.store.stop import Stop

Stopped = Literal["fixed", "precision", "cap", "time"]

MOST_SAMPLES: Final = 100_000
#: No clock and scheduler give an interval narrower than this.
FINEST: Final = 1e-5
#: Samples that last so many times what was asked for are long: one pass over the region takes that time.
_LONG: Final = 2.0


@dataclass(frozen=True)
class StopRule:
    """How many samples a launch takes.

    Whoever stops when an interval happens to be narrow reports intervals that are too narrow. That
    is limited here in three ways: the least number of samples is taken before the first look; the
    number doubles between looks, so that there are few of them; and the interval that is reported of
    several launches is over the launches, and not the one that was looked at.

    Parameters
    ----------
    samples : int
        The least number; the number, if `precision` is 0.
    precision : float
        Half the width of the 95 % interval, as a part of the median, that is enough; 0 to take
        `samples` and not look.
    most_samples : int
        The cap: no more are taken, whatever the interval.
    sample_seconds : float
        How long a sample was asked to last. Long ones average as much as several: of those, beyond the least
        number, no more are taken than fit into the time of `most_samples` such as were asked for [s].
    """

    samples: int = 10
    precision: float = 0.0
    most_samples: int = MOST_SAMPLES
    sample_seconds: float = float("inf")

    @classmethod
    def of(cls, samples: int, precision: float = 0.0, most_samples: int | None = None) -> StopRule:
        """The rule, refused if it cannot be used; without `most_samples` the cap is twice `samples`.

        Raises
        ------
        ParameterError
            Naming the value and the range.
        """
        if isinstance(samples, bool) or not isinstance(samples, int) or not 1 <= samples <= MOST_SAMPLES:
            raise ParameterError(f"samples {samples!r} is not a whole number from 1 to {MOST_SAMPLES}")
        if isinstance(precision, bool) or not isinstance(precision, int | float):
            raise ParameterError(f"precision {precision!r} is not a number")
        if precision != 0 and not FINEST <= precision < 1:
            raise ParameterError(
                f"precision {precision:g} is neither 0 nor between {FINEST:g} and 1",
                "0.01 stops at 1 % of the median; 0 takes the given number of samples",
            )
        most = min(2 * samples, MOST_SAMPLES) if most_samples is None else most_samples
        if isinstance(most, bool) or not isinstance(most, int) or not samples <= most <= MOST_SAMPLES:
            raise ParameterError(
                f"most_samples {most!r} is not a whole number from {samples}, which is samples, to "
                f"{MOST_SAMPLES}"
            )
        return cls(samples, float(precision), most)

    def take(
        self,
        take: Callable[[int], npt.NDArray[np.void]],
        value: Callable[[npt.NDArray[np.void]], npt.NDArray[np.float64]],
    ) -> tuple[npt.NDArray[np.void], Stopped]:
        """Take samples until there are enough.

        Parameters
        ----------
        take : callable
            Takes so many samples more, along the first axis.
        value : callable
            The quantity of each sample, whose interval is looked at.

        Returns
        -------
        samples : numpy.ndarray
            All of them.
        stopped : str
            ``precision``, ``cap`` or ``time``; ``fixed`` if there was no precision to reach.
        """
        began = time.perf_counter()
        taken = take(self.samples)
        if not self.precision:
            return taken, "fixed"
        while True:
            # The interval of one sample has no width: that is ignorance, not precision.
            if len(taken) > 1 and summarise(value(taken)).half_width <= self.precision:
                return taken, "precision"
            more = min(len(taken), self.most_samples - len(taken))
            if more <= 0:
                return taken, "cap"
            more = min(more, self._left(len(taken), time.perf_counter() - began))
            if more <= 0:
                return taken, "time"
            taken = np.concatenate([taken, take(more)])

    def _left(self, count: int, seconds: float) -> int:
        """How many more there is time for after so many, which took so long [s]."""
        each = seconds / count
        if each < _LONG * self.sample_seconds:
            return self.most_samples
        return int((self.most_samples * self.sample_seconds - seconds) / each)

    def to_record(self, stopped: Stopped) -> Stop:
        """The rule and why it ended, as they are stored."""
        return Stop(
            stopped=stopped,
            least=self.samples,
            most=self.most_samples if self.precision else self.samples,
            precision=self.precision,
        )
