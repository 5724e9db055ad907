"""What a sweep will do, before it does it: points, memory, what cannot be measured, and how long it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hmexp.errors import CapacityError
from hmexp.experiment.pace import Span, say_seconds
from hmexp.memory.capacity import check_capacity
from hmexp.memory.page_sizes import HUGE_PAGE_BYTES
from hmexp.memory.placement import describe_need
from hmexp.memory.placers import find_placer
from hmexp.pattern import Pattern
from hmexp.store.reader import POINTS, read_points
from hmexp.store.run import find_run, resolve_results
from hmexp.sweep.calibration import LAUNCHES, calibrated_points
from hmexp.sweep.pace import Pace, find_pace
from hmexp.sweep.plan import SweepPlan
from hmexp.sweep.point import SweepPoint
from hmexp.units import format_size


@dataclass(frozen=True)
class Explanation:
    """What a sweep will do.

    Parameters
    ----------
    points, added, launches : int
        All points, those of them that were not asked for, and the launches of all.
    finished : int
        Points that the run has already.
    run : str or None
        Name of the run that will be resumed.
    axes : mapping of str to sequence of str
        The values on each axis.
    memory : mapping of int to (int, int)
        What the largest region needs on each real node, and what is free there [bytes].
    not_measured : mapping of str to int
        Why points cannot be measured as things are, and how many.
    seconds : Span
        The estimated time [s].
    basis : str
        What the estimate is made of.
    """

    points: int
    added: int
    launches: int
    finished: int
    run: str | None
    axes: Mapping[str, Sequence[str]]
    memory: Mapping[int, tuple[int, int]]
    not_measured: Mapping[str, int]
    seconds: Span
    basis: str

    def __str__(self) -> str:
        added = f", {self.added} of them all DRAM, to compare with" if self.added else ""
        lines = [f"{self.points} points{added}; {self.launches} launches."]
        if self.run is not None:
            lines.append(f"{self.finished} of the points are in {self.run} already; this command resumes it.")
        width = max(map(len, self.axes))
        lines += [f"  {name:<{width}}  {'  '.join(values)}" for name, values in self.axes.items()]
        for node, (need, free) in self.memory.items():
            room = "" if need <= free else ": TOO LITTLE"
            lines.append(
                f"Memory on node {node}: {format_size(need)} needed, {format_size(free)} free{room}."
            )
        lines += [f"Cannot be measured: {count} points: {why}" for why, count in self.not_measured.items()]
        if self.points == self.finished:
            lines.append("Nothing is left to do.")
        else:
            lines.append(f"Estimated time: {self.seconds} ({self.basis}).")
        return "\n".join(lines)


def explain(plan: SweepPlan, pace: Pace | None = None) -> Explanation:
    """Say what a plan will do.

    Parameters
    ----------
    plan : SweepPlan
        What to measure.
    pace : Pace, optional
        How long launches take; found out by three tiny launches if not given.

    Raises
    ------
    StoreError
        If the run to resume cannot be read.
    SweepError
        If the time could not be estimated.
    """
    path = find_run(
        resolve_results(plan.parameters.results),
        plan.parameters.run,
        plan.hash,
        finished=plan.parameters.repeat > 0,
    )
    records = [] if path is None else list(read_points(path / POINTS).values())
    finished = {record.point_id for record in records if record.status in ("ok", "skipped")}
    rest = {point.id for point in plan.points} - finished
    not_measured: dict[str, int] = {}
    measured = []
    asked: dict[tuple[str, str, int, int, int], str | None] = {}
    for point in plan.points:
        key = (point.placer, point.pattern, point.granule_bytes, point.size_bytes, point.page_bytes)
        if key not in asked:
            asked[key] = _obstacle(plan, point)
        why = asked[key]
        if why is not None:
            not_measured[why] = not_measured.get(why, 0) + 1
        elif point.id in rest:
            measured.append(point)
    seconds, basis = Span(0.0, 0.0), ""
    if rest:
        found = (pace or find_pace(plan)).with_records(records)
        seconds = estimate(plan, measured, found, calibrated=path is not None)
        known = sum((point.operation, point.size_bytes) in found.known for point in measured)
        basis = f"an estimate: {say_seconds(found.start_seconds)} or so to start a process, "
        basis += "and what launches of this run took" if known else "and what tiny launches on DRAM took here"
        if known and known < len(measured):
            basis += ", or tiny ones on DRAM"
    ids = {point.id for point in plan.points}
    return Explanation(
        len(plan.points), len(plan.added), plan.launches, len(finished & ids),
        None if path is None else path.name, _axes(plan), _memory(plan), not_measured, seconds, basis,
    )  # fmt: skip


def estimate(plan: SweepPlan, points: Sequence[SweepPoint], pace: Pace, *, calibrated: bool = False) -> Span:
    """The time of all launches of points, and of those that scale an emulation if it is not `calibrated`."""
    total = Span(0.0, 0.0)
    for point in points:
        one = pace.of(point)
        total += Span(one.low * point.launches, one.high * point.launches)
    if plan.emulate is not None and not calibrated:
        for point in calibrated_points(plan):
            one = pace.of(point)
            total += Span(one.low * LAUNCHES, one.high * LAUNCHES)
    return total


def _real(plan: SweepPlan, point: SweepPoint) -> Pattern:
    pattern = point.parsed_pattern
    return pattern if plan.emulate is None else pattern.replace_nodes({plan.emulate.node: plan.backing_node})


def _obstacle(plan: SweepPlan, point: SweepPoint) -> str | None:
    placer, pattern = find_placer(point.placer), _real(plan, point)
    # As it is asked when a region is made: of the pattern with its emulated nodes.
    huge = point.page_bytes >= HUGE_PAGE_BYTES and point.granule_bytes >= HUGE_PAGE_BYTES
    found = placer.unavailable() or placer.unsuitable(point.parsed_pattern, huge)
    if found is not None:
        return f"{point.placer}: {found}"
    try:
        check_capacity(pattern, point.size_bytes, plan.topology, fresh=True, asked=point.parsed_pattern)
    except CapacityError as error:
        return str(error)
    return None


def _memory(plan: SweepPlan) -> dict[int, tuple[int, int]]:
    needs: dict[int, int] = {}
    for point in plan.points:
        for node, need in describe_need(_real(plan, point), point.size_bytes).items():
            needs[node] = max(needs.get(node, 0), need)
    return {node: (need, plan.topology.node(node).free_bytes) for node, need in sorted(needs.items())}


def _axes(plan: SweepPlan) -> dict[str, list[str]]:
    def values(name: str, say: Any = str) -> list[str]:
        found = dict.fromkeys(getattr(p, name) for p in plan.points if p.id not in plan.added)
        return [say(value) for value in found if value is not None]

    axes = {
        "patterns": [text if len(text) <= 28 else f"{text[:27]}…" for text in values("pattern")],
        "operations": values("operation"),
        "size": values("size_bytes", format_size),
        "granules": values("granule_bytes", format_size),
        "pages": values("page_bytes", format_size),
        "placers": values("placer"),
        "access": values("access"),
        "threads": values("threads"),
        "cpu_nodes": values("cpu_node"),
    }
    return {name: found for name, found in axes.items() if found}
