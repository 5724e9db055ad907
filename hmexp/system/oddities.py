"""What is odd about a machine's nodes, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hmexp.errors import LibnumaError
from hmexp.system.dax import NodeKind
from hmexp.system.sysfs import format_id_list

if TYPE_CHECKING:
    from hmexp.system.libnuma import LibNuma
    from hmexp.system.topology import Topology


def oddities(topology: Topology) -> list[str]:
    """Say in sentences what a reader of the nodes should know."""
    notes = [f"Node {node.id} has no memory." for node in topology.nodes if not node.has_memory]
    if not topology.dram_nodes:
        notes.append("No node has both CPUs and memory: none is known to be DRAM.")
    dram_gbps = max((node.read_gbps or 0.0 for node in topology.dram_nodes), default=0.0)
    for node in topology.slow_nodes:
        if node.kind is NodeKind.UNKNOWN:
            notes.append(
                f"Node {node.id} has memory but no CPU and is of unknown kind: hmexp treats it as slow."
            )
            if 0 < dram_gbps < (node.read_gbps or 0.0):
                notes.append(f"Node {node.id} is faster than DRAM according to the firmware: it may be HBM.")
    return notes


def disagreements(topology: Topology, libnuma: LibNuma) -> list[str]:
    """Say in sentences where libnuma sees other nodes or distances than the kernel shows."""
    ours, theirs = {node.id for node in topology.nodes}, set(libnuma.node_ids())
    notes = []
    if ours != theirs:
        notes.append(
            f"The kernel shows nodes {format_id_list(ours)}, libnuma {format_id_list(theirs)}: "
            "hmexp uses the kernel's."
        )
    for node in topology.nodes:
        for other, distance in node.distances.items():
            if not {node.id, other} <= theirs:
                continue
            try:
                reported = str(libnuma.distance(node.id, other))
            except LibnumaError:
                reported = "unknown"
            if reported != str(distance):
                notes.append(
                    f"The distance from node {node.id} to {other} is {distance} by the kernel, "
                    f"{reported} by libnuma; hmexp uses the kernel's."
                )
    return notes
