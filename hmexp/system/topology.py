"""The NUMA nodes of a machine: what they are, how large, how far apart, how fast by their own word."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hmexp.errors import TopologyError
from hmexp.store.machine import NodeRecord
from hmexp.system.clues import read_clues
from hmexp.system.dax import NodeKind
from hmexp.system.idle_memory import IdleMemory, read_idle_memory
from hmexp.system.kinds import decide_kinds
from hmexp.system.limits import Limits, cap_free, describe_limits, nodes_of_process, read_limits
from hmexp.system.machine_total import with_machine_total
from hmexp.system.node import Node
from hmexp.system.node_files import read_nodes
from hmexp.system.oddities import disagreements, oddities
from hmexp.system.portrait import draw_nodes, show_nodes
from hmexp.system.sysfs import format_id_list, parse_id_list, read_text

if TYPE_CHECKING:
    from hmexp.system.libnuma import LibNuma

__all__ = ["Node", "NodeKind", "Topology", "find_usable_node", "read_topology"]

#: Known slow memory comes before unknown; HBM and GPU memory is not slow.
_SLOW: Final = ((NodeKind.NVM, NodeKind.CXL), (NodeKind.UNKNOWN,))


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
    idle : tuple of IdleMemory
        Memory that is there but that no program can use.
    """

    nodes: tuple[Node, ...]
    notes: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    idle: tuple[IdleMemory, ...] = ()

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
        """The nodes of slow memory that this process may use.

        Persistent and CXL memory comes first, then memory of unknown kind; HBM and GPU memory is not slow.
        """
        return tuple(node for kinds in _SLOW for node in self.usable_nodes if node.kind in kinds)

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
                evidence=node.evidence,
            )
            for node in self.nodes
        )

    def _repr_html_(self) -> str:
        return draw_nodes(show_nodes(self.as_records()), self.notes)


def find_usable_node(sys_root: Path = Path("/sys"), proc_root: Path = Path("/proc")) -> int:
    """The first node that has memory and that this process may use: by two files, where the kernel has them.

    Raises
    ------
    TopologyError, ParseError
        As for `read_topology`, or if there is no such node.
    """
    allowed = nodes_of_process(proc_root)
    listed = read_text(sys_root / "devices/system/node/has_memory")
    if allowed is not None and listed:
        usable = set(parse_id_list(listed, "has_memory")) & set(allowed.nodes)
        if usable:
            return min(usable)
    nodes = read_topology(sys_root, proc_root, idle=False).usable_nodes
    if not nodes:
        raise TopologyError("no node has memory that this process may use", "see `hmexp doctor`")
    return nodes[0].id


def read_topology(
    sys_root: Path = Path("/sys"),
    proc_root: Path = Path("/proc"),
    libnuma: LibNuma | None = None,
    *,
    idle: bool = True,
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
    idle : bool
        Whether to look for memory that is not usable, too. That reads a file for each block of memory, of
        which a machine of a tebibyte has 8192: too much for each launch.

    Raises
    ------
    TopologyError
        If the kernel shows no nodes.
    ParseError
        If one of the kernel's files does not look as documented.
    """
    notes: list[str] = []
    shown = read_nodes(sys_root, notes)
    clues = read_clues(sys_root, proc_root, shown)
    nodes = decide_kinds(with_machine_total(shown, sys_root, proc_root, notes), clues)
    limits = read_limits(sys_root, proc_root)
    waiting = read_idle_memory(sys_root) if idle else ()
    topology = Topology(cap_free(nodes, limits), limits=limits, idle=waiting)
    notes += [memory.note for memory in topology.idle]
    notes += [*oddities(topology.nodes, clues), *describe_limits(limits, topology.nodes)]
    if libnuma is not None:
        notes += disagreements(topology.nodes, libnuma)
    return replace(topology, notes=tuple(notes))
