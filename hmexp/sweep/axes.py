"""The axes of a sweep's grid, checked against the machine: patterns, operations, threads, CPU nodes."""

from __future__ import annotations

import itertools

from hmexp.errors import EmulationError, ParameterError, PatternError
from hmexp.measure.operation import find_operation
from hmexp.measure.quantity import figures_of, find_quantity, streaming
from hmexp.measure.walk import require_vectors
from hmexp.memory.capacity import check_capacity
from hmexp.memory.emulation import EmulationRequest
from hmexp.memory.speed import FIGURES
from hmexp.native import PAGE_BYTES, vector_bits
from hmexp.pattern import Pattern
from hmexp.sweep.access import read_access
from hmexp.sweep.parameters import SweepParameters
from hmexp.sweep.point import NEAR, SweepPoint
from hmexp.system.cpus import allowed_cpus, choose_cpus
from hmexp.system.topology import Node, Topology
from hmexp.units import format_size


def parse_patterns(
    parameters: SweepParameters, ratio_nodes: tuple[int, ...], granules: list[int]
) -> tuple[Pattern, ...]:
    """Read the patterns and ratios of a sweep, each at every granule, each once."""
    patterns = [
        Pattern.parse_any(text, ratio_nodes, granule) for text in parameters.patterns for granule in granules
    ]
    for pattern in patterns:
        pattern.granule_pages(PAGE_BYTES)
    return tuple(dict.fromkeys(patterns))


def check_nodes(
    patterns: tuple[Pattern, ...],
    topology: Topology,
    emulate: EmulationRequest | None,
    backing_node: int,
    size_bytes: int,
) -> None:
    """Refuse patterns that name a node which is not there."""
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
        check_capacity(real_pattern, size_bytes, topology, total=True, asked=pattern)


def choose_operations(given: tuple[str, ...], emulate: EmulationRequest | None) -> tuple[str, ...]:
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


def choose_nodes(texts: tuple[str, ...], topology: Topology) -> tuple[str, ...]:
    """The nodes on whose CPUs threads run: ``near``, or a node's number.

    Raises
    ------
    ParameterError
        If one of them is no node, or this process may use none of its CPUs.
    """
    allowed = set(allowed_cpus())
    usable = [str(node.id) for node in topology.nodes if allowed & set(node.cpus)]
    chosen = tuple(dict.fromkeys(text.strip() for text in texts))
    for text in chosen:
        if text != NEAR and text not in usable:
            raise ParameterError(
                f"cpu_nodes {text!r} is not a node with CPUs that this process may use",
                f"use {NEAR}, or one or more of: {', '.join(usable)}; see `hmexp nodes`",
            )
    return chosen


def cpus_for(count: int, cpu_node: str, home: Node, topology: Topology) -> tuple[int, ...]:
    """A CPU for each of so many threads.

    Raises
    ------
    ParameterError
        If there are not as many, or it is no number of threads.
    """
    if cpu_node == NEAR:
        return choose_cpus(count, home.cpus)
    own = set(allowed_cpus()) & set(topology.node(int(cpu_node)).cpus)
    if count > len(own):
        raise ParameterError(
            f"threads {count} is beyond the CPUs of node {cpu_node}, of which this process may use "
            f"{len(own)}",
            f"use fewer threads, or cpu_nodes {NEAR}, which takes other nodes' CPUs too",
        )
    return choose_cpus(count, own, own)


def count_threads(
    threads: tuple[int, ...], cpu_node: str, home: Node, topology: Topology, *, loaded: bool
) -> tuple[int, ...]:
    """The numbers of threads, with 0 made the number that it stands for; one more must fit in if `loaded`."""
    node = home if cpu_node == NEAR else topology.node(int(cpu_node))
    # One CPU is left to everything else: a thread that shares its CPU measures the scheduler.
    automatic = max(1, len(set(allowed_cpus()) & set(node.cpus)) - 1)
    counts = tuple(dict.fromkeys(automatic if count == 0 else count for count in threads))
    for count in counts:
        if count < 0:
            raise ParameterError(
                f"threads {count} is not a number of threads",
                "use 1 or more, or auto (0 in a notebook) for all CPUs but one",
            )
        cpus_for(count, cpu_node, home, topology)
        room = len(allowed_cpus() if cpu_node == NEAR else set(allowed_cpus()) & set(node.cpus))
        if loaded and count + 1 > room:
            where = "" if cpu_node == NEAR else f" of node {cpu_node}"
            raise ParameterError(
                f"{count} threads that load and one that chases are more than the {room} CPUs{where}",
                "use fewer threads, or leave out loaded latency",
            )
    return counts


def require_strides(point: SweepPoint) -> None:
    """Refuse a stride that is longer than what a thread goes over.

    Raises
    ------
    ParameterError
        Naming both lengths.
    """
    order, stride_bytes = read_access(point.access)
    if order != "strided":
        return
    part_bytes = point.size_bytes // point.threads // find_operation(point.operation).streams
    if stride_bytes > part_bytes:
        raise ParameterError(
            f"access {point.access}: a stride of {format_size(stride_bytes)} is more than the "
            f"{format_size(part_bytes)} of a region of {format_size(point.size_bytes)} that each of "
            f"{point.threads} threads goes over for {point.operation}",
            "use a shorter stride, fewer threads or larger regions",
        )
