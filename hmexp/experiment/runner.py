"""The runner: measures what a run directory does not have yet."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hmexp.errors import SweepError
from hmexp.experiment.measuring import measure_rest
from hmexp.experiment.progress import Progress, ProgressDisplay
from hmexp.memory.emulation import Emulation
from hmexp.store.run import RunDirectory, now, open_run, resolve_results
from hmexp.store.schema import SCHEMA
from hmexp.sweep.calibration import calibrate
from hmexp.sweep.parameters import parse_budget
from hmexp.sweep.plan import Plan
from hmexp.system.provenance import collect, timing_validity
from hmexp.system.settings import ending_in_order, repair


@dataclass(frozen=True)
class Outcome:
    """What became of a sweep.

    Parameters
    ----------
    path : Path
        The run directory.
    counts : mapping of str to int
        Points by status.
    failures : tuple of str
        One sentence for each failed point.
    """

    path: Path
    counts: Mapping[str, int]
    failures: tuple[str, ...]

    def require_complete(self) -> None:
        """Raise SweepError if a point failed."""
        if self.failures:
            total = sum(self.counts.values())
            raise SweepError(
                f"{len(self.failures)} of {total} points failed: " + "; ".join(self.failures[:3])
                + ("; ..." if len(self.failures) > 3 else ""),
                "the other points are kept; the same command again retries only the failed ones",
            )  # fmt: skip


def run_sweep(
    plan: Plan,
    display: ProgressDisplay,
    say: Callable[[str], None] = print,
    report: Callable[[Path], object] | None = None,
) -> Outcome:
    """Measure every point of a plan that was not measured yet.

    Every launch is stored at once, so being killed loses at most the launch in flight; the same call
    again goes on. Failed launches are tried again, finished points are not touched.

    Parameters
    ----------
    plan : Plan
        What to measure.
    display, say
        Shown the progress, and told what a person should know.
    report : callable, optional
        Writes the report of the run directory it is given. A run that is killed meanwhile is gone on with,
        rather than measured anew.

    Raises
    ------
    StoreError
        If the run directory cannot be used.
    SweepError
        If the host of an emulation could not be measured.
    """
    started = time.monotonic()
    seconds = parse_budget(plan.parameters.budget)
    results = resolve_results(plan.parameters.results)
    with (
        settings_in_order(say),
        open_run(
            results,
            plan.parameters.run,
            plan.hash,
            _describe(plan),
            say,
            finished=plan.parameters.repeat > 0,
        ) as directory,
    ):
        directory.update(points=len(plan.points), added=sorted(plan.added), finished=None)
        emulation = _emulation(plan, directory, display, say)
        measure_rest(plan, directory, emulation, display, say, None if seconds is None else started + seconds)
        outcome = _conclude(plan, directory, reported=report is None)
        if report is not None:
            report(outcome.path)
            directory.update(reported=True)
        return outcome


@contextmanager
def settings_in_order(say: Callable[[str], None]) -> Iterator[None]:
    """Put back what a worker had changed that was killed: by an earlier run, or when this one ends."""
    with ending_in_order():
        for told in repair():
            say(told)
        try:
            yield
        finally:
            for told in repair():
                say(told)


def _describe(plan: Plan) -> dict[str, Any]:
    valid, note = timing_validity()
    return {
        "schema": SCHEMA,
        "title": "hmexp sweep",
        "parameters": plan.parameters.to_record(),
        "headline": plan.headline,
        "notes": list(plan.notes),
        "dram_nodes": list(plan.dram_nodes),
        "slow_nodes": list(plan.slow_nodes),
        "nodes": plan.topology.as_records(),
        "emulation": None,
        "provenance": collect(),
        "timing_valid": valid,
        "timing_note": note,
        "counts": {},
        "finished": None,
    }


def _emulation(
    plan: Plan, directory: RunDirectory, display: ProgressDisplay, say: Callable[[str], None]
) -> Emulation | None:
    """The scale is measured once per run: points of one run must have one truth."""
    if plan.emulate is None:
        return None
    stored = directory.run["emulation"]
    if stored is not None:
        return Emulation.from_record(stored)
    say("Measuring this host, to scale the emulated node to it.")

    def show(what: str) -> None:
        display.show(Progress(0, plan.launches, 0, None, what))

    emulation, launches = calibrate(plan, show, say)
    directory.update(emulation=emulation.to_record(), calibration=launches)
    return emulation


def _conclude(plan: Plan, directory: RunDirectory, reported: bool) -> Outcome:
    wanted = {point.id: point for point in plan.points}
    records = [record for record in directory.records() if record["point_id"] in wanted]
    counts = dict(Counter(record["status"] for record in records))
    failures = tuple(
        f"{wanted[record['point_id']]}: {record['reason'].splitlines()[0]}"
        for record in records
        if record["status"] == "failed"
    )
    # Within a budget of time a point may have got fewer launches.
    short = [
        record for record in records
        if record["status"] == "ok"
        and len(record.get("launches") or (None,)) < wanted[record["point_id"]].launches
    ]  # fmt: skip
    complete = len(records) == len(wanted) and not failures and not short
    directory.update(
        counts=counts,
        finished=now() if complete else None,
        reported=reported,
        load_average_after=list(os.getloadavg()),
    )
    return Outcome(directory.path, counts, failures)
