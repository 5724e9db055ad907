"""The plan: every point that a sweep measures, checked against the machine before the first one."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from hmexp.errors import CapacityError
from hmexp.experiment.point import Point, hash_of
from hmexp.measure.launches import require_launches
from hmexp.measure.measurement import require_samples
from hmexp.measure.quantity import LATENCIES, is_loaded
from hmexp.memory.emulation import EmulationRequest
from hmexp.memory.page_sizes import find_page_bytes, require_page_size
from hmexp.memory.placers import PLACERS, find_placer
from hmexp.memory.region import check_capacity
from hmexp.native import PAGE_BYTES
from hmexp.sweep.access import find_access
from hmexp.sweep.axes import (
    check_nodes,
    choose_nodes,
    choose_operations,
    count_threads,
    cpus_for,
    near_node,
    parse_patterns,
    require_strides,
    resolve_emulation,
)
from hmexp.sweep.baselines import add_baselines
from hmexp.sweep.filters import choose
from hmexp.sweep.parameters import SweepParameters
from hmexp.system.topology import Topology
from hmexp.units import format_size, parse_size


@dataclass(frozen=True)
class Plan:
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
        Real node that backs it, and whose CPUs the threads run on.
    cpus : mapping of (int, str) to tuple of int
        The CPUs, by how many a point takes, and on which node.
    points : tuple of Point
        In the order of the parameters, and those that were added at the end.
    baselines : mapping of str to str
        Id of the all-DRAM point that a point is compared with, by the point's own.
    added : frozenset of str
        Ids of the points that were not asked for: all-DRAM ones, to compare with.
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
    points: tuple[Point, ...]
    notes: tuple[str, ...] = ()
    baselines: Mapping[str, str] = field(default_factory=dict)
    added: frozenset[str] = frozenset()

    @property
    def launches(self) -> int:
        """How many launches there are, of all points."""
        return sum(point.launches for point in self.points)

    def cpus_of(self, point: Point) -> tuple[int, ...]:
        """The CPUs that the threads of a point are pinned to: the same for all points that take as many."""
        return self.cpus[point.cpu_count, point.cpu_node]

    @property
    def hash(self) -> str:
        """The same for the same points and, if a node is emulated, the same profile."""
        profile = None if self.emulate is None else asdict(self.emulate.profile)
        return hash_of({"points": sorted(point.id for point in self.points), "profile": profile})

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


def make_plan(parameters: SweepParameters, topology: Topology) -> Plan:
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
    near = near_node(topology)
    emulate = resolve_emulation(parameters.emulate, topology)
    slow = (emulate.node,) if emulate else tuple(node.id for node in topology.slow_nodes)
    granules = [PAGE_BYTES if text == "page" else parse_size(text) for text in parameters.granules]
    patterns = parse_patterns(parameters, (near.id, *slow[:1]), granules)
    pages = tuple(dict.fromkeys(map(find_page_bytes, parameters.pages)))
    for pattern, page_bytes in itertools.product(patterns, pages):
        require_page_size(pattern, page_bytes)
    sizes = tuple(dict.fromkeys(-(-parse_size(text) // max(pages)) * max(pages) for text in parameters.size))
    check_nodes(patterns, topology, emulate, near.id, max(sizes))
    operations = choose_operations(parameters.operations, emulate)
    placers = tuple(PLACERS) if parameters.placers == ("all",) else parameters.placers
    for placer in placers:
        find_placer(placer)
    require_launches(parameters.launches)
    most_samples = parameters.most_samples or None
    rule = require_samples(parameters.samples, parameters.sample_seconds, parameters.precision, most_samples)
    accesses = tuple(dict.fromkeys(map(find_access, parameters.access)))
    loaded = any(map(is_loaded, operations))
    counts = {
        node: count_threads(parameters.threads, node, near, topology, loaded)
        for node in choose_nodes(parameters.cpu_nodes, topology)
    }

    named = tuple(dict.fromkeys(node for pattern in patterns for node in pattern.distinct_nodes))
    slow_named = tuple(node for node in named if node in slow)
    notes = list(topology.notes)
    if not slow_named and len(named) > 1:
        # Two sockets: the far one stands for the slow memory.
        slow_named = tuple(node for node in named if node != near.id)
        notes.append(
            f"no node of the patterns is slow memory; node {', '.join(map(str, slow_named))}, away from the "
            f"CPUs of node {near.id}, is taken for it"
        )
    points = [
        Point(
            pattern=str(pattern),
            granule_bytes=pattern.granule_bytes,
            size_bytes=size_bytes,
            placer=placer,
            operation=operation,
            threads=1 if operation in LATENCIES else threads,
            samples=parameters.samples,
            sample_seconds=parameters.sample_seconds,
            emulate=str(emulate) if emulate else None,
            page_bytes=page_bytes,
            launches=parameters.launches,
            precision=rule.precision,
            most_samples=rule.most_samples,
            access=access,
            cpu_node=cpu_node,
        )
        for placer, page_bytes, size_bytes, operation, access, pattern, cpu_node in itertools.product(
            placers, pages, sizes, operations, accesses, patterns, counts
        )
        for threads in counts[cpu_node]
    ]
    points = choose(list(dict.fromkeys(points)), parameters.only, parameters.without, (near.id, *slow[:1]))
    for point in points:
        require_strides(point)
    dram = tuple(node for node in named if node not in slow_named)
    added, baselines = add_baselines(
        points, dram or (near.id,), near.id, lambda point: _fits(point, topology)
    )
    slow_points = [p for p in points if not set(p.parsed_pattern.distinct_nodes) <= set(dram or (near.id,))]
    alone = sorted({p.size_bytes for p in slow_points if p.id not in baselines})
    if alone:
        notes.append(
            f"node {near.id} has no room for a region of {', '.join(map(format_size, alone))}: there is no "
            f"all-DRAM point to compare with"
        )
    if added and near.id not in dram:
        dram = (near.id, *dram)
    every = (*points, *added)
    return Plan(
        parameters=parameters,
        topology=topology,
        dram_nodes=dram,
        slow_nodes=slow_named,
        emulate=emulate,
        backing_node=near.id,
        # One CPU of each node is for what scales an emulation: latency.
        cpus={
            (count, node): cpus_for(count, node, near, topology)
            for point in every
            for count, node in ((1, point.cpu_node), (point.cpu_count, point.cpu_node))
        },
        points=every,
        notes=tuple(notes),
        baselines=baselines,
        added=frozenset(point.id for point in added),
    )


def _fits(point: Point, topology: Topology) -> bool:
    try:
        check_capacity(point.parsed_pattern, point.size_bytes, topology, total=True)
    except CapacityError:
        return False
    return True
