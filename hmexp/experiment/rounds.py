"""The launches that a run directory does not have yet: in rounds, or within a budget of time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic

import msgspec

from hmexp.experiment.backlog import Backlog
from hmexp.experiment.launcher import Launch, launch
from hmexp.experiment.progress import Progress, ProgressDisplay
from hmexp.experiment.protocol import Experiment, P, count_launches
from hmexp.experiment.schedule import (
    PLANNED,
    REPEATED,
    RETRIED,
    SPARE,
    Budget,
    Chooser,
    Clock,
    Search,
    Step,
    in_rounds,
    unstable,
)
from hmexp.experiment.task import in_shape
from hmexp.measure.launches import MOST_LAUNCHES
from hmexp.memory.emulation import Emulation
from hmexp.store.parts import BudgetRecord, SearchRecord
from hmexp.store.run import RunDirectory

#: Points that a sentence names.
_NAMED: Final = 3


@dataclass(frozen=True)
class Watchers:
    """Who follows a run.

    Parameters
    ----------
    display : ProgressDisplay
        Shows how far it is.
    say : callable
        Receives what a person should know.
    """

    display: ProgressDisplay
    say: Callable[[str], None] = print


def measure_rest(
    plan: Experiment[P],
    directory: RunDirectory,
    emulation: Emulation | None,
    watchers: Watchers,
    deadline: float | None = None,
    make: Launch | None = None,
) -> None:
    """Measure what is missing, and store every launch at once and every point when it is complete.

    Each round has one launch of every point, in an order of its own: a drift of the machine neither looks
    like an effect of the parameters nor falls on all launches of one point. A launch that fails makes its
    point failed, and ends it for this try. With a `deadline` [s of the monotonic clock] launches are made as
    `Budget` says instead. After that, points whose interval is too wide are retried, if that was asked for.
    `make` makes a launch on another machine; without it, it is a fresh process of this one.
    """
    backlog = Backlog(plan, directory, watchers.say)
    work = _Work(plan, directory, emulation, watchers, backlog, make)
    backlog.settle()
    if deadline is None:
        todo = in_rounds(plan, backlog)
        work.total = max(count_launches(plan), len(todo))
        work.done = work.total - len(todo)
        work.measure(todo, left=len(todo))
        backlog.settle(short=True)
        _retry(plan, backlog, work)
    else:
        work.done = sum(len(found) for found in backlog.launches.values())
        work.total = count_launches(plan)
        if backlog.points:
            budget = Budget(plan, backlog, Clock(plan.estimate(), deadline))
            work.measure(budget.steps(), chooser=budget)
        backlog.settle(short=True)
        _report_rest(plan, backlog, directory, watchers.say)
    # What did not fit into the time is not done, however many launches others had beyond those asked for.
    total = work.total if deadline is None else work.done + _missing(plan, backlog)
    watchers.display.show(Progress(total if deadline is None else work.done, total, work.failed, 0.0, ""))


def measure_chosen(
    plan: Experiment[P],
    directory: RunDirectory,
    emulation: Emulation | None,
    watchers: Watchers,
    seek: Callable[[Backlog[P], float | None], Search[P]],
    deadline: float | None = None,
) -> SearchRecord:
    """Make the launches that a search asks for, and store every point that it looked at.

    Parameters
    ----------
    plan, directory, emulation, watchers, deadline
        As for `measure_rest`.
    seek : callable
        Makes the search, of what the run directory has and of the deadline.

    Returns
    -------
    SearchRecord
        How it ended.
    """
    backlog = Backlog(plan, directory, watchers.say)
    search = seek(backlog, deadline)
    work = _Work(plan, directory, emulation, watchers, backlog, total=search.most_launches)
    work.done = sum(len(found) for found in backlog.launches.values())
    work.measure(search.steps(), chooser=search)
    backlog.settle(short=True)
    watchers.display.show(Progress(work.done, work.done, work.failed, 0.0, ""))
    return search.record()


@dataclass
class _Work(Generic[P]):
    """Launches, one after the other."""

    plan: Experiment[P]
    directory: RunDirectory
    emulation: Emulation | None
    watchers: Watchers
    backlog: Backlog[P]
    make: Launch | None = None
    done: int = 0
    total: int = 0
    failed: int = 0
    said: set[str] = field(default_factory=set)

    def measure(self, steps: Iterable[Step[P]], left: int = 0, chooser: Chooser[P] | None = None) -> None:
        """Make launches; `left` of them, if that is known, for the time that is left."""
        started, measured = time.monotonic(), 0
        for point, number, why in steps:
            left -= 1
            self.done += 1
            if self.backlog.failed(point):
                continue
            seconds = (time.monotonic() - started) / measured * (left + 1) if measured and left >= 0 else None
            self.total = max(self.total, self.done)
            self.watchers.display.show(Progress(self.done - 1, self.total, self.failed, seconds, str(point)))
            if why == SPARE:
                self.backlog.reopen([point])
            begun = time.monotonic()
            self._launch(point, number, why)
            measured += 1
            if chooser is not None:
                chooser.took(point, time.monotonic() - begun)
            if why in (PLANNED, REPEATED):
                self.backlog.settle()

    def _launch(self, point: P, number: int, why: str) -> None:
        task = in_shape(self.plan.task(point, self.emulation, number), self.directory.run.shapes)
        record = (self.make or launch)(task, self.plan.options.timeout_seconds)
        record = msgspec.structs.replace(record, purpose=why)
        self.directory.append(record)
        self.backlog.add(point, number, record)
        self.failed += record.status == "failed"
        if record.status != "ok" and record.reason not in self.said:
            # A placer that is not here would repeat the message for each of its points.
            self.said.add(record.reason or "")
            self.watchers.say(f"{record.status}: {point}: {record.reason}")


def _retry(plan: Experiment[P], backlog: Backlog[P], work: _Work[P]) -> None:
    """Rounds of launches of the points whose interval is too wide; retries of earlier tries count."""
    most = plan.options.retry_unstable
    if not most:
        return
    order = random.Random(plan.options.seed)
    while True:
        wide = [point for point in unstable(plan, backlog) if not backlog.failed(point)]
        backlog.reopen(wide)
        steps: list[Step[P]] = []
        for point in wide:
            made = backlog.launches.get(point.id, {})
            retries = sum(record.purpose == RETRIED for record in made.values())
            if made and retries < most and len(made) < MOST_LAUNCHES:
                steps.append((point, max(made) + 1, RETRIED))
        if not steps:
            backlog.settle(short=True)  # a retry that was made just before a kill
            break
        order.shuffle(steps)
        names = _name([point for point, _, _ in steps])
        work.watchers.say(f"Retrying {names}: the interval is wider than was asked for.")
        work.total = work.done + len(steps)
        work.measure(steps, left=len(steps))
        backlog.settle(short=True)
    if wide:
        work.watchers.say(f"Still unstable after {most} retries: {_name(wide)}.")


def _report_rest(
    plan: Experiment[P], backlog: Backlog[P], directory: RunDirectory, say: Callable[[str], None]
) -> None:
    without = [point for point in plan.points if point.id in backlog.points]
    fewer = [
        point for point in plan.points
        if 0 < len(backlog.launches.get(point.id, ())) < backlog.target(point) and not backlog.failed(point)
    ]  # fmt: skip
    asked = plan.options.budget
    left = BudgetRecord(
        asked=asked,
        not_measured=tuple(point.id for point in without),
        fewer_launches=tuple(point.id for point in fewer),
    )
    directory.update(msgspec.structs.replace(directory.run, budget=left))
    if without:
        say(f"Not measured within {asked}: {_name(without)}.")
    if fewer:
        say(f"With fewer launches than asked for: {_name(fewer)}.")
    if without or fewer:
        say("Run the same command again to measure the rest, with a new budget or without one.")


def _missing(plan: Experiment[P], backlog: Backlog[P]) -> int:
    """How many launches that were asked for were not made."""
    made = {point.id: len(backlog.launches.get(point.id, ())) for point in plan.points}
    return sum(
        max(0, backlog.target(point) - made[point.id])
        for point in plan.points
        if point.id in backlog.points and not backlog.failed(point)
    )


def _name(points: Sequence[P]) -> str:
    more = f" and {len(points) - _NAMED} more" if len(points) > _NAMED else ""
    return f"{len(points)} points ({'; '.join(map(str, points[:_NAMED]))}{more})"
