"""Measuring the launches that a run directory does not have yet: in rounds, or within a budget of time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from hmexp.experiment.launcher import launch
from hmexp.experiment.pace import find_pace
from hmexp.experiment.pending import Pending
from hmexp.experiment.point import Point
from hmexp.experiment.progress import Progress, ProgressDisplay
from hmexp.experiment.schedule import PLANNED, REPEATED, RETRIED, SPARE, Budget, Step, in_rounds, unstable
from hmexp.experiment.worker import Task
from hmexp.measure.launches import MOST_LAUNCHES
from hmexp.memory.emulation import Emulation
from hmexp.store.run import LAUNCHES, RunDirectory
from hmexp.sweep.plan import Plan

#: Points that a sentence names.
_NAMED: Final = 3


def measure_rest(
    plan: Plan,
    directory: RunDirectory,
    emulation: Emulation | None,
    display: ProgressDisplay,
    say: Callable[[str], None],
    deadline: float | None = None,
) -> None:
    """Measure what is missing, and store every launch at once and every point when it is complete.

    Each round has one launch of every point, in an order of its own: a drift of the machine neither looks
    like an effect of the parameters nor falls on all launches of one point. A launch that fails makes its
    point failed, and ends it for this try. With a `deadline` [s of the monotonic clock] launches are made as
    `Budget` says instead. After that, points whose interval is too wide are retried, if that was asked for.
    """
    pending = Pending(plan, directory, say)
    work = _Work(plan, directory, emulation, display, say, pending)
    pending.settle()
    if deadline is None:
        todo = in_rounds(plan, pending)
        work.total = max(plan.launches, len(todo))
        work.done = work.total - len(todo)
        work.measure(todo, left=len(todo))
        pending.settle(short=True)
        _retry(plan, pending, work, say)
    else:
        made = sum(len(found) for found in pending.launches.values())
        work.total, work.done = plan.launches, made
        budget = Budget(plan, pending, find_pace(plan), deadline) if pending.points else None
        if budget is not None:
            work.measure(budget.steps(), budget=budget)
        pending.settle(short=True)
        _tell_rest(plan, pending, directory, say)
    display.show(Progress(work.total, work.total, work.failed, 0.0, ""))


@dataclass
class _Work:
    """Launches, one after the other."""

    plan: Plan
    directory: RunDirectory
    emulation: Emulation | None
    display: ProgressDisplay
    say: Callable[[str], None]
    pending: Pending
    done: int = 0
    total: int = 0
    failed: int = 0
    told: set[str] = field(default_factory=set)

    def measure(self, steps: Iterable[Step], left: int = 0, budget: Budget | None = None) -> None:
        """Make launches; `left` of them, if that is known, for the time that is left."""
        started, measured = time.monotonic(), 0
        for point, number, why in steps:
            left -= 1
            self.done += 1
            if self.pending.failed(point):
                continue
            seconds = (time.monotonic() - started) / measured * (left + 1) if measured and left >= 0 else None
            self.total = max(self.total, self.done)
            self.display.show(Progress(self.done - 1, self.total, self.failed, seconds, str(point)))
            if why == SPARE:
                self.pending.reopen([point])
            begun = time.monotonic()
            self._launch(point, number, why)
            measured += 1
            if budget is not None:
                budget.took(point, time.monotonic() - begun)
            if why in (PLANNED, REPEATED):
                self.pending.settle()

    def _launch(self, point: Point, number: int, why: str) -> None:
        task = Task(point, self.emulation, False, self.plan.dram_nodes, self.plan.cpus_of(point), number)
        record = launch(task, self.plan.parameters.timeout_seconds) | {"purpose": why}
        self.directory.append(record, LAUNCHES)
        self.pending.add(point, number, record)
        self.failed += record["status"] == "failed"
        if record["status"] != "ok" and record["reason"] not in self.told:
            # A placer that is not here would say so again for each of its points.
            self.told.add(record["reason"])
            self.say(f"{record['status']}: {point}: {record['reason']}")


def _retry(plan: Plan, pending: Pending, work: _Work, say: Callable[[str], None]) -> None:
    """Rounds of launches of the points whose interval is too wide; retries of earlier tries count."""
    if not plan.parameters.retry_unstable:
        return
    order = random.Random(plan.parameters.seed)
    while True:
        wide = [point for point in unstable(plan, pending) if not pending.failed(point)]
        pending.reopen(wide)
        steps = []
        for point in wide:
            made = pending.launches.get(point.id, {})
            retries = sum(record.get("purpose") == RETRIED for record in made.values())
            if made and retries < plan.parameters.retry_unstable and len(made) < MOST_LAUNCHES:
                steps.append((point, max(made) + 1, RETRIED))
        if not steps:
            pending.settle(short=True)  # a retry that was made just before a kill
            break
        order.shuffle(steps)
        say(f"Retrying {_name([point for point, _, _ in steps])}: the interval is wider than was asked for.")
        work.total = work.done + len(steps)
        work.measure(steps, left=len(steps))
        pending.settle(short=True)
    if wide:
        say(f"Still unstable after {plan.parameters.retry_unstable} retries: {_name(wide)}.")


def _tell_rest(plan: Plan, pending: Pending, directory: RunDirectory, say: Callable[[str], None]) -> None:
    without = [point for point in plan.points if point.id in pending.points]
    fewer = [
        point for point in plan.points
        if 0 < len(pending.launches.get(point.id, ())) < pending.target(point) and not pending.failed(point)
    ]  # fmt: skip
    directory.update(
        budget={
            "asked": plan.parameters.budget,
            "not_measured": [point.id for point in without],
            "fewer_launches": [point.id for point in fewer],
        }
    )
    if without:
        say(f"Not measured within {plan.parameters.budget}: {_name(without)}.")
    if fewer:
        say(f"With fewer launches than asked for: {_name(fewer)}.")
    if without or fewer:
        say("The same command again goes on from here, with a new budget or without one.")


def _name(points: Sequence[Point]) -> str:
    more = f" and {len(points) - _NAMED} more" if len(points) > _NAMED else ""
    return f"{len(points)} points ({'; '.join(map(str, points[:_NAMED]))}{more})"
