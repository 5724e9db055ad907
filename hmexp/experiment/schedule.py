"""In which order launches are made: in rounds, as a budget of time lets them, or as a search chooses them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import Final, Generic, Protocol

from hmexp.experiment.backlog import Backlog
from hmexp.experiment.kinds import find_samples
from hmexp.experiment.pace import Span
from hmexp.experiment.protocol import Experiment, P
from hmexp.measure.launches import MOST_LAUNCHES
from hmexp.measure.measurement import UNSTABLE
from hmexp.measure.statistics import summarise_launches
from hmexp.store.parts import SearchRecord

#: Why a launch was made.
PLANNED: Final = "planned"
REPEATED: Final = "repeat"
RETRIED: Final = "unstable"
SPARE: Final = "budget"
Step = tuple[P, int, str]


class Chooser(Protocol[P]):
    """Who says which launch comes next, by what those before it have shown."""

    def steps(self) -> Iterator[Step[P]]:
        """One launch after the other."""

    def took(self, point: P, seconds: float) -> None:
        """Learn how long a launch took, with its process."""


class Search(Chooser[P], Protocol[P]):
    """A chooser that looks for something, and leaves out the points that cannot change what it finds."""

    @property
    def most_launches(self) -> int:
        """Launches that it takes at most."""

    def record(self) -> SearchRecord:
        """What it looked for, and how it ended."""


def in_rounds(plan: Experiment[P], backlog: Backlog[P]) -> list[Step[P]]:
    """All launches that are still to be made, a round after the other, each in an order of its own."""
    order = random.Random(plan.options.seed)
    steps: list[Step[P]] = []
    for number in range(max((backlog.target(point) for point in plan.points), default=0)):
        one_round = [point for point in plan.points if backlog.needs(point, number)]
        order.shuffle(one_round)
        steps += [(point, number, PLANNED if number < point.launches else REPEATED) for point in one_round]
    return steps


def unstable(plan: Experiment[P], backlog: Backlog[P]) -> list[P]:
    """Finished points whose interval is wider than was asked for."""
    wide = []
    for point in plan.points:
        record = backlog.finished.get(point.id)
        found = None if record is None else find_samples(record)
        if found is not None and found.ci_low is not None and found.ci_high is not None:
            width = (found.ci_high - found.ci_low) / 2 / found.median
            if width > (plan.options.precision or UNSTABLE):
                wide.append(point)
    return wide


class Clock(Generic[P]):
    """Which launches still end in time, by what others took.

    Parameters
    ----------
    estimate : callable
        How long a launch of a point takes of which there was none yet.
    deadline : float
        When the time is over [s of the monotonic clock].
    """

    def __init__(self, estimate: Callable[[P], Span], deadline: float) -> None:
        self._estimate, self._deadline = estimate, deadline
        self._took: dict[tuple[str, int], float] = {}

    def took(self, point: P, seconds: float) -> None:
        """Learn how long a launch took, with its process."""
        self._took[point.alike] = max(seconds, self._took.get(point.alike, 0.0))

    def fits(self, point: P) -> bool:
        """Whether a launch of a point should end in time."""
        known = self._took.get(point.alike)
        return time.monotonic() + (self._estimate(point).high if known is None else known) <= self._deadline


class Budget(Generic[P]):
    """The best use of a time: a launch of each point, coarse first, then of those that are known the least.

    A launch that would not end in time, by what others took, is not begun.

    Parameters
    ----------
    plan : Experiment
        What is measured.
    backlog : Backlog
        What is missing of it.
    clock : Clock
        Which launches still end in time.
    """

    def __init__(self, plan: Experiment[P], backlog: Backlog[P], clock: Clock[P]) -> None:
        self._plan, self._backlog = plan, backlog
        self.took, self.fits = clock.took, clock.fits
        self._widths: dict[tuple[str, int], float] = {}

    def steps(self) -> Iterator[Step[P]]:
        """One launch after the other, each chosen by what those before it have shown."""
        order = random.Random(self._plan.options.seed)
        first = [point for point in self._plan.points if self._none(point)]
        order.shuffle(first)
        ranks = self._plan.ranks(first)
        for point in sorted(first, key=lambda point: ranks[point.id]):
            if self.fits(point):
                yield point, 0, PLANNED
        while True:
            candidates = [point for point in self._plan.points if self._wanted(point) and self.fits(point)]
            if not candidates:
                return
            point = max(candidates, key=self._width)
            made = self._backlog.launches[point.id]
            number = next(n for n in range(MOST_LAUNCHES + 1) if n not in made)
            yield point, number, PLANNED if number < point.launches else SPARE

    def _none(self, point: P) -> bool:
        return point.id in self._backlog.points and not self._backlog.launches[point.id]

    def _wanted(self, point: P) -> bool:
        if self._backlog.failed(point):
            return False
        made = len(self._backlog.launches.get(point.id, ()))
        # One without any did not fit in; one of a kind that cannot be joined has enough.
        if not 0 < made < MOST_LAUNCHES:
            return False
        if made < self._backlog.target(point):
            return True
        return self._is_measured(point) and self._width(point) > self._plan.options.precision

    def _is_measured(self, point: P) -> bool:
        return len(self._samples(point)) == len(self._backlog.launches[point.id])

    def _samples(self, point: P) -> list[tuple[float, ...]]:
        """The samples of each launch that has some."""
        made = self._backlog.launches[point.id].values()
        return [found.samples for record in made if (found := find_samples(record)) is not None]

    def _width(self, point: P) -> float:
        """The relative interval; of one launch nothing is known of how launches differ."""
        made = self._backlog.launches[point.id]
        if len(made) < 2 or not self._is_measured(point):
            return float("inf")
        key = (point.id, len(made))
        if key not in self._widths:
            self._widths[key] = summarise_launches(self._samples(point)).half_width
        return self._widths[key]
