"""The runner: measures what a run directory does not have yet."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from hmexp.errors import SweepError
from hmexp.experiment.calibration import calibrate
from hmexp.experiment.launcher import launch
from hmexp.experiment.plan import SCHEMA, Plan
from hmexp.experiment.store import RunDirectory, now, open_run, resolve_results
from hmexp.experiment.worker import Task
from hmexp.memory.emulation import Emulation
from hmexp.system.provenance import collect, timing_validity
from hmexp.system.settings import ending_in_order, repair


@dataclass(frozen=True)
class Progress:
    """How far a sweep is.

    Parameters
    ----------
    done, total : int
        Points.
    failed : int
        Points of this try that failed.
    seconds_left : float or None
        Estimate, once a point was measured [s].
    current : str
        What is being measured, or an empty text at the end.
    """

    done: int
    total: int
    failed: int
    seconds_left: float | None
    current: str


class ProgressDisplay(Protocol):
    """Something that shows a person how far a sweep is."""

    def show(self, progress: Progress) -> None:
        """Show it, replacing what was shown before."""


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


def run_sweep(plan: Plan, display: ProgressDisplay, say: Callable[[str], None] = print) -> Outcome:
    """Measure every point of a plan that was not measured yet.

    Being killed loses at most the point in flight; the same call again goes on. Failed points are
    tried again, finished ones are not touched.

    Raises
    ------
    StoreError
        If the run directory cannot be used.
    SweepError
        If the host of an emulation could not be measured.
    """
    results = resolve_results(plan.parameters.results)
    with (
        settings_in_order(say),
        open_run(results, plan.parameters.run, plan.hash, _describe(plan), say) as directory,
    ):
        directory.update(points=len(plan.points), finished=None)
        emulation = _emulation(plan, directory, display, say)
        _measure_rest(plan, directory, emulation, display, say)
        return _conclude(plan, directory)


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
        display.show(Progress(0, len(plan.points), 0, None, what))

    emulation, launches = calibrate(plan, show, say)
    directory.update(emulation=emulation.to_record(), calibration=launches)
    return emulation


def _measure_rest(
    plan: Plan,
    directory: RunDirectory,
    emulation: Emulation | None,
    display: ProgressDisplay,
    say: Callable[[str], None],
) -> None:
    finished = directory.finished_points()
    rest = [point for point in plan.points if point.id not in finished]
    # Shuffled, so that a drift of the machine does not look like an effect of the parameters.
    random.Random(plan.parameters.seed).shuffle(rest)
    done, failed = len(plan.points) - len(rest), 0
    told: set[str] = set()
    started = time.monotonic()
    for measured, point in enumerate(rest):
        pace = (time.monotonic() - started) / measured if measured else None
        left = None if pace is None else pace * (len(rest) - measured)
        display.show(Progress(done + measured, len(plan.points), failed, left, str(point)))
        task = Task(point, emulation, False, plan.dram_nodes, plan.cpus[point.threads])
        record = launch(task, plan.parameters.timeout_seconds)
        directory.append(record)
        failed += record["status"] == "failed"
        if record["status"] != "ok" and record["reason"] not in told:
            # A placer that is not here would say so again for each of its points.
            told.add(record["reason"])
            say(f"{record['status']}: {point}: {record['reason']}")
    display.show(Progress(len(plan.points), len(plan.points), failed, 0.0, ""))


def _conclude(plan: Plan, directory: RunDirectory) -> Outcome:
    wanted = {point.id: point for point in plan.points}
    records = [record for record in directory.records() if record["point_id"] in wanted]
    counts = dict(Counter(record["status"] for record in records))
    failures = tuple(
        f"{wanted[record['point_id']]}: {record['reason'].splitlines()[0]}"
        for record in records
        if record["status"] == "failed"
    )
    complete = len(records) == len(wanted) and not failures
    directory.update(counts=counts, finished=now() if complete else None)
    return Outcome(directory.path, counts, failures)
