"""The NUMA nodes of a machine: what they are, how large, how far apart, how fast by their own word."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hmexp.errors import ParseError, TopologyError
from hmexp.store.machine import NodeRecord
from hmexp.system.dax import DaxMemory, NodeKind, read_dax_memory
from hmexp.system.hmat import read_hmat
from hmexp.system.limits import Limits, cap_free, describe_limits, read_limits
from hmexp.system.node import Node
from hmexp.system.oddities import disagreements, oddities
from hmexp.system.portrait import draw_nodes, show_nodes
from hmexp.system.sysfs import format_id_list, parse_id_list, parse_meminfo, read_text
from hmexp.units import format_size

if TYPE_CHECKING:
    from hmexp.system.libnuma import LibNuma

__all__ = ["Node", "NodeKind", "Topology", "read_topology"]

_DIFFERENT: Final = 0.10


@dataclass(frozen=True)
class Topology:
    """The nodes of one machine.

    Parameters
    ----------
    nodes : tuple of Node
        All nodes that are online, ascending by id (ids may have gaps).
    notes : tuple of str
        What is odd about this machine, in sentences for a person.
    limits : Limits
        What this process may use of it.
    """

    nodes: tuple[Node, ...]
    notes: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)

    def node(self, node_id: int) -> Node:
        """Return the node with this id.

        Raises
        ------
        TopologyError
            If there is none; the message names the nodes that exist.
        """
        for node in self.nodes:
            if node.id == node_id:
                return node
        there = format_id_list(node.id for node in self.nodes)
        raise TopologyError(
            f"node {node_id} does not exist: this machine has {there}",
            "use one of these nodes, or declare an emulated node",
        )

    def may_use(self, node_id: int) -> bool:
        """Whether this process may take memory of a node: its cpuset decides."""
        return self.limits.may_use(node_id)

    @property
    def memory_nodes(self) -> tuple[Node, ...]:
        """The nodes that have memory, whether this process may use it or not."""
        return tuple(node for node in self.nodes if node.has_memory)

    @property
    def usable_nodes(self) -> tuple[Node, ...]:
        """The nodes whose memory this process may use; if none, all, which are then refused by name."""
        return tuple(node for node in self.memory_nodes if self.may_use(node.id)) or self.memory_nodes

    @property
    def dram_nodes(self) -> tuple[Node, ...]:
        """The nodes with ordinary memory that may be used."""
        return tuple(node for node in self.usable_nodes if node.kind is NodeKind.DRAM)

    @property
    def slow_nodes(self) -> tuple[Node, ...]:
        """Usable nodes with persistent or CXL memory, or with memory of unknown kind and no CPU."""
        return tuple(node for node in self.usable_nodes if node.kind is not NodeKind.DRAM)

    def as_records(self) -> tuple[NodeRecord, ...]:
        """The nodes as they are stored."""
        return tuple(
            NodeRecord(
                id=node.id,
                kind=node.kind.value,
                cpus=tuple(node.cpus),
                total_bytes=node.total_bytes,
                free_bytes=node.free_bytes,
                distances=dict(node.distances),
                read_gbps=node.read_gbps,
                write_gbps=node.write_gbps,
                read_latency_ns=node.read_latency_ns,
                write_latency_ns=node.write_latency_ns,
            )
            for node in self.nodes
        )

    def _repr_html_(self) -> str:
        return draw_nodes(show_nodes(self.as_records()), self.notes)


def read_topology(
    sys_root: Path = Path("/sys"), proc_root: Path = Path("/proc"), libnuma: LibNuma | None = None
) -> Topology:
    """Read the nodes of a machine.

    Free memory is an estimate. With one memory node it is the kernel's own ``MemAvailable``; with
    several, for which the kernel gives none, it is ``MemFree + Inactive(file)`` of the node: page
    cache not used lately is given back on demand, active cache and slabs are not counted.

    Parameters
    ----------
    sys_root, proc_root : Path
        Where `/sys` and `/proc` are; a captured tree describes another machine.
    libnuma : LibNuma, optional
        When given, its ids and distances are compared with the kernel's. A difference becomes a
        note and the kernel's word is kept.

    Raises
    ------
    TopologyError
        If the kernel shows no nodes.
    ParseError
        If one of the kernel's files does not look as documented.
    """
    notes: list[str] = []
    online = _online_nodes(sys_root, notes)
    nodes = [_read_node(sys_root, node_id, online, notes) for node_id in online]
    dax = read_dax_memory(sys_root)
    nodes = _with_whole_machine([_with_kind(node, dax, notes) for node in nodes], proc_root, notes)
    limits = read_limits(sys_root, proc_root)
    topology = Topology(cap_free(nodes, limits), limits=limits)
    notes += [*oddities(topology.nodes), *describe_limits(limits, topology.nodes)]
    if libnuma is not None:
        notes += disagreements(topology.nodes, libnuma)
    return replace(topology, notes=tuple(notes))


def _online_nodes(sys_root: Path, notes: list[str]) -> tuple[int, ...]:
    folder = sys_root / "devices" / "system" / "node"
    try:
        names = [entry.name for entry in folder.iterdir()]
    except OSError as error:
        raise TopologyError(
            f"the kernel shows no NUMA nodes: {folder} cannot be read ({error.strerror})",
            "boot a kernel built with CONFIG_NUMA=y; in a container, mount /sys",
        ) from error
    shown = {int(name[4:]) for name in names if name[:4] == "node" and name[4:].isdecimal()}
    text = read_text(folder / "online")
    online = set(parse_id_list(text, str(folder / "online"))) if text is not None else shown
    for node_id in sorted(online ^ shown):
        where = "online but has no folder in /sys" if node_id in online else "shown in /sys but not online"
        notes.append(f"Node {node_id} is {where}; hmexp ignores it.")
    if not online & shown:
        raise TopologyError(
            f"the kernel shows no NUMA nodes: {folder} lists none that is online",
            "boot a kernel built with CONFIG_NUMA=y; in a container, mount /sys",
        )
    return tuple(sorted(online & shown))


def _read_node(sys_root: Path, node_id: int, online: tuple[int, ...], notes: list[str]) -> Node:
    folder = sys_root / "devices" / "system" / "node" / f"node{node_id}"
    cpulist = folder / "cpulist"
    meminfo = read_text(folder / "meminfo")
    if meminfo is None:
        notes.append(f"Node {node_id} does not report its memory size; hmexp assumes it has none.")
        amounts = {}
    else:
        amounts = parse_meminfo(meminfo)
        if "MemTotal" not in amounts or "MemFree" not in amounts:
            raise ParseError(f"{folder / 'meminfo'}: no MemTotal and MemFree in {meminfo[:200]!r}")
    total_bytes = amounts.get("MemTotal", 0)
    free_bytes = amounts.get("MemFree", 0) + amounts.get("Inactive(file)", 0)
    return Node(
        id=node_id,
        kind=NodeKind.UNKNOWN,
        cpus=parse_id_list(read_text(cpulist) or "", str(cpulist)),
        total_bytes=total_bytes,
        free_bytes=min(free_bytes, total_bytes),
        distances=_read_distances(folder, node_id, online, notes),
        **read_hmat(folder),
    )


def _read_distances(folder: Path, node_id: int, online: tuple[int, ...], notes: list[str]) -> dict[int, int]:
    text = read_text(folder / "distance")
    if not text:
        notes.append(f"Node {node_id} has no distances.")
        return {}
    words = text.split()
    if not all(word.isascii() and word.isdecimal() for word in words):
        raise ParseError(f"{folder / 'distance'}: {text!r} is not a list of distances")
    if len(words) != len(online):
        # The kernel writes one number per online node, without ids: unless their count fits,
        # there is no telling which is which.
        notes.append(
            f"Node {node_id} gives {len(words)} distances for {len(online)} nodes; hmexp ignores them."
        )
        return {}
    return {other: int(word) for other, word in zip(online, words, strict=True)}


def _with_kind(node: Node, dax: tuple[DaxMemory, ...], notes: list[str]) -> Node:
    lent = [device for device in dax if device.node == node.id]
    if node.cpus:
        if lent:
            names = ", ".join(f"{device.name} ({device.kind})" for device in lent)
            notes.append(f"Node {node.id} has CPUs and memory of {names}: DRAM and slow memory are mixed.")
        return replace(node, kind=NodeKind.DRAM)
    kinds = {device.kind for device in lent}
    if len(kinds) > 1:
        notes.append(f"Node {node.id} mixes memory of kinds {', '.join(sorted(kinds))}.")
    return replace(node, kind=kinds.pop() if len(kinds) == 1 else NodeKind.UNKNOWN)


def _with_whole_machine(nodes: list[Node], proc_root: Path, notes: list[str]) -> list[Node]:
    """Take the machine's own figures where one node has all the memory.

    With deferred initialisation a node's MemTotal grows as memory is touched: one machine said
    3.6 GB in the node and 24 GB in /proc/meminfo.
    """
    owners = [node for node in nodes if node.has_memory]
    machine = parse_meminfo(read_text(proc_root / "meminfo") or "")
    if len(owners) != 1 or "MemTotal" not in machine:
        return nodes
    node, total_bytes = owners[0], machine["MemTotal"]
    if abs(total_bytes - node.total_bytes) > _DIFFERENT * max(total_bytes, node.total_bytes):
        notes.append(
            f"Node {node.id} says it has {format_size(node.total_bytes)}, the machine says "
            f"{format_size(total_bytes)}: the larger is used (memory that is initialised late "
            "is missing from the node's figure)."
        )
    total_bytes = max(total_bytes, node.total_bytes)
    free_bytes = max(node.free_bytes, machine.get("MemAvailable", machine.get("MemFree", 0)))
    whole = replace(node, total_bytes=total_bytes, free_bytes=min(free_bytes, total_bytes))
    return [whole if each.id == node.id else each for each in nodes]
