"""Bandwidths of nodes from a run whose points lie on one node each: a sweep's, or that of a verification."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hmexp.errors import ParameterError
from hmexp.machine.weights.speeds import Reach, Reaches
from hmexp.native import OPERATIONS
from hmexp.pattern import Pattern
from hmexp.store.details import BandwidthDetails
from hmexp.store.parameters import LoopPoint
from hmexp.store.reader import POINTS, read_points, read_run
from hmexp.store.records import PointRecord, RunRecord
from hmexp.store.results import Measured
from hmexp.store.validity import label_untimed

#: Half of an interval, as a part of its median, from which weights of it say little.
POOR: Final = 0.1


@dataclass(frozen=True)
class MeasuredRatio:
    """The best that was measured of regions that lie on several nodes.

    Parameters
    ----------
    weights : mapping of int to int
        Pages on each node.
    gbps : float
        Bandwidth [GB/s].
    """

    weights: Mapping[int, int]
    gbps: float


@dataclass(frozen=True)
class MeasuredReaches:
    """What a run says of each initiator and node.

    Parameters
    ----------
    source : str
        The run, and what must be said of it.
    reaches : mapping of int to mapping of int to Reach
        By initiator and node.
    ratios : mapping of (int, str) to MeasuredRatio
        The best ratio that was measured, by initiator and operation.
    notes : tuple of str
        What a person should know before trusting them.
    """

    source: str
    reaches: Reaches
    ratios: Mapping[tuple[int, str], MeasuredRatio]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Found:
    """One bandwidth of a run."""

    initiator: int
    weights: Mapping[int, int]
    operation: str
    gbps: float
    half_width: float


def reaches_of_run(folder: Path) -> MeasuredReaches:
    """Read the bandwidths of a run: of several points that ask the same, the fastest counts.

    Parameters
    ----------
    folder : Path
        The run directory of a sweep that has points on one node each, such as
        ``hmexp sweep --patterns 0 2 --operations read write --cpu-nodes 0 1``.

    Raises
    ------
    StoreError
        If it is not a run directory.
    ParameterError
        If it has no such points.
    """
    run = read_run(folder)
    found = list(_bandwidths(run, read_points(folder / POINTS).values()))
    best: dict[tuple[int, int], dict[str, float]] = {}
    ratios: dict[tuple[int, str], MeasuredRatio] = {}
    for each in found:
        if len(each.weights) == 1:
            row = best.setdefault((each.initiator, next(iter(each.weights))), {})
            row[each.operation] = max(row.get(each.operation, 0.0), each.gbps)
        else:
            key = each.initiator, each.operation
            if key not in ratios or ratios[key].gbps < each.gbps:
                ratios[key] = MeasuredRatio(each.weights, each.gbps)
    if not best:
        raise ParameterError(
            f"{folder} has no bandwidth of a region that lies on one node",
            "run `hmexp matrix`; or a sweep such as `hmexp sweep --patterns 0 2 --operations read write`",
        )
    reaches: dict[int, dict[int, Reach]] = {}
    for (initiator, node), row in sorted(best.items()):
        mixes = tuple(
            (operation.loads / operation.streams, row[name])
            for name, operation in OPERATIONS.items()
            if name in row and name.startswith("mix_")
        )
        reaches.setdefault(initiator, {})[node] = Reach(row.get("read"), row.get("write"), mixes)
    return MeasuredReaches(_source(folder, run), reaches, ratios, tuple(_uncertain(found)))


def _bandwidths(run: RunRecord, records: Iterable[PointRecord]) -> Iterator[_Found]:
    for record in records:
        point, result = record.parameters, record.result
        if not isinstance(point, LoopPoint) or not isinstance(result, Measured) or result.unit != "GB/s":
            continue
        operation = OPERATIONS.get(point.operation)
        if (
            record.status != "ok"
            or operation is None
            or operation.nontemporal
            or point.access != "sequential"
        ):
            continue
        initiator = _initiator(run, point, result)
        if initiator is not None:
            ratio = Pattern.parse(point.pattern, point.granule_bytes).ratio()
            yield _Found(initiator, ratio, point.operation, result.median, _half_width(result))


def _half_width(result: Measured) -> float:
    """Half of the interval, as a part of the median."""
    if result.ci_low is None or result.ci_high is None:
        return 0.0
    return (result.ci_high - result.ci_low) / 2 / result.median


def _uncertain(found: Iterable[_Found]) -> Iterator[str]:
    """A note for each bandwidth of one node that is poorly known."""
    fastest: dict[tuple[int, int, str], _Found] = {}
    for each in found:
        if len(each.weights) == 1:
            key = each.initiator, next(iter(each.weights)), each.operation
            if key not in fastest or fastest[key].gbps < each.gbps:
                fastest[key] = each
    wide = [(key, each.half_width) for key, each in sorted(fastest.items()) if each.half_width > POOR]
    if wide:
        (initiator, node, operation), half = max(wide, key=lambda item: item[1])
        yield (
            f"{len(wide)} of {len(fastest)} bandwidths are poorly known: {operation} on node {node} from the "
            f"CPUs of node {initiator} to within {half:.0%}. Measure again, on a quiet machine or with more "
            "launches, before you trust these weights."
        )


def _initiator(run: RunRecord, point: LoopPoint, result: Measured) -> int | None:
    """The node whose CPUs all threads ran on; None if there is not one."""
    if point.cpu_node.isdecimal():
        return int(point.cpu_node)
    if not isinstance(result.details, BandwidthDetails):
        return None
    used = set(result.details.cpus)
    return next((node.id for node in run.nodes if used and used <= set(node.cpus)), None)


def _source(folder: Path, run: RunRecord) -> str:
    said = [str(folder)]
    if run.emulation is not None:
        said.append("EMULATED: its numbers say nothing about this machine")
    if not run.timing_valid:
        said.append(label_untimed(run.timing_note))
    return "; ".join(said)


def operation_of(reads: float) -> str:
    """Reads, writes, or the mix of both with regular stores whose share of reads is nearest."""
    able = [
        each
        for each in OPERATIONS.values()
        if not each.nontemporal and (each.name in ("read", "write") or each.name.startswith("mix_"))
    ]
    return min(able, key=lambda each: (abs(each.loads / each.streams - reads), each.number)).name
