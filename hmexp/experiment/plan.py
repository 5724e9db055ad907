"""The plan: every point that a sweep measures, checked against the machine before the first one."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from hmexp.errors import ParameterError, PatternError
from hmexp.experiment.parameters import SweepParameters
from hmexp.measure.bandwidth import OPERATIONS as BANDWIDTH_OPERATIONS
from hmexp.measure.bandwidth import find_operation, require_vectors
from hmexp.measure.measurement import require_samples
from hmexp.memory.emulation import EmulationRequest
from hmexp.memory.placers import PLACERS, find_placer
from hmexp.memory.region import check_capacity
from hmexp.native import PAGE_BYTES
from hmexp.pattern import Pattern
from hmexp.system.cpus import allowed_cpus, choose_cpus
from hmexp.system.topology import Node, Topology
from hmexp.units import parse_size

#: Of the records; a change makes old points other points.
SCHEMA: Final = 1
OPERATIONS: Final = (*BANDWIDTH_OPERATIONS, "latency")


@dataclass(frozen=True)
class Point:
    """One combination of parameters: what is measured, stored and resumed."""

    pattern: str
    granule_bytes: int
    size_bytes: int
    placer: str
    operation: str
    threads: int
    samples: int
    sample_seconds: float
    emulate: str | None

    @property
    def id(self) -> str:
        """Stable name: a hash of the parameters and of the schema of the records."""
        return _hash({"schema": SCHEMA, **asdict(self)})

    @property
    def parsed_pattern(self) -> Pattern:
        """The pattern with its granule."""
        return Pattern.parse(self.pattern, self.granule_bytes)

    def to_record(self) -> dict[str, Any]:
        """The parameters as JSON-able values."""
        return asdict(self)

    def __str__(self) -> str:
        pattern = self.pattern if len(self.pattern) <= 24 else f"{self.pattern[:21]}..."
        return (
            f"{self.operation} on {pattern} by {self.placer}, {self.threads} thread{'s'[: self.threads > 1]}"
        )


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
        CPUs for each number of threads.
    points : tuple of Point
        In the order of the parameters.
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

    @property
    def hash(self) -> str:
        """The same for the same points and, if a node is emulated, the same profile."""
        profile = None if self.emulate is None else asdict(self.emulate.profile)
        return _hash({"points": sorted(point.id for point in self.points), "profile": profile})

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
    size_bytes = -(-parse_size(parameters.size) // PAGE_BYTES) * PAGE_BYTES
    _check_nodes(patterns, topology, emulate, near.id, size_bytes)
    operations = _choose_operations(parameters.operations, emulate)
    placers = tuple(PLACERS) if parameters.placers == ("all",) else parameters.placers
    for placer in placers:
        find_placer(placer)
    require_samples(parameters.samples, parameters.sample_seconds)
    cpus = _assign_cpus(parameters.threads, near)

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
    points = []
    for placer, operation, pattern, threads in itertools.product(placers, operations, patterns, cpus):
        point = Point(
            pattern=str(pattern),
            granule_bytes=pattern.granule_bytes,
            size_bytes=size_bytes,
            placer=placer,
            operation=operation,
            threads=1 if operation == "latency" else threads,
            samples=parameters.samples,
            sample_seconds=parameters.sample_seconds,
            emulate=str(emulate) if emulate else None,
        )
        points.append(point)
    return Plan(
        parameters=parameters,
        topology=topology,
        dram_nodes=tuple(node for node in named if node not in slow_named),
        slow_nodes=slow_named,
        emulate=emulate,
        backing_node=near.id,
        cpus={**cpus, 1: choose_cpus(1, near.cpus)},
        points=tuple(dict.fromkeys(points)),
        notes=tuple(notes),
    )


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
    chosen = []
    for name in given:
        if name == "latency":
            chosen.append(name)
            continue
        try:
            operation = find_operation(name)
        except ParameterError:
            raise ParameterError(
                f"operation {name!r} is unknown", f"use some of: {', '.join(OPERATIONS)}"
            ) from None
        require_vectors(None, operation)
        if emulate is not None:
            # Refused now if the profile lacks a figure, not at the first point.
            emulate.profile.slow.occupation_ns(operation.name, 1)
        chosen.append(operation.name)
    return tuple(dict.fromkeys(chosen))


def _assign_cpus(threads: tuple[int, ...], near: Node) -> dict[int, tuple[int, ...]]:
    # One CPU is left to everything else: a thread that shares its CPU measures the scheduler.
    automatic = max(1, len(set(allowed_cpus()) & set(near.cpus)) - 1)
    counts = dict.fromkeys(automatic if count == 0 else count for count in threads)
    return {count: choose_cpus(count, near.cpus) for count in counts}


def _hash(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
