"""What is odd about a machine's nodes, in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hmexp.errors import LibnumaError
from hmexp.system.dax import NodeKind
from hmexp.system.node import Node
from hmexp.system.sysfs import format_id_list

if TYPE_CHECKING:
    from hmexp.system.libnuma import LibNuma


def oddities(nodes: Sequence[Node]) -> list[str]:
    """Say in sentences what a reader of the nodes should know."""
    with_memory = [node for node in nodes if node.has_memory]
    dram = [node for node in with_memory if node.kind is NodeKind.DRAM]
    notes = [f"Node {node.id} has no memory." for node in nodes if not node.has_memory]
    if not dram:
        notes.append("No node has both CPUs and memory: none is known to be DRAM.")
    dram_gbps = max((node.read_gbps or 0.0 for node in dram), default=0.0)
    for node in with_memory:
        if node.kind is NodeKind.UNKNOWN:
            notes.append(
                f"Node {node.id} has memory but no CPU and is of unknown kind: hmexp treats it as slow."
            )
            if 0 < dram_gbps < (node.read_gbps or 0.0):
                notes.append(f"Node {node.id} is faster than DRAM according to the firmware: it may be HBM.")
    return notes


def disagreements(nodes: Sequence[Node], libnuma: LibNuma) -> list[str]:
    """Say in sentences where libnuma sees other nodes or distances than the kernel shows."""
    ours, theirs = {node.id for node in nodes}, set(libnuma.node_ids())
    notes = []
    if ours != theirs:
        notes.append(
            f"The kernel shows nodes {format_id_list(ours)}, libnuma {format_id_list(theirs)}: "
            "hmexp uses the kernel's."
        )
    for node in nodes:
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
