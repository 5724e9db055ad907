"""A profile made of what a run has measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from hmexp.errors import EmulationError, StoreError
from hmexp.measure.quantity import LATENCIES
from hmexp.memory.fit import fit_peaks
from hmexp.memory.profile import Profile
from hmexp.memory.profile_file import KINDS
from hmexp.memory.speed import FIGURES, NodeSpeed, Quantity
from hmexp.pattern import Pattern
from hmexp.report.study.curves import DrawnFamily, families_of
from hmexp.report.study.results import StudyResults
from hmexp.store.parameters import CurvePoint, LoopPoint
from hmexp.store.reader import POINTS, read_points, read_run
from hmexp.store.records import PointRecord, RunRecord
from hmexp.store.results import Measured

#: Figures that both memories must have, unless there are curves.
_NEEDED: Final[tuple[Quantity, ...]] = ("read", "write", "latency")


@dataclass(frozen=True)
class Captured:
    """A profile of a run, and the points that it is made of.

    Parameters
    ----------
    profile : Profile
        With the intervals of its figures.
    points : tuple of PointRecord
        Those that gave a figure or a curve.
    run : RunRecord
        The run.
    notes : tuple of str
        What a person should know of it.
    """

    profile: Profile
    points: tuple[PointRecord, ...]
    run: RunRecord
    notes: tuple[str, ...] = ()


def capture(folder: Path) -> Captured:
    """Make a profile of a run that has measured nodes alone: a sweep, a matrix, or curves.

    Of several points that ask the same the fastest counts, with its interval. A run with one memory gives a
    profile of that alone.

    Parameters
    ----------
    folder : Path
        The run directory.

    Raises
    ------
    StoreError
        If it is none, its times mean nothing, or it has not measured what a profile needs.
    """
    run = read_run(folder)
    if not run.timing_valid:
        raise StoreError(
            f"the times of {folder} mean nothing: {run.timing_note}", "capture a run of a real machine"
        )
    points = [point for point in read_points(folder / POINTS).values() if point.status == "ok"]
    every = {node: same for node in _nodes(points) if (same := [p for p in points if _node(p) == node])}
    dram, slow = _choose(run, sorted(every), folder)
    families = families_of(StudyResults(run, tuple(points))) if run.study == "curves" else []
    notes: list[str] = []
    intervals: dict[str, tuple[float, float]] = {}
    used: list[PointRecord] = []
    speeds = {}
    for part, node in (("dram", dram), ("slow", slow)):
        if node is None:
            continue
        speed, found = _speed(folder, node, every[node], families, notes)
        speeds[part] = speed
        intervals |= {f"{part}.{name}": ends for name, ends in found.intervals.items()}
        used += found.points
    speeds = _of_both(speeds)
    kept = {
        key: ends
        for key, ends in intervals.items()
        if getattr(speeds[key.split(".")[0]], key.split(".")[1]) is not None
    }
    first = speeds["dram"]
    profile = Profile(
        f"captured-{run.name or folder.name}", _title(run, slow), _kind(run, dram if slow is None else slow),
        _source(run, notes), first, speeds.get("slow", first), kept,
    )  # fmt: skip
    return Captured(profile, tuple({p.point_id: p for p in used}.values()), run, tuple(notes))


@dataclass(frozen=True)
class _Found:
    intervals: Mapping[str, tuple[float, float]]
    points: tuple[PointRecord, ...]


def _node(point: PointRecord) -> int | None:
    """The node that a point measured alone; None of several."""
    given = point.parameters
    if not isinstance(given, LoopPoint | CurvePoint):
        return None
    nodes = Pattern.parse(given.pattern).distinct_nodes
    return nodes[0] if len(nodes) == 1 else None


def _nodes(points: Iterable[PointRecord]) -> set[int]:
    return {node for point in points if (node := _node(point)) is not None}


def _choose(run: RunRecord, nodes: Sequence[int], folder: Path) -> tuple[int, int | None]:
    """The DRAM node and the slow one; with one memory there is no other."""
    if not nodes:
        raise StoreError(
            f"{folder} has measured no node alone",
            "run `hmexp matrix`, or `hmexp curves` with a node alone",
        )
    emulated = () if run.emulation is None else tuple(run.emulation.backing)
    kinds = {node.id: node.kind for node in run.nodes}
    dram = [n for n in nodes if n not in emulated and (n in run.dram_nodes or kinds.get(n) == "dram")]
    slow = [n for n in nodes if n not in dram]
    fast = dram[0] if dram else slow.pop(0)
    return fast, slow[0] if slow else (dram[1] if len(dram) > 1 else None)


def _speed(
    folder: Path, node: int, points: Sequence[PointRecord], families: Sequence[DrawnFamily], notes: list[str]
) -> tuple[NodeSpeed, _Found]:
    same = [family for family in families if family.pattern == str(node)]
    if same:
        return _of_curves(node, points, same, notes)
    figures: dict[str, Any] = {}
    intervals, used = {}, []
    for quantity, name in FIGURES.items():
        best = _best(points, quantity)
        if best is None:
            continue
        point, result = best
        figures[name] = result.median
        used.append(point)
        if result.ci_low is not None and result.ci_high is not None:
            intervals[name] = (min(result.ci_low, result.median), max(result.ci_high, result.median))
    missing = [quantity for quantity in _NEEDED if FIGURES[quantity] not in figures]
    if missing:
        raise StoreError(
            f"{folder} has not measured {', '.join(missing)} of node {node} alone",
            f"run `hmexp sweep --patterns {node} --operations {' '.join(_NEEDED)}`, or `hmexp curves`",
        )
    return NodeSpeed(**figures), _Found(intervals, tuple(used))


def _best(points: Iterable[PointRecord], operation: str) -> tuple[PointRecord, Measured] | None:
    """The fastest point of an operation, in pages of any size and with any number of threads."""
    found = [
        (point, point.result)
        for point in points
        if isinstance(point.parameters, LoopPoint)
        and point.parameters.operation == operation
        and point.parameters.access in (None, "sequential")
        and isinstance(point.result, Measured)
    ]
    if not found:
        return None
    if operation in LATENCIES:
        return min(found, key=lambda pair: pair[1].median)
    return max(found, key=lambda pair: pair[1].median)


def _of_curves(
    node: int, points: Sequence[PointRecord], same: Sequence[DrawnFamily], notes: list[str]
) -> tuple[NodeSpeed, _Found]:
    """Non-temporal stores make every share; regular ones are taken where there are no others."""
    chosen = next((family for family in same if family.stores == "nt"), same[0])
    family = chosen.to_family()
    peaks = [curve.peak_gbps for curve in family.curves]
    fit = fit_peaks(family.read_shares, peaks)
    flat = [curve.read_percent for curve in chosen.curves if not curve.knee.saturated]
    if flat:
        notes.append(
            f"{len(flat)} of {len(chosen.curves)} curves of node {node} were not saturated: the threads "
            "could not make more traffic, and the memory may carry more"
        )
    notes.append(f"the figures of node {node} are within {fit.worst:.1%} of every peak of its curves")
    idle = [curve.idle_ns for curve in family.curves]
    used = [
        p for p in points if isinstance(p.parameters, CurvePoint) and p.parameters.stores == chosen.stores
    ]
    speed = NodeSpeed.carried(fit.carriers, family.idle_ns, family=family)
    return speed, _Found({"latency_ns": (min(idle), max(idle))}, tuple(used))


def _of_both(speeds: Mapping[str, NodeSpeed]) -> dict[str, NodeSpeed]:
    """Leave out figures that one of two memories does not have: a profile has them for both or neither."""
    if len(speeds) < 2:
        return dict(speeds)
    both = speeds.values()
    some = {name for name in FIGURES.values() if any(getattr(speed, name) is None for speed in both)}
    if some & {FIGURES["write_nt"]} and any(speed.carriers for speed in both):
        raise EmulationError(
            "one memory has curves, and of the other non-temporal stores were not measured",
            "measure both by `hmexp curves`, or both by `hmexp matrix`",
        )
    unknown: dict[str, Any] = dict.fromkeys(some)
    return {part: replace(speed, **unknown) for part, speed in speeds.items()}


def _kind(run: RunRecord, node: int) -> str:
    if run.emulation is not None and node in run.emulation.backing:
        return run.emulation.profile.kind if run.emulation.profile.kind in KINDS else "unknown"
    kind = next((each.kind for each in run.nodes if each.id == node), "unknown")
    return kind if kind in KINDS else "unknown"


def _title(run: RunRecord, slow: int | None) -> str:
    """Kinds and the CPU, never a name that somebody gave."""
    cpu = (run.provenance.cpu_model if run.provenance else None) or "a CPU without a name"
    what = "DRAM" if slow is None else f"DRAM and {_kind(run, slow)}"
    # Where a node is emulated, its DRAM is modelled as well.
    return f"{'EMULATED ' if run.emulation is not None else ''}{what} of {cpu}"


def _source(run: RunRecord, notes: Sequence[str]) -> str:
    when = run.started[:7] or "unknown"
    study = run.study or "sweep"
    packages = (run.provenance.packages if run.provenance else None) or {}
    text = f"measured by hmexp {packages.get('hmexp') or 'unknown'}, a {study} of {when}"
    return f"{text}; {'; '.join(notes)}" if notes else text
