"""Which points of two runs are the same, and which of them may be compared."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from hmexp.report.comparison.bridging import why_not_bridged
from hmexp.report.comparison.reading import Key, Reading
from hmexp.report.run.soundness import require_sound
from hmexp.store.program_points import ProgramPoint
from hmexp.store.reader import POINTS, read_run, take_points
from hmexp.store.records import PointRecord, RunRecord
from hmexp.store.shapes import ShapeRecord


def read_record(
    record: PointRecord, dram_nodes: Iterable[int] = (), shapes: Iterable[ShapeRecord] | None = ()
) -> tuple[Reading, ...]:
    """The readings of a record: one, or for a program one for each metric."""
    if not isinstance(record.parameters, ProgramPoint):
        return (Reading.from_record(record, dram_nodes, shapes),)
    # Late: only a program's points need what it imports.
    from hmexp.report.comparison.program_readings import read_program

    return read_program(record, dram_nodes)


@dataclass(frozen=True)
class StoredRun:
    """A run as far as a comparison needs it."""

    folder: Path
    run: RunRecord
    readings: tuple[Reading, ...]

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.run.name or self.folder.name

    @property
    def unfinished(self) -> int:
        """Points of the plan that have no record yet."""
        return max(0, (self.run.points or 0) - len({reading.point_id for reading in self.readings}))

    @classmethod
    def load(cls, folder: Path) -> StoredRun:
        """Read a run directory.

        Raises
        ------
        StoreError
            If it is none, cannot be read, or was written by a newer hmexp.
        """
        run, where = read_run(folder), folder / POINTS

        def read(record: PointRecord) -> tuple[Reading, ...]:
            require_sound([record], run, where)
            return read_record(record, run.dram_nodes, run.shapes)

        found = take_points(where, read)
        return cls(folder, run, tuple(chain.from_iterable(found.values())))


@dataclass(frozen=True)
class Match:
    """Points of two runs by what they are: a pair, or one without its counterpart."""

    pairs: tuple[tuple[Reading, Reading], ...]
    only_a: tuple[Reading, ...]
    only_b: tuple[Reading, ...]
    #: Points of which a run has several that match the same point of the other: (a, b) as they were found.
    ambiguous: tuple[tuple[tuple[Reading, ...], tuple[Reading, ...]], ...]
    notes: tuple[str, ...]


def match(a: StoredRun, b: StoredRun, *, by_ratio: bool = False, left_out: Iterable[str] = ()) -> Match:
    """Find the points of two runs that are the same.

    Parameters
    ----------
    a, b : StoredRun
        The runs.
    by_ratio : bool
        Take patterns for the same that have the same DRAM:slow ratio: other machines number their nodes
        otherwise.
    left_out : iterable of str
        Parameters that make no other point.
    """
    names_a, names_b = ({n for r in run.readings for n in r.parameters} for run in (a, b))
    # A parameter that one run does not know at all (an older hmexp) cannot tell its points apart.
    unknown = (names_a ^ names_b) if a.readings and b.readings else set()
    notes = [
        f"run {'A' if name in names_b else 'B'} does not record {name}: points are matched without it"
        for name in sorted(unknown)
    ]
    groups: dict[Key, tuple[list[Reading], list[Reading]]] = {}
    for side, run in enumerate((a, b)):
        for reading in run.readings:
            key = reading.key(unknown | set(left_out), by_ratio=by_ratio)
            groups.setdefault(key, ([], []))[side].append(reading)
    pairs, only_a, only_b, ambiguous = [], [], [], []
    for in_a, in_b in groups.values():
        if len(in_a) == len(in_b) == 1:
            pairs.append((in_a[0], in_b[0]))
        elif in_a and in_b:
            ambiguous.append((tuple(in_a), tuple(in_b)))
        else:
            only_a += in_a
            only_b += in_b
    return Match(tuple(pairs), tuple(only_a), tuple(only_b), tuple(ambiguous), tuple(notes))


def why_not_comparable(
    a: Reading, b: Reading, *, of_model: bool = False, of_profile: bool = False
) -> str | None:
    """Say why two readings of the same point must not be compared; None if they may."""
    return (
        _no_number(a, b)
        or (None if of_profile else _other_machine(a, b))
        or _other_measure(a, b)
        or why_not_bridged(a, b)
        or _other_model(a, b, of_model=of_model or of_profile)
        or _no_noise(a, b)
    )


def _no_number(a: Reading, b: Reading) -> str | None:
    for name, reading in (("A", a), ("B", b)):
        if reading.status != "ok":
            reason = f", {reading.reason[:80]}" if reading.reason else ""
            return f"{name} was not measured: {reading.status}{reason}"
        if reading.median is None:
            return f"{name} has no median, although the point is ok: its record is damaged"
    which = [name for name, reading in (("A", a), ("B", b)) if not reading.timing_valid]
    return f"timings of {' and '.join(which)} are not valid (functional only)" if which else None


def _other_machine(a: Reading, b: Reading) -> str | None:
    if a.emulated != b.emulated:
        return f"{'A' if a.emulated else 'B'} is emulated, {'B' if a.emulated else 'A'} is real"
    if a.profile != b.profile:
        return f"emulated by other profiles: {a.profile} and {b.profile}"
    return None


def _other_measure(a: Reading, b: Reading) -> str | None:
    if a.unit != b.unit:
        return f"other units: {a.unit} and {b.unit}"
    if a.definition != b.definition:
        return "the workload differs: its commands, its files or how its metrics are read"
    if None not in (a.page_bytes, b.page_bytes) and a.page_bytes != b.page_bytes:
        return f"other pages: {a.page_bytes} and {b.page_bytes} bytes"
    return None


def _other_model(a: Reading, b: Reading, *, of_model: bool) -> str | None:
    if of_model:
        return None if a.model and b.model else "no model's value is recorded"
    if not a.emulated or _same(a.model, b.model):
        return None
    return (
        f"the emulated nodes were scaled differently (they must show {_say(a.model)} and {_say(b.model)} "
        f"{a.unit}): compare each with its own model"
    )


def _no_noise(a: Reading, b: Reading) -> str | None:
    for name, reading in (("A", a), ("B", b)):
        if len(reading.samples) < 2 and len(reading.launches) < 2:
            return f"{name} has a single sample: nothing is known of its noise"
    return None


def _same(a: float | None, b: float | None) -> bool:
    return a is b or (a is not None and b is not None and math.isclose(a, b, rel_tol=1e-6))


def _say(value: float | None) -> str:
    return "?" if value is None else f"{value:.4g}"
