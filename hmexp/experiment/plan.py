"""The plan: every point that a sweep measures, checked against the machine before the first one."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from hmexp.errors import CapacityError, EmulationError, ParameterError, PatternError
from hmexp.experiment.baselines import add_baselines
from hmexp.experiment.parameters import SweepParameters
from hmexp.experiment.point import Point, hash_of
from hmexp.measure.bandwidth import find_operation, require_vectors
from hmexp.measure.launches import require_launches
from hmexp.measure.measurement import require_samples
from hmexp.measure.quantity import LATENCIES, figures_of, find_quantity, is_loaded, streaming
from hmexp.memory.emulation import EmulationRequest
from hmexp.memory.page_sizes import find_page_bytes, require_page_size
from hmexp.memory.placers import PLACERS, find_placer
from hmexp.memory.profile import FIGURES
from hmexp.memory.region import check_capacity
from hmexp.native import PAGE_BYTES, vector_bits
from hmexp.pattern import Pattern
from hmexp.system.cpus import allowed_cpus, choose_cpus
from hmexp.system.topology import Node, Topology
from hmexp.units import parse_size


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
    cpus : mapping of int to tuple of int
        The CPUs, by how many a point takes.
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
    cpus: Mapping[int, tuple[int, ...]]
    points: tuple[Point, ...]
    notes: tuple[str, ...] = ()
    baselines: Mapping[str, str] = field(default_factory=dict)
    added: frozenset[str] = frozenset()

    @property
    def launches(self) -> int:
        """How many launches there are, of all points."""
        return sum(point.launches for point in self.points)

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
    near = _near_node(topology)
    emulate = _resolve_emulation(parameters.emulate, topology)
    slow = (emulate.node,) if emulate else tuple(node.id for node in topology.slow_nodes)
    granules = [PAGE_BYTES if text == "page" else parse_size(text) for text in parameters.granules]
    patterns = _parse_patterns(parameters, (near.id, *slow[:1]), granules)
    pages = tuple(dict.fromkeys(map(find_page_bytes, parameters.pages)))
    for pattern, page_bytes in itertools.product(patterns, pages):
        require_page_size(pattern, page_bytes)
    size_bytes = -(-parse_size(parameters.size) // max(pages)) * max(pages)
    _check_nodes(patterns, topology, emulate, near.id, size_bytes)
    operations = _choose_operations(parameters.operations, emulate)
    placers = tuple(PLACERS) if parameters.placers == ("all",) else parameters.placers
    for placer in placers:
        find_placer(placer)
    require_launches(parameters.launches)
    most_samples = parameters.most_samples or None
    rule = require_samples(parameters.samples, parameters.sample_seconds, parameters.precision, most_samples)
    counts = _count_threads(parameters.threads, near, any(map(is_loaded, operations)))

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
        )
        for placer, page_bytes, operation, pattern, threads in itertools.product(
            placers, pages, operations, patterns, counts
        )
    ]
    points = list(dict.fromkeys(points))
    dram = tuple(node for node in named if node not in slow_named)
    added, baselines = add_baselines(
        points, dram or (near.id,), near.id, lambda point: _fits(point.parsed_pattern, size_bytes, topology)
    )
    slow_points = sum(not set(p.parsed_pattern.distinct_nodes) <= set(dram or (near.id,)) for p in points)
    if len(baselines) < slow_points:
        notes.append(
            f"node {near.id} has no room for a region of {parameters.size}: there is no all-DRAM point to "
            f"compare with"
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
        cpus={count: choose_cpus(count, near.cpus) for count in {1, *counts, *(p.cpu_count for p in every)}},
        points=every,
        notes=tuple(notes),
        baselines=baselines,
        added=frozenset(point.id for point in added),
    )


def _fits(pattern: Pattern, size_bytes: int, topology: Topology) -> bool:
    try:
        check_capacity(pattern, size_bytes, topology, total=True)
    except CapacityError:
        return False
    return True


def _near_node(topology: Topology) -> Node:
    """The node at which the threads run: the first with both memory and CPUs that we may use."""
    allowed = set(allowed_cpus())
    for node in topology.memory_nodes:
        if allowed & set(node.cpus):
            return node
    if not topology.memory_nodes:
        raise ParameterError("no node of this machine has memory", "see `hmexp nodes`")
    return topology.memory_nodes[0]


def _resolve_emulation(text: str, topology: Topology) -> EmulationRequest | None:
    word = text.strip()
    if word == "none" or (word == "auto" and topology.slow_nodes):
        return None
    taken = {node.id for node in topology.nodes}
    if word == "auto":
        # The original design's slow node is 2.
        node = next(node for node in itertools.count(2) if node not in taken)
        return EmulationRequest.parse(f"{node}={EmulationRequest.default_profile()}")
    request = EmulationRequest.parse(word)
    if request.node in taken:
        raise ParameterError(
            f"emulate {text!r}: node {request.node} is a real node of this machine",
            "emulate a node with an id of its own",
        )
    return request


def _parse_patterns(
    parameters: SweepParameters, ratio_nodes: tuple[int, ...], granules: list[int]
) -> tuple[Pattern, ...]:
    patterns = [
        Pattern.parse_any(text, ratio_nodes, granule) for text in parameters.patterns for granule in granules
    ]
    for pattern in patterns:
        pattern.granule_pages(PAGE_BYTES)
    return tuple(dict.fromkeys(patterns))


def _check_nodes(
    patterns: tuple[Pattern, ...],
    topology: Topology,
    emulate: EmulationRequest | None,
    backing_node: int,
    size_bytes: int,
) -> None:
    real = {node.id for node in topology.memory_nodes}
    for pattern in patterns:
        for node in pattern.distinct_nodes:
            if node in real or (emulate is not None and node == emulate.node):
                continue
            there = f"real are {', '.join(map(str, sorted(real)))}"
            there += f", emulated is {emulate.node}" if emulate else ", none is emulated"
            free = next(other for other in itertools.count(2) if other not in real)
            raise PatternError(
                f"pattern {pattern}: node {node} is neither a real node with memory nor an emulated one "
                f"({there})",
                f"see `hmexp nodes`; to emulate a slow node, say "
                f"emulate {free}={EmulationRequest.default_profile()}",
            )
        real_pattern = pattern if emulate is None else pattern.replace_nodes({emulate.node: backing_node})
        check_capacity(real_pattern, size_bytes, topology, total=True)


def _choose_operations(given: tuple[str, ...], emulate: EmulationRequest | None) -> tuple[str, ...]:
    """The operations by their own names; refused now if they cannot be measured, not at the first point."""
    chosen = tuple(dict.fromkeys(map(find_quantity, given)))
    for name in chosen:
        operation = streaming(name)
        if operation is not None:
            require_vectors(None, find_operation(operation))
        if name.startswith("store_") and vector_bits() == 64:
            raise ParameterError(
                f"hmexp has no store for this CPU that {name} could be measured with", "measure latency"
            )
        if emulate is not None:
            _require_figures(name, operation, emulate)
    return chosen


def _require_figures(name: str, operation: str | None, emulate: EmulationRequest) -> None:
    profile = emulate.profile
    if operation is not None:
        profile.slow.occupation_ns(operation, 1)
    for figure in map(FIGURES.__getitem__, figures_of(name)):
        if None in (getattr(profile.slow, figure), getattr(profile.dram, figure)):
            raise EmulationError(
                f"{name} needs the figure {figure}, which the profile {profile.name} does not have",
                "add it to a profile of your own, for dram and for slow, or measure something else",
            )


def _count_threads(threads: tuple[int, ...], near: Node, loaded: bool) -> tuple[int, ...]:
    # One CPU is left to everything else: a thread that shares its CPU measures the scheduler.
    automatic = max(1, len(set(allowed_cpus()) & set(near.cpus)) - 1)
    counts = tuple(dict.fromkeys(automatic if count == 0 else count for count in threads))
    for count in counts:
        choose_cpus(count, near.cpus)  # refuses too many, and what is no number of threads
        if loaded and count + 1 > len(allowed_cpus()):
            raise ParameterError(
                f"{count} threads that load and one that chases are more than the {len(allowed_cpus())} CPUs",
                "use fewer threads, or leave out loaded latency",
            )
    return counts
