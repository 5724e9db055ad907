"""What a matrix is made of: which CPUs, which memory, and how many threads between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from hmexp.errors import CapacityError, ParameterError, TopologyError
from hmexp.measure.quantity import LATENCIES, is_loaded
from hmexp.memory.capacity import check_capacity
from hmexp.memory.emulated_node import find_request
from hmexp.pattern import Pattern
from hmexp.sweep.point import SweepPoint
from hmexp.system.cpus import allowed_cpus
from hmexp.system.topology import Topology
from hmexp.units import parse_size

AUTO: Final = ("auto",)

#: The CPUs of each initiator that this process may use.
Initiators = Mapping[int, tuple[int, ...]]


def find_initiators(asked: tuple[str, ...], topology: Topology) -> Initiators:
    """Choose the nodes whose CPUs measure.

    Raises
    ------
    TopologyError
        If this process may use no node's CPUs.
    ParameterError
        If one that was asked for is no node with CPUs that this process may use.
    """
    allowed = set(allowed_cpus())
    usable = {node.id: own for node in topology.nodes if (own := tuple(sorted(allowed & set(node.cpus))))}
    if not usable:
        raise TopologyError(
            "no node of this machine has CPUs that this process may use",
            "see `hmexp nodes` and taskset -p $$",
        )
    if asked == AUTO:
        return usable
    known = _known("initiators", asked, map(str, usable), "a node with CPUs that this process may use")
    return {int(text): usable[int(text)] for text in known}


def find_targets(
    asked: tuple[str, ...], size: str, emulate: str, topology: Topology
) -> tuple[tuple[str, ...], list[str]]:
    """Choose the nodes whose memory is measured, and say which are left out because they are too small.

    Parameters
    ----------
    asked : tuple of str
        Their numbers; ``auto`` is all that have room.
    size : str
        Of each region.
    emulate : str
        The emulated node, as for a sweep.
    topology : Topology
        The machine.

    Raises
    ------
    TopologyError
        If this process may use no node's memory.
    ParameterError
        If one that was asked for is no node with memory that this process may use.
    CapacityError
        If no node has room for a region.
    """
    usable = [str(node.id) for node in topology.memory_nodes if topology.may_use(node.id)]
    request = find_request(emulate, topology)
    emulated = [] if request is None else [str(request.node)]
    if not usable:
        raise TopologyError("no node has memory that this process may use", "see `hmexp nodes`")
    if asked != AUTO:
        what = "a node with memory that this process may use"
        return _known("nodes", asked, [*usable, *emulated], what), []
    size_bytes = parse_size(size)
    kept, notes, full = [], [], None
    for node in usable:
        try:
            check_capacity(Pattern.parse(node), size_bytes, topology, total=True)
        except CapacityError as error:
            full = full or error
            notes.append(f"Node {node} is left out: {error.message}; --size takes a smaller region.")
        else:
            kept.append(node)
    if full is not None and not kept:
        raise full
    return (*kept, *emulated), notes


def find_points(
    planned: Iterable[SweepPoint], operations: Sequence[str], threads: int, initiators: Initiators
) -> tuple[tuple[SweepPoint, ...], list[str]]:
    """Make a point for each cell, and say which cannot be measured.

    A bandwidth takes all CPUs of its initiator, a latency under load leaves one of them to the chase.

    Parameters
    ----------
    planned : iterable of SweepPoint
        At least one for each initiator and node.
    operations : sequence of str
        What is measured of each.
    threads : int
        As they were asked for; 0 is all.
    initiators : mapping of int to tuple of int
        Their CPUs.

    Raises
    ------
    ParameterError
        If that many threads that load leave no CPU to the chase, or no operation is left.
    """
    pairs = {(point.pattern, point.cpu_node): point for point in planned if int(point.cpu_node) in initiators}
    single = [node for node, own in initiators.items() if len(own) < 2]
    loaded = any(map(is_loaded, operations))
    for node, own in initiators.items():
        if loaded and node not in single and threads + 1 > len(own):
            raise ParameterError(
                f"{threads} threads that load and one that chases are more than the {len(own)} CPUs of node "
                f"{node}",
                "use fewer threads, or leave out loaded latency",
            )
    points = tuple(
        replace(pair, operation=name, access=None, threads=_count(name, threads, len(initiators[int(node)])))
        for name in operations
        for (_, node), pair in pairs.items()
        if not (is_loaded(name) and int(node) in single)
    )
    if not points:
        raise ParameterError(
            f"node {', '.join(map(str, single))} has one CPU that this process may use: loaded latency needs "
            "two",
            "name other initiators, or an idle latency",
        )
    notes = [
        f"Loaded latency from node {node} is left out: it needs two CPUs, and the node has one that this "
        "process may use."
        for node in (single if loaded else ())
    ]
    return points, notes


def _count(operation: str, threads: int, cpus: int) -> int:
    if operation in LATENCIES:
        return 1
    return threads or cpus - is_loaded(operation)


def _known(name: str, asked: tuple[str, ...], usable: Iterable[str], what: str) -> tuple[str, ...]:
    there = tuple(usable)
    chosen = tuple(dict.fromkeys(text.strip() for text in asked))
    for text in chosen:
        if text not in there:
            raise ParameterError(
                f"{name} {text!r} is not {what}",
                f"use auto, or one or more of: {', '.join(there)}; see `hmexp nodes`",
            )
    return chosen
