"""In which order launches are made: in rounds, or as a budget of time lets them."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence

from hmexp.experiment.pace import Pace
from hmexp.experiment.pending import Pending
from hmexp.experiment.point import Point
from hmexp.measure.launches import MOST_LAUNCHES
from hmexp.measure.measurement import UNSTABLE
from hmexp.measure.statistics import summarise_launches
from hmexp.sweep.plan import Plan

#: Why a launch was made.
PLANNED, REPEATED, RETRIED, SPARE = "planned", "repeat", "unstable", "budget"
Step = tuple[Point, int, str]


def in_rounds(plan: Plan, pending: Pending) -> list[Step]:
    """All launches that are lacking, a round after the other, each in an order of its own."""
    order = random.Random(plan.parameters.seed)
    steps: list[Step] = []
    for number in range(plan.parameters.launches + plan.parameters.repeat):
        one_round = [point for point in plan.points if pending.lacks(point, number)]
        order.shuffle(one_round)
        why = PLANNED if number < plan.parameters.launches else REPEATED
        steps += [(point, number, why) for point in one_round]
    return steps


def unstable(plan: Plan, pending: Pending) -> list[Point]:
    """Finished points whose interval is wider than was asked for."""
    found = []
    for point in plan.points:
        record = pending.finished.get(point.id, {})
        if record.get("status") == "ok":
            result = record["result"]
            width = (result["ci_high"] - result["ci_low"]) / 2 / result["median"]
            if width > (plan.parameters.precision or UNSTABLE):
                found.append(point)
    return found


class Budget:
    """The best use of a time: a launch of each point, coarse first, then of those that are known the least.

    A launch that would not end in time, by what others took, is not begun.

    Parameters
    ----------
    plan : Plan
        What is measured.
    pending : Pending
        What is missing of it.
    pace : Pace
        How long a launch takes of which there was none yet.
    deadline : float
        When the time is over [s of the monotonic clock].
    """

    def __init__(self, plan: Plan, pending: Pending, pace: Pace, deadline: float) -> None:
        self._plan, self._pending, self._pace, self._deadline = plan, pending, pace, deadline
        self._took: dict[tuple[str, int], float] = {}
        self._widths: dict[tuple[str, int], float] = {}

    def took(self, point: Point, seconds: float) -> None:
        """Learn how long a launch took, with its process."""
        key = (point.operation, point.size_bytes)
        self._took[key] = max(seconds, self._took.get(key, 0.0))

    def fits(self, point: Point) -> bool:
        """Whether a launch of a point should end in time."""
        known = self._took.get((point.operation, point.size_bytes))
        return time.monotonic() + (self._pace.of(point).high if known is None else known) <= self._deadline

    def steps(self) -> Iterator[Step]:
        """One launch after the other, each chosen by what those before it have shown."""
        order = random.Random(self._plan.parameters.seed)
        first = [point for point in self._plan.points if self._none(point)]
        order.shuffle(first)
        ranks = coarse_first(first, self._plan.dram_nodes)
        for point in sorted(first, key=ranks.__getitem__):
            if self.fits(point):
                yield point, 0, PLANNED
        while True:
            candidates = [point for point in self._plan.points if self._wanted(point) and self.fits(point)]
            if not candidates:
                return
            point = max(candidates, key=self._width)
            made = self._pending.launches[point.id]
            number = next(n for n in range(MOST_LAUNCHES + 1) if n not in made)
            yield point, number, PLANNED if number < point.launches else SPARE

    def _none(self, point: Point) -> bool:
        return point.id in self._pending.points and not self._pending.launches[point.id]

    def _wanted(self, point: Point) -> bool:
        if self._pending.failed(point):
            return False
        made = len(self._pending.launches.get(point.id, ()))
        # One without any did not fit in.
        return 0 < made < MOST_LAUNCHES and not (
            made >= self._pending.target(point) and self._width(point) <= self._plan.parameters.precision
        )

    def _width(self, point: Point) -> float:
        """The relative interval; of one launch nothing is known of how launches differ."""
        made = self._pending.launches[point.id]
        if len(made) < 2:
            return float("inf")
        key = (point.id, len(made))
        if key not in self._widths:
            self._widths[key] = summarise_launches(
                [record["result"]["samples"] for record in made.values()]
            ).half_width
        return self._widths[key]


def coarse_first(points: Sequence[Point], dram_nodes: Sequence[int]) -> dict[Point, int]:
    """The rank of each point: the ends of the axis of ratios, the middle, the middles of what is between."""
    shares = {point: point.parsed_pattern.share(dram_nodes) for point in points}
    axis = sorted(set(shares.values()))
    ordered = dict.fromkeys([0, len(axis) - 1])
    parts = [(0, len(axis) - 1)]
    while parts:
        low, high = parts.pop(0)
        if high - low > 1:
            middle = (low + high) // 2
            ordered[middle] = None
            parts += [(low, middle), (middle, high)]
    ranks = {axis[index]: rank for rank, index in enumerate(ordered)} if axis else {}
    return {point: ranks[share] for point, share in shares.items()}
