"""Whether regions fit: on nodes that may be used, in their memory, and in the limits of this process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hmexp.errors import CapacityError, PatternError
from hmexp.memory.placement import describe_need
from hmexp.pattern import Pattern
from hmexp.system.limit import MemoryLimit
from hmexp.system.sysfs import format_id_list
from hmexp.system.topology import Topology
from hmexp.units import format_size

#: What a worker takes besides its regions: Python with numpy, and the stacks of its threads [bytes].
_WORKER_BYTES: Final = 32 << 20
#: The same as address space [bytes].
_WORKER_ADDRESS_BYTES: Final = 160 << 20


def check_capacity(
    pattern: Pattern,
    size_bytes: int,
    topology: Topology,
    *,
    total: bool = False,
    fresh: bool = False,
    asked: Pattern | None = None,
) -> None:
    """Refuse a region that cannot be held, before the kernel has to.

    A thread that is bound to a full node, or whose cgroup is full, is killed without an error.

    Parameters
    ----------
    pattern : Pattern
        Of real nodes.
    size_bytes : int
        Size of the region [bytes].
    topology : Topology
        The machine, with the limits of this process.
    total : bool
        Compare with all the memory of the node rather than with what is free now.
    fresh : bool
        The region is made by a process that has yet to start, which `total` implies.
    asked : Pattern, optional
        The pattern with its emulated nodes, for the message.

    Raises
    ------
    TopologyError
        If a node of the pattern does not exist or has no memory.
    PatternError
        If this process may not use a node of the pattern.
    CapacityError
        If a node has too little memory, or a limit of this process leaves too little.
    """
    check_regions(
        [(pattern, size_bytes)], topology, total=total, fresh=fresh, asked=[] if asked is None else [asked]
    )


def check_regions(
    regions: Sequence[tuple[Pattern, int]],
    topology: Topology,
    *,
    total: bool = False,
    fresh: bool = False,
    asked: Sequence[Pattern] = (),
) -> None:
    """Refuse regions that cannot be held all at once; see `check_capacity`.

    Parameters
    ----------
    regions : sequence of (Pattern, int)
        The pattern of each, of real nodes, and its size [bytes].
    topology, total, fresh
        As for `check_capacity`.
    asked : sequence of Pattern
        The patterns with their emulated nodes, for the message.
    """
    needs: dict[int, int] = {}
    for pattern, size_bytes in regions:
        for node_id, need_bytes in describe_need(pattern, size_bytes).items():
            require_allowed(node_id, pattern, topology)
            needs[node_id] = needs.get(node_id, 0) + need_bytes
    shown = asked or [pattern for pattern, _ in regions]
    what = _describe([(name, *region) for name, region in zip(shown, regions, strict=True)])
    _check_limits(what, sum(needs.values()), topology, fresh=fresh or total)
    for node_id, need_bytes in needs.items():
        node = topology.node(node_id)
        has_bytes = node.total_bytes if total else node.free_bytes
        if _with_tables(need_bytes) > has_bytes:
            has = "has" if total else "has free"
            raise CapacityError(
                f"{what} {format_size(need_bytes)} on node {node_id}, which {has} {format_size(has_bytes)}",
                "ask for a smaller region, or another pattern; see `hmexp nodes`",
            )


def require_allowed(node_id: int, pattern: Pattern, topology: Topology) -> None:
    """Refuse a node that this process may not use.

    Parameters
    ----------
    node_id : int
        The node.
    pattern : Pattern
        The pattern that names it, for the message.
    topology : Topology
        The machine, with the limits of this process.

    Raises
    ------
    TopologyError
        If the node does not exist.
    PatternError
        Naming the file that leaves the node out, and what it says.
    """
    topology.node(node_id)
    forbidding = topology.limits.forbids(node_id)
    if forbidding is None:
        return
    usable = format_id_list(node.id for node in topology.memory_nodes if topology.may_use(node.id))
    cpuset = topology.limits.cpuset_without(node_id)
    # The list of the process follows that of its cpuset, which alone can be changed.
    where = f"write to {_wish_beside(cpuset.path)} as root; " if cpuset is not None else ""
    raise PatternError(
        f"pattern {pattern}: node {node_id} may not be used: {forbidding}",
        f"use nodes that may be used ({usable}), or add node {node_id} to the cpuset ({where}"
        "docker run --cpuset-mems; AllowedMemoryNodes= of systemd)",
    )


def _wish_beside(path: Path) -> Path:
    """The file of a cpuset that can be written to, beside the one that tells what came of it."""
    return path.with_name(path.name.replace("effective_mems", "mems").removesuffix(".effective"))


def _check_limits(what: str, need_bytes: int, topology: Topology, *, fresh: bool) -> None:
    limits = topology.limits
    beside_bytes = _WORKER_BYTES if fresh else 0
    for limit in limits.memory[:1]:
        if _with_tables(need_bytes) + beside_bytes > limit.left_bytes:
            _refuse(what, need_bytes, beside_bytes, limit)
    for limit in limits.process:
        beside_bytes = _WORKER_ADDRESS_BYTES if fresh else limit.used_bytes
        if need_bytes + beside_bytes > limit.limit_bytes:
            _refuse(what, need_bytes, beside_bytes if fresh else 0, limit)


def _refuse(what: str, need_bytes: int, beside_bytes: int, limit: MemoryLimit) -> None:
    beside = f", and {format_size(beside_bytes)} for the process that measures" if beside_bytes else ""
    raise CapacityError(
        f"{what} {format_size(need_bytes)}{beside}, which is more than this process may take: {limit}",
        f"ask for a smaller region, or raise the limit ({limit.remedy})",
    )


def _with_tables(need_bytes: int) -> int:
    # Page tables take 1/512 of what they map, and may have to come from the same node.
    return need_bytes + need_bytes // 512


def _describe(regions: Sequence[tuple[Pattern, Pattern, int]]) -> str:
    """The beginning of a sentence on regions, with its verb."""
    texts = [
        f"a region of {format_size(size)} with the pattern {_name(shown, real)}"
        for shown, real, size in regions
    ]
    return f"{texts[0]} needs" if len(texts) == 1 else f"{' and '.join(texts)} together need"


def _name(shown: Pattern, real: Pattern) -> str:
    """A pattern, and where the pages of its emulated nodes are."""
    backing = {ours: its for ours, its in zip(shown.nodes, real.nodes, strict=True) if ours != its}
    where = ", ".join(f"node {ours} emulated on node {its}" for ours, its in backing.items())
    return f"{shown}, with {where}," if where else str(shown)
