"""The plan: every point that a sweep measures, checked against the machine before the first one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hmexp.errors import CapacityError
from hmexp.experiment.protocol import Options
from hmexp.experiment.task import Task
from hmexp.memory.capacity import check_capacity
from hmexp.memory.emulation import Emulation, EmulationRequest
from hmexp.memory.profile import Profile
from hmexp.store.records import RunRecord
from hmexp.sweep.axes import cpus_for, require_strides
from hmexp.sweep.baselines import add_baselines
from hmexp.sweep.checks import parse_budget
from hmexp.sweep.filters import choose
from hmexp.sweep.grid import make_grid
from hmexp.sweep.parameters import SweepParameters
from hmexp.sweep.point import SweepPoint, hash_of
from hmexp.sweep.roles import Roles, find_roles
from hmexp.system.caches import explain_cached, last_level_cache_bytes
from hmexp.system.limits import note_quota
from hmexp.system.provenance import collect, timing_validity
from hmexp.system.topology import Topology
from hmexp.units import explain_size, format_size, parse_size


@dataclass(frozen=True)
class SweepPlan:
    """What a sweep does on this machine.

    Parameters
    ----------
    parameters : SweepParameters
        As given.
    topology : Topology
        The machine.
    dram_nodes, slow_nodes : tuple of int
        Which nodes of the patterns count as DRAM, and which as slow.
    emulate : EmulationRequest or None
        The emulated node, if any.
    backing_node : int
        Real node that backs it: the DRAM of a ratio, and that of the points to compare with.
    cpus : mapping of (int, str) to tuple of int
        The CPUs, by how many a point takes, and on which node.
    points : tuple of SweepPoint
        In the order of the parameters, and those that were added at the end.
    baselines : mapping of str to str
        Id of the all-DRAM point that a point is compared with, by the point's own.
    added : frozenset of str
        Ids of the points that were not asked for: all-DRAM ones, to compare with.
    ratio_nodes : tuple of int
        The nodes of a ratio: the DRAM, and the slow one if there is any.
    notes : tuple of str
        What the reader should know before the first number.
    """

    parameters: SweepParameters
    topology: Topology
    dram_nodes: tuple[int, ...]
    slow_nodes: tuple[int, ...]
    emulate: EmulationRequest | None
    backing_node: int
    cpus: Mapping[tuple[int, str], tuple[int, ...]]
    points: tuple[SweepPoint, ...]
    notes: tuple[str, ...] = ()
    baselines: Mapping[str, str] = field(default_factory=dict)
    added: frozenset[str] = frozenset()
    ratio_nodes: tuple[int, ...] = ()

    @property
    def launches(self) -> int:
        """How many launches there are, of all points."""
        return sum(point.launches for point in self.points)

    @property
    def options(self) -> Options:
        """How it is to be carried out."""
        given = self.parameters
        return Options(
            results=given.results,
            run=given.run,
            timeout_seconds=given.timeout_seconds,
            seed=given.seed,
            repeat=given.repeat,
            retry_unstable=given.retry_unstable,
            start=given.start,
            precision=given.precision,
            budget_seconds=parse_budget(given.budget),
            budget=given.budget,
        )

    def cpus_of(self, point: SweepPoint) -> tuple[int, ...]:
        """The CPUs that the threads of a point are pinned to: the same for all points that take as many."""
        return self.cpus[point.cpu_count, point.cpu_node]

    @property
    def hash(self) -> str:
        """The same for the same points and, if a node is emulated, the same profile."""
        profile = None if self.emulate is None else self.emulate.profile.identity()
        return hash_of({"points": sorted(point.id for point in self.points), "profile": profile})

    def describe(self) -> RunRecord:
        """What `run.json` says of it at first."""
        valid, note = timing_validity()
        return RunRecord(
            name="",
            plan=self.hash,
            title="hmexp sweep",
            headline=self.headline,
            notes=self.notes,
            parameters=self.parameters.to_record(),
            dram_nodes=self.dram_nodes,
            slow_nodes=self.slow_nodes,
            nodes=self.topology.as_records(),
            provenance=collect(),
            timing_valid=valid,
            timing_note=note,
        )

    def task(self, point: SweepPoint, emulation: Emulation | None, launch: int) -> Task:
        """What a worker is asked for a launch of a point."""
        return Task(
            point_id=point.id,
            parameters=point.to_record(),
            launch=launch,
            emulation=None if emulation is None else emulation.to_record(),
            dram_nodes=self.dram_nodes,
            cpus=self.cpus_of(point),
        )

    @property
    def headline(self) -> str:
        """The first thing to say: whether the slow memory is real."""
        if self.emulate is not None:
            return (
                f"EMULATED: node {self.emulate.node} is {self.emulate.profile.title}, modelled in software "
                f"on the DRAM of node {self.backing_node} and scaled to this host. Its numbers say nothing "
                f"about this machine."
            )
        used = ", ".join(f"{n} ({self.topology.node(n).kind})" for n in (*self.dram_nodes, *self.slow_nodes))
        return f"Real nodes: {used}. Nothing is emulated."


def make_plan(parameters: SweepParameters, topology: Topology) -> SweepPlan:
    """Expand parameters to points, refusing what this machine cannot do.

    Raises
    ------
    ParameterError
        If a parameter cannot be used (patterns, sizes, threads and so on).
    TopologyError
        If a pattern names a node that is neither real nor emulated.
    CapacityError
        If a node is smaller than a region would need.
    EmulationError
        If the emulation profile cannot be used.
    """
    roles = find_roles(parameters, topology)
    near, emulate = roles.dram, roles.emulate
    grid = make_grid(parameters, topology, emulate, roles)
    named = tuple(dict.fromkeys(node for pattern in grid.patterns for node in pattern.distinct_nodes))
    slow_named, notes = _find_slow(named, roles, topology)
    points = choose(grid.points(parameters, emulate), parameters.only, parameters.without, roles.ratio_nodes)
    notes += _explain_parameters(parameters, max(grid.page_sizes), emulate)
    for point in points:
        require_strides(point)
    dram = tuple(node for node in named if node not in slow_named)
    fast = dram or (near.id,)
    added, baselines = add_baselines(points, fast, near.id, lambda point: _fits(point, topology))
    notes += _note_missing_baselines(points, baselines, fast, near.id)
    if added and near.id not in dram:
        dram = (near.id, *dram)
    every = (*points, *added)
    throttled = note_quota(topology.limits, max(point.cpu_count for point in every))
    notes += [throttled] if throttled is not None else []
    return SweepPlan(
        parameters=parameters,
        topology=topology,
        dram_nodes=dram,
        slow_nodes=slow_named,
        emulate=emulate,
        backing_node=near.id,
        # One CPU of each node is for what scales an emulation: latency.
        cpus={
            (count, node): cpus_for(count, node, roles.home, topology)
            for point in every
            for count, node in ((1, point.cpu_node), (point.cpu_count, point.cpu_node))
        },
        points=every,
        notes=tuple(notes),
        baselines=baselines,
        added=frozenset(point.id for point in added),
        ratio_nodes=roles.ratio_nodes,
    )


def _find_slow(named: tuple[int, ...], roles: Roles, topology: Topology) -> tuple[tuple[int, ...], list[str]]:
    """Which of the named nodes count as slow, and what is to be said about it."""
    found = tuple(node for node in named if node in roles.slow_nodes)
    notes = list(topology.notes)
    if not found and len(named) > 1:
        # Two sockets: the far one stands for the slow memory.
        found = tuple(node for node in named if node != roles.dram.id)
        notes.append(
            f"no node of the patterns is known to be slow memory; node {', '.join(map(str, found))}, away "
            f"from the CPUs of node {roles.home.id}, is taken for it"
        )
    return found, notes


def _explain_parameters(
    parameters: SweepParameters, page_bytes: int, emulate: EmulationRequest | None
) -> list[str]:
    """What the parameters are taken for, where that is not plain to see."""
    explained = ((text, explain_size(text, page_bytes)) for text in parameters.size)
    notes = [f"size {text} {note}" for text, note in explained if note is not None]
    if emulate is None:  # an emulated node has its speed in the cache, too
        cache = last_level_cache_bytes()
        cached = ((text, explain_cached(parse_size(text), cache)) for text in parameters.size)
        notes += [f"size {text} {note}" for text, note in cached if note is not None]
    if emulate is not None and parameters.emulate.strip() == "auto":
        others = [name for name in Profile.names() if name != emulate.profile.name]
        choices = " or ".join(f"emulate {emulate.node}={name}" for name in others)
        notes.append(f"the emulated node has the speed of {emulate.profile.name}; {choices} gives another")
    return notes


def _note_missing_baselines(
    points: Sequence[SweepPoint], baselines: Mapping[str, str], fast: tuple[int, ...], near: int
) -> list[str]:
    slow_points = [point for point in points if not set(point.parsed_pattern.distinct_nodes) <= set(fast)]
    alone = sorted({point.size_bytes for point in slow_points if point.id not in baselines})
    if not alone:
        return []
    sizes = ", ".join(map(format_size, alone))
    return [f"node {near} has no room for a region of {sizes}: there is no all-DRAM point to compare with"]


def _fits(point: SweepPoint, topology: Topology) -> bool:
    try:
        check_capacity(point.parsed_pattern, point.size_bytes, topology, total=True)
    except CapacityError:
        return False
    return True
