"""Measuring the launches that a run directory does not have yet, in rounds."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

from hmexp.experiment.joining import join_launches, with_baseline
from hmexp.experiment.launcher import launch
from hmexp.experiment.plan import Plan
from hmexp.experiment.point import Point
from hmexp.experiment.progress import Progress, ProgressDisplay
from hmexp.experiment.store import LAUNCHES, RunDirectory
from hmexp.experiment.worker import Task
from hmexp.memory.emulation import Emulation


def measure_rest(
    plan: Plan,
    directory: RunDirectory,
    emulation: Emulation | None,
    display: ProgressDisplay,
    say: Callable[[str], None],
) -> None:
    """Measure what is missing, and store every launch at once and every point when it is complete.

    Each round has one launch of every point, in an order of its own: a drift of the machine neither looks
    like an effect of the parameters nor falls on all launches of one point. A launch that fails makes its
    point failed, and ends it for this try.
    """
    finished = {record["point_id"]: record for record in directory.records()}
    finished = {id_: record for id_, record in finished.items() if record["status"] in ("ok", "skipped")}
    rest = _Rest(plan, directory, finished)
    order = random.Random(plan.parameters.seed)
    todo = []
    for number in range(plan.parameters.launches):
        one_round = [point for point in plan.points if rest.lacks(point, number)]
        order.shuffle(one_round)
        todo += [(point, number) for point in one_round]
    done, failed = plan.launches - len(todo), 0
    rest.settle()
    told: set[str] = set()
    started, measured = time.monotonic(), 0
    for left, (point, number) in zip(range(len(todo), 0, -1), todo, strict=True):
        if rest.ended(point):
            continue
        pace = (time.monotonic() - started) / measured if measured else None
        seconds = None if pace is None else pace * left
        display.show(Progress(done + len(todo) - left, plan.launches, failed, seconds, str(point)))
        task = Task(point, emulation, False, plan.dram_nodes, plan.cpus_of(point), number)
        record = launch(task, plan.parameters.timeout_seconds)
        measured += 1
        directory.append(record, LAUNCHES)
        rest.add(point, number, record)
        rest.settle()
        failed += record["status"] == "failed"
        if record["status"] != "ok" and record["reason"] not in told:
            # A placer that is not here would say so again for each of its points.
            told.add(record["reason"])
            say(f"{record['status']}: {point}: {record['reason']}")
    rest.settle(all_of_them=True)
    display.show(Progress(plan.launches, plan.launches, failed, 0.0, ""))


class _Rest:
    """What is there of the points that are not finished."""

    def __init__(self, plan: Plan, directory: RunDirectory, finished: dict[str, dict[str, Any]]) -> None:
        self.plan, self.directory, self.finished = plan, directory, dict(finished)
        self.points = {point.id: point for point in plan.points if point.id not in finished}
        stored = directory.launches()
        # Launches that failed in an earlier try are measured again.
        self.launches: dict[str, dict[int, dict[str, Any]]] = {
            id_: {n: record for n, record in stored.get(id_, {}).items() if record["status"] == "ok"}
            for id_ in self.points
        }

    def lacks(self, point: Point, number: int) -> bool:
        return point.id in self.points and number not in self.launches[point.id]

    def add(self, point: Point, number: int, record: dict[str, Any]) -> None:
        self.launches[point.id][number] = record

    def ended(self, point: Point) -> bool:
        """Whether a launch of it has failed in this try."""
        return any(record["status"] != "ok" for record in self.launches.get(point.id, {}).values())

    def settle(self, all_of_them: bool = False) -> None:
        """Store the points that are complete.

        One waits for its all-DRAM point, to hold the multiple of it; its launches are stored meanwhile.
        """
        complete = [p for p in self.points.values() if self._complete(p)]
        complete.sort(key=lambda point: point.id in self.plan.baselines)
        for point in complete:
            baseline_id = self.plan.baselines.get(point.id)
            if baseline_id in self.points and not all_of_them:
                continue
            launches = [record for _, record in sorted(self.launches[point.id].items())]
            record = join_launches(launches, added=point.id in self.plan.added, baseline_id=baseline_id)
            record = with_baseline(record, self.finished.get(baseline_id or ""))
            self.directory.append(record)
            self.finished[point.id] = record
            del self.points[point.id]

    def _complete(self, point: Point) -> bool:
        return self.ended(point) or len(self.launches[point.id]) == point.launches
