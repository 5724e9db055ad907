"""A sweep over a program: patterns and ways, beside the program on DRAM alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from hmexp.errors import ParameterError
from hmexp.experiment.task import Task
from hmexp.memory.emulation import Emulation
from hmexp.memory.page_sizes import read_page_size
from hmexp.pattern import Pattern
from hmexp.program.launch.ways import AUTO as BEST
from hmexp.program.launch.ways import WAYS
from hmexp.program.parameters import AUTO, ProgramParameters
from hmexp.program.workload.checks import uses_folder
from hmexp.program.workload.files import Workload, find_workload
from hmexp.ratio import is_ratio
from hmexp.store.program_points import ProgramPoint
from hmexp.store.records import RunRecord
from hmexp.study.experiment import Study, StudyFacts, StudyPoint
from hmexp.sweep.run import rank_coarse_first
from hmexp.system.near import find_ratio, near_node
from hmexp.system.topology import Topology

#: Name of the study in `run.json`.
PROGRAM: Final = "program"
#: Ways that take no pattern: one point each.
WITHOUT_PATTERN: Final = ("default", "tiering")
#: The way of the points that others are compared with: the program as it is, on DRAM alone.
BASELINE_WAY: Final = "node"
_REAL: Final = "a program runs on real nodes alone; `hmexp lab` has machines with several"
_RATIOS: Final = ("1:0", "3:1", "1:1", "1:2", "0:1")


@dataclass(frozen=True)
class ProgramStudyPoint(StudyPoint):
    """One pattern, in one way."""

    @property
    def program(self) -> ProgramPoint:
        """What it is."""
        assert isinstance(self.parameters, ProgramPoint)
        return self.parameters

    @property
    def alike(self) -> tuple[str, int]:
        """What launches that take about as long have in common."""
        return self.program.workload, 0

    def __str__(self) -> str:
        where = "" if self.program.pattern is None else f" on {self.program.pattern}"
        return f"{self.program.workload}{where} by {self.program.way}"


@dataclass(frozen=True)
class ProgramStudy(Study):
    """A sweep over a program, checked against this machine; an `Experiment` for the engine."""

    dram_nodes: tuple[int, ...] = ()
    slow_nodes: tuple[int, ...] = ()

    def describe(self) -> RunRecord:
        """What `run.json` says of it at first."""
        return msgspec.structs.replace(
            super().describe(), dram_nodes=self.dram_nodes, slow_nodes=self.slow_nodes
        )

    def task(self, point: StudyPoint, emulation: Emulation | None, launch: int) -> Task:
        """What a worker is asked for a launch of a point."""
        return msgspec.structs.replace(super().task(point, emulation, launch), dram_nodes=self.dram_nodes)

    def ranks(self, points: Sequence[StudyPoint]) -> Mapping[str, int]:
        """What is compared with first; then the ends of the axis of ratios, and then what is between."""
        compared = set(self.baselines.values())
        shares = {point.id: self._share(point) for point in points}
        ranks = rank_coarse_first(set(shares.values()))
        return {point: 0 if point in compared else 1 + ranks[share] for point, share in shares.items()}

    def _share(self, point: StudyPoint) -> float:
        assert isinstance(point.parameters, ProgramPoint)
        pattern = point.parameters.pattern
        return 1.0 if pattern is None else Pattern.parse(pattern).share(self.dram_nodes)


def make_program_study(
    parameters: ProgramParameters, topology: Topology, workload: Workload | None = None
) -> ProgramStudy:
    """Turn parameters into the points of a sweep over a program.

    Parameters
    ----------
    parameters : ProgramParameters
        As the person gave them.
    topology : Topology
        This machine.
    workload : Workload, optional
        The workload, if it is not in a file.

    Raises
    ------
    HmexpError
        If a parameter cannot be used on this machine, or the workload has a mistake; nothing is written then.
    """
    workload = find_workload(parameters.workload) if workload is None else workload
    workload = workload.with_values(parameters.changed)
    workload.require_installed()
    dram = near_node(topology, dram=parameters.dram).id
    nodes = find_ratio(topology, dram=parameters.dram, slow=parameters.slow, far_dram=True)
    granule = read_page_size(parameters.granule)
    patterns = _patterns(parameters.patterns, nodes, granule, topology)
    ways = _ways(parameters.ways)
    shape = ProgramPoint(
        workload=workload.name,
        granule_bytes=granule,
        way=BASELINE_WAY,
        settle_seconds=parameters.settle_seconds,
        folder=str(workload.path.resolve().parent) if uses_folder(workload.record) else "",
        definition=workload.record,
    )
    asked, notes = _points(shape, patterns, ways)
    points = tuple(ProgramStudyPoint(point, parameters.launches) for point in asked)
    alone = replace(shape_of(shape, str(dram)), launches=parameters.launches)
    added = () if alone.id in {point.id for point in points} else (alone,)
    slow = tuple(
        sorted({node for p in patterns for node in p.distinct_nodes if _is_slow(node, dram, topology)})
    )
    if len(topology.usable_nodes) < 2:
        notes.append(f"Node {dram} is the only memory: the report compares, and judges nothing.")
    every = (*points, *added)
    return ProgramStudy(
        name=PROGRAM,
        parameters=parameters,
        points=every,
        topology=topology,
        headline=f"{workload.record.title}; {_say_axes(patterns, ways)}, beside node {dram} alone.",
        facts=StudyFacts(one_node=len(topology.usable_nodes) < 2, dram_node=dram),
        notes=tuple(notes),
        baselines={point.id: alone.id for point in every if point.id != alone.id},
        added=frozenset(point.id for point in added),
        dram_nodes=tuple(sorted({dram, *(n for p in patterns for n in p.distinct_nodes if n not in slow)})),
        slow_nodes=slow,
    )


def shape_of(shape: ProgramPoint, pattern: str) -> ProgramStudyPoint:
    """The point with that pattern, by the way that others are compared with."""
    return ProgramStudyPoint(msgspec.structs.replace(shape, pattern=pattern, way=BASELINE_WAY))


def _patterns(
    asked: tuple[str, ...], nodes: tuple[int, ...], granule: int, topology: Topology
) -> tuple[Pattern, ...]:
    if asked == AUTO:
        asked = _RATIOS if len(nodes) > 1 else (str(nodes[0]),)
    if len(nodes) < 2 and any(map(is_ratio, asked)):
        raise ParameterError(f"a ratio such as 1:1 needs two nodes, and there is {_say_nodes(nodes)}", _REAL)
    found = [Pattern.parse_any(text, nodes, granule) for text in asked]
    there = [node.id for node in topology.memory_nodes]
    for pattern in found:
        missing = [node for node in pattern.distinct_nodes if node not in there]
        if missing:
            raise ParameterError(
                f"pattern {pattern}: node {missing[0]} does not exist: there is {_say_nodes(there)}", _REAL
            )
    return tuple(dict.fromkeys(found))


def _ways(asked: tuple[str, ...]) -> tuple[str, ...]:
    for way in asked:
        if way not in (BEST, *WAYS):
            raise ParameterError(f"way {way!r} is unknown", f"use one or more of: {', '.join((BEST, *WAYS))}")
    return asked


def _points(
    shape: ProgramPoint, patterns: tuple[Pattern, ...], ways: tuple[str, ...]
) -> tuple[list[ProgramPoint], list[str]]:
    """A point for each way and each pattern that it can have, and what is left out."""
    points: list[ProgramPoint] = []
    notes: list[str] = []
    for way in ways:
        if way in WITHOUT_PATTERN:
            points.append(msgspec.structs.replace(shape, way=way, pattern=None))
            continue
        fitting = [pattern for pattern in patterns if _fits(way, pattern)]
        points += [msgspec.structs.replace(shape, way=way, pattern=str(pattern)) for pattern in fitting]
        if len(fitting) < len(patterns):
            what = "all pages on one node" if way == "node" else "equal shares of several nodes"
            left = ", ".join(str(pattern) for pattern in patterns if pattern not in fitting)
            notes.append(f"The way {way} has {what}: it is not measured with {left}.")
    if not points:
        raise ParameterError(
            "no way can do any of these patterns: " + " ".join(notes), "name other ways or other patterns"
        )
    return points, notes


def _fits(way: str, pattern: Pattern) -> bool:
    if way == "node":
        return len(pattern.distinct_nodes) == 1
    if way == "numactl":
        return len(pattern.distinct_nodes) > 1 and len(set(pattern.ratio().values())) == 1
    return True


def _is_slow(node: int, dram: int, topology: Topology) -> bool:
    """Whether a node counts as slow; without known slow memory, whatever is not the near DRAM does."""
    slow = {each.id for each in topology.slow_nodes} - {dram}
    return node in slow if slow else node != dram


def _say_nodes(nodes: Sequence[int]) -> str:
    return f"node{'s'[: len(nodes) > 1]} {', '.join(map(str, nodes))}"


def _say_axes(patterns: tuple[Pattern, ...], ways: tuple[str, ...]) -> str:
    shown = ", ".join(str(pattern) for pattern in patterns[:8]) + (", ..." if len(patterns) > 8 else "")
    return f"pattern{'s'[: len(patterns) > 1]} {shown} by {', '.join(ways)}"
