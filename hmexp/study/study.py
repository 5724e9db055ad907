"""Studies: other measurements than a sweep's points, each in a fresh process, kept in the same store."""

from __future__ import annotations

import hashlib
import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from hmexp.experiment.launcher import launch
from hmexp.experiment.progress import Progress, ProgressDisplay
from hmexp.experiment.runner import Outcome, settings_in_order
from hmexp.memory.emulation import Emulation
from hmexp.store.run import RunDirectory, now, open_run, resolve_results
from hmexp.sweep.parameters import check_fields
from hmexp.system.provenance import collect, timing_validity
from hmexp.system.topology import Topology
from hmexp.units import format_size

SCHEMA: Final = 1
_WORKER: Final = "hmexp.study.worker"


@dataclass(frozen=True)
class StudyParameters:
    """What the parameters of every study have, under the names they have in its notebook.

    Parameters
    ----------
    results, run : str
        As for a sweep.
    timeout_seconds : float
        Longest time of a process [s].
    seed : int
        Of the order in which the processes are started.
    """

    results: str = "auto"
    run: str = "auto"
    timeout_seconds: float = 300.0
    seed: int = 0

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any]) -> Self:
        """Check values that come from a notebook or a command line.

        Raises
        ------
        ParameterError
            If a name is unknown, or a value has a type that cannot be used.
        """
        return cls(**check_fields(cls(), given))

    def to_record(self) -> dict[str, Any]:
        """The parameters as JSON-able values."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}


@dataclass(frozen=True)
class StudyPoint:
    """One measurement of a study.

    Parameters
    ----------
    kind : str
        Which function of the worker takes it (`hmexp.study.worker`).
    parameters : mapping
        What it is given, JSON-able.
    """

    kind: str
    parameters: Mapping[str, Any]

    @property
    def id(self) -> str:
        """Stable name: a hash of what is measured."""
        text = json.dumps([SCHEMA, self.kind, dict(self.parameters)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def __str__(self) -> str:
        given = self.parameters
        words = [str(value) for value in given.values() if isinstance(value, str)]
        if isinstance(given.get("granule_bytes"), int):
            words.append(f"granule {format_size(given['granule_bytes'])}")
        return " ".join([self.kind, *words, *(["2 MiB pages"] if given.get("huge") else [])])


@dataclass(frozen=True)
class StudyTask:
    """A point on its way to a worker; see `hmexp.experiment.launcher.Launchable`.

    Parameters
    ----------
    point : StudyPoint
        What to measure.
    emulation : Emulation or None
        Emulated nodes that the point's pattern may name.
    """

    point: StudyPoint
    emulation: Emulation | None = None

    @property
    def point_id(self) -> str:
        """Id of the point."""
        return self.point.id

    def to_json(self) -> str:
        """The task as one line for `from_json`, with the process that is to be outlived by none."""
        emulation = None if self.emulation is None else self.emulation.to_record()
        point = {"kind": self.point.kind, "parameters": dict(self.point.parameters)}
        return json.dumps({"parent": os.getpid(), "point": point, "emulation": emulation})

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> StudyTask:
        """Read back what `to_json` wrote."""
        emulation = None if data["emulation"] is None else Emulation.from_record(data["emulation"])
        return cls(StudyPoint(**data["point"]), emulation)

    def empty_record(self) -> dict[str, Any]:
        """The record of a point of which nothing is known yet."""
        valid, note = timing_validity()
        return {
            "schema": SCHEMA,
            "point_id": self.point.id,
            "kind": self.point.kind,
            "status": "failed",
            "reason": None,
            "error": None,
            "parameters": dict(self.point.parameters),
            "result": None,
            "settings": {},
            "emulated": self.emulation is not None,
            "profile": None if self.emulation is None else self.emulation.profile.name,
            "timing_valid": valid,
            "timing_note": note,
            "started": now(),
            "elapsed_seconds": 0.0,
            "machine": {"load_average": list(os.getloadavg())},
        }


@dataclass(frozen=True)
class Study:
    """What a study will measure, checked against this machine.

    Parameters
    ----------
    name : str
        Of the kind of study, such as ``placers``: it begins the names of its run directories.
    parameters : mapping
        As the person gave them, JSON-able.
    results, run : str
        As for a sweep.
    points : tuple of StudyPoint
        In the order in which they are listed; they are measured in another.
    topology : Topology
        This machine.
    headline : str
        What it will do, in a sentence.
    notes : tuple of str
        What a person should know before, such as what this machine cannot show.
    seed : int
        Of the order of measurement.
    timeout_seconds : float
        Longest time of a point [s].
    facts : mapping
        What else belongs into `run.json`, JSON-able.
    """

    name: str
    parameters: Mapping[str, Any]
    results: str
    run: str
    points: tuple[StudyPoint, ...]
    topology: Topology
    headline: str
    notes: tuple[str, ...] = ()
    seed: int = 0
    timeout_seconds: float = 300.0
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def hash(self) -> str:
        """Hash of what is measured: a run directory belongs to one."""
        text = json.dumps([self.name, sorted(point.id for point in self.points)])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def run_study(
    study: Study,
    display: ProgressDisplay,
    say: Callable[[str], None] = print,
    emulate: Callable[[], Emulation | None] = lambda: None,
    report: Callable[[Path], object] | None = None,
) -> Outcome:
    """Measure every point of a study that was not measured yet.

    Parameters
    ----------
    study : Study
        What to measure.
    display, say
        As for `run_sweep`.
    emulate : callable
        Makes the emulated nodes; called once per run directory, which keeps them.
    report : callable, optional
        As for `run_sweep`.

    Raises
    ------
    StoreError
        If the run directory cannot be used.
    """
    results = resolve_results(study.results)
    with (
        settings_in_order(say),
        open_run(results, study.run, study.hash, _describe(study), say, kind=study.name) as directory,
    ):
        directory.update(points=len(study.points), finished=None)
        emulation = _emulation(directory, emulate)
        _measure_rest(study, directory, emulation, display, say)
        outcome = _conclude(study, directory, reported=report is None)
        if report is not None:
            report(outcome.path)
            directory.update(reported=True)
        return outcome


def _describe(study: Study) -> dict[str, Any]:
    valid, note = timing_validity()
    return {
        "schema": SCHEMA,
        "title": f"hmexp {study.name}",
        "study": study.name,
        "parameters": dict(study.parameters),
        "headline": study.headline,
        "notes": list(study.notes),
        "dram_nodes": [node.id for node in study.topology.dram_nodes],
        "nodes": study.topology.as_records(),
        "emulation": None,
        "provenance": collect(),
        "timing_valid": valid,
        "timing_note": note,
        "counts": {},
        "finished": None,
        **study.facts,
    }


def _emulation(directory: RunDirectory, emulate: Callable[[], Emulation | None]) -> Emulation | None:
    if directory.run["emulation"] is not None:
        return Emulation.from_record(directory.run["emulation"])
    emulation = emulate()
    if emulation is not None:
        directory.update(emulation=emulation.to_record())
    return emulation


def _measure_rest(
    study: Study,
    directory: RunDirectory,
    emulation: Emulation | None,
    display: ProgressDisplay,
    say: Callable[[str], None],
) -> None:
    finished = directory.finished_points()
    rest = [point for point in study.points if point.id not in finished]
    random.Random(study.seed).shuffle(rest)
    total, done, failed = len(study.points), len(study.points) - len(rest), 0
    told: set[str] = set()
    started = time.monotonic()
    for measured, point in enumerate(rest):
        left = (time.monotonic() - started) / measured * (len(rest) - measured) if measured else None
        display.show(Progress(done + measured, total, failed, left, str(point)))
        record = launch(StudyTask(point, emulation), study.timeout_seconds, _WORKER)
        directory.append(record)
        failed += record["status"] == "failed"
        if record["status"] != "ok" and record["reason"] not in told:
            told.add(record["reason"])
            say(f"{record['status']}: {point}: {record['reason']}")
    display.show(Progress(total, total, failed, 0.0, ""))


def _conclude(study: Study, directory: RunDirectory, reported: bool) -> Outcome:
    wanted = {point.id: point for point in study.points}
    records = [record for record in directory.records() if record["point_id"] in wanted]
    failures = tuple(
        f"{wanted[r['point_id']]}: {r['reason'].splitlines()[0]}" for r in records if r["status"] == "failed"
    )
    counts = dict(Counter(record["status"] for record in records))
    complete = len(records) == len(wanted) and not failures
    directory.update(
        counts=counts,
        finished=now() if complete else None,
        reported=reported,
        load_average_after=list(os.getloadavg()),
    )
    return Outcome(directory.path, counts, failures)
