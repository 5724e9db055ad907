"""The engine: measures what a run directory does not have yet of a plan."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec

from hmexp.errors import SweepError
from hmexp.experiment.backlog import Backlog
from hmexp.experiment.effects import settle_intervals
from hmexp.experiment.launcher import Launch, forking
from hmexp.experiment.progress import NoDisplay, Progress, ProgressDisplay
from hmexp.experiment.protocol import Experiment, P, count_launches
from hmexp.experiment.rounds import Watchers, measure_chosen, measure_rest
from hmexp.experiment.schedule import Search
from hmexp.experiment.shaping import settle_shapes
from hmexp.memory.emulation import Emulation
from hmexp.store.run import RunDirectory, now, open_run, resolve_results
from hmexp.system.settings import ending_in_order, repair


@dataclass(frozen=True)
class Outcome:
    """What became of a run.

    Parameters
    ----------
    path : Path
        The run directory.
    counts : mapping of str to int
        Points by status.
    failures : tuple of str
        One sentence for each failed point.
    skipped : tuple of str
        Why points were skipped, each reason once.
    """

    path: Path
    counts: Mapping[str, int]
    failures: tuple[str, ...]
    skipped: tuple[str, ...] = ()

    def require_complete(self) -> None:
        """Raise SweepError if a point failed, or none was measured."""
        if self.failures:
            total = sum(self.counts.values())
            raise SweepError(
                f"{len(self.failures)} of {total} points failed: " + "; ".join(self.failures[:3])
                + ("; ..." if len(self.failures) > 3 else ""),
                "the other points are kept; run the same command again to retry only the failed ones",
            )  # fmt: skip
        if not self.counts.get("ok"):
            raise SweepError(
                none_measured(self.counts, self.skipped),
                "remove what is in the way: `hmexp placers` and `hmexp doctor` say what it is"
                if sum(self.counts.values())
                else "the time was over before a point was finished: give a longer budget, or none",
            )


def none_measured(counts: Mapping[str, int], reasons: Iterable[str]) -> str:
    """The sentence for a run in which no point was measured.

    Parameters
    ----------
    counts : mapping of str to int
        Points by status.
    reasons : iterable of str
        Why they were not; the first of them are shown.
    """
    if not sum(counts.values()):
        return "no point was measured"
    what = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()) if count)
    first = list(dict.fromkeys(reason.splitlines()[0] for reason in reasons if reason))
    shown = "; ".join(first[:3]) + ("; ..." if len(first) > 3 else "")
    return f"no point was measured ({what})" + (f": {shown}" if shown else "")


@runtime_checkable
class Searching(Experiment[P], Protocol[P]):
    """An experiment that looks for something, and measures only the points that it asks for."""

    def search(self, backlog: Backlog[P], deadline: float | None) -> Search[P]:
        """Make the search of what a run directory has, until the time is over [s of the monotonic clock]."""


def run_experiment(
    plan: Experiment[P],
    display: ProgressDisplay | None = None,
    say: Callable[[str], None] = print,
    report: Callable[[Path], object] | None = None,
) -> Outcome:
    """Measure every point of a plan that was not measured yet, or those that its search asks for.

    Every launch is stored at once, so being killed loses at most the launch in flight; the same call
    again resumes. Failed launches are tried again, finished points are not touched.

    Parameters
    ----------
    plan : Experiment
        What to measure: a study, a matrix, a search for a ratio.
    display, say
        Shown the progress, if given, and what a person should know.
    report : callable, optional
        Writes the report of the run directory it is given. A run that is killed meanwhile is resumed,
        rather than measured again.

    Raises
    ------
    StoreError
        If the run directory cannot be used.
    SweepError
        If the host of an emulation could not be measured.
    """
    started = time.monotonic()
    options = plan.options
    watchers = Watchers(display or NoDisplay(), say)
    seconds = options.budget_seconds
    results = resolve_results(options.results)
    with (
        settings_in_order(watchers.say),
        forking(options.start),
        open_run(
            results, options.run, plan.describe(), watchers.say, finished=options.repeat > 0
        ) as directory,
    ):
        emulation = _begin(plan, directory, watchers)
        settle_shapes(plan, directory, watchers)
        deadline = None if seconds is None else started + seconds
        if isinstance(plan, Searching):
            found = measure_chosen(plan, directory, emulation, watchers, plan.search, deadline)
            directory.update(msgspec.structs.replace(directory.run, search=found))
        else:
            measure_rest(plan, directory, emulation, watchers, deadline)
        outcome = _conclude(plan, directory, reported=report is None)
        if report is not None:
            report(outcome.path)
            directory.update(msgspec.structs.replace(directory.run, reported=True))
        return outcome


def carry_out_elsewhere(
    plan: Experiment[P], directory: RunDirectory, watchers: Watchers, launch: Launch
) -> Outcome:
    """Measure what a run directory does not have yet, by launches that another machine makes.

    Parameters
    ----------
    plan : Experiment
        What to measure, checked against that machine.
    directory : RunDirectory
        Where its records are stored; open.
    watchers : Watchers
        Who is shown the progress, and receives what a person should know.
    launch : callable
        Has a launch made there, and returns its record.

    Raises
    ------
    StoreError
        If the run directory cannot be used.
    """
    started = time.monotonic()
    emulation = _begin(plan, directory, watchers)
    seconds = plan.options.budget_seconds
    measure_rest(plan, directory, emulation, watchers, None if seconds is None else started + seconds, launch)
    return _conclude(plan, directory, reported=True)


@contextmanager
def settings_in_order(say: Callable[[str], None]) -> Iterator[None]:
    """Restore what a killed worker had changed: of an earlier run at first, of this one at the end."""
    with ending_in_order():
        for message in repair():
            say(message)
        try:
            yield
        finally:
            for message in repair():
                say(message)


def _begin(plan: Experiment[P], directory: RunDirectory, watchers: Watchers) -> Emulation | None:
    """Say in `run.json` what is to come, and have the emulated nodes ready."""
    fresh = msgspec.structs.replace(
        directory.run, points=len(plan.points), added=tuple(sorted(plan.added)), finished=None
    )
    directory.update(fresh)
    return _emulation(plan, directory, watchers)


def _emulation(plan: Experiment[P], directory: RunDirectory, watchers: Watchers) -> Emulation | None:
    """The scale is measured once per run: points of one run must have one truth."""
    stored = directory.run.emulation
    if stored is not None:
        return Emulation.from_record(stored)

    def show(what: str) -> None:
        watchers.display.show(Progress(0, count_launches(plan), 0, None, what))

    calibrated = plan.calibrate(show, watchers.say)
    if calibrated is None:
        return None
    emulation, launches = calibrated
    directory.update(
        msgspec.structs.replace(directory.run, emulation=emulation.to_record(), calibration=tuple(launches))
    )
    return emulation


def _conclude(plan: Experiment[P], directory: RunDirectory, *, reported: bool) -> Outcome:
    wanted = {point.id: point for point in plan.points}
    effects = settle_intervals(directory, [r for r in directory.records() if r.point_id in wanted])
    records = [record for record in directory.records() if record.point_id in wanted]
    counts = dict(Counter(record.status for record in records))
    failures = tuple(
        f"{wanted[record.point_id]}: {(record.reason or 'no reason recorded').splitlines()[0]}"
        for record in records
        if record.status == "failed"
    )
    skipped = tuple(dict.fromkeys(record.reason or "" for record in records if record.status == "skipped"))
    # Within a budget of time a point may have got fewer launches.
    short = [
        record for record in records
        if record.status == "ok" and (len(record.launches) or 1) < wanted[record.point_id].launches
    ]  # fmt: skip
    search = directory.run.search
    complete = len(records) == len(wanted) and not short if search is None else search.open is None
    complete = complete and not failures
    directory.update(
        msgspec.structs.replace(
            directory.run,
            points=len(wanted) if search is None else len(records),
            counts={str(status): count for status, count in counts.items()},
            finished=now() if complete else None,
            reported=reported,
            effects=effects,
            load_average_after=os.getloadavg(),
        )
    )
    return Outcome(directory.path, {str(status): n for status, n in counts.items()}, failures, skipped)
