"""What is odd about a machine's nodes, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from hmexp.errors import LibnumaError
from hmexp.system.clues import Clues
from hmexp.system.dax import NodeKind
from hmexp.system.kinds import is_lent_whole
from hmexp.system.node import Node
from hmexp.system.sysfs import format_id_list
from hmexp.units import format_size

if TYPE_CHECKING:
    from hmexp.system.libnuma import LibNuma


def oddities(nodes: Sequence[Node], clues: Clues) -> list[str]:
    """Say in sentences what a reader of the nodes should know.

    Parameters
    ----------
    nodes : sequence of Node
        The nodes with their kinds.
    clues : Clues
        What the machine's files say.
    """
    with_memory = [node for node in nodes if node.has_memory]
    dram = [node for node in with_memory if node.kind is NodeKind.DRAM]
    notes = [f"Node {node.id} has no memory." for node in nodes if not node.has_memory]
    if not dram:
        notes.append("No node of this machine is known to be DRAM.")
    elif not any(node.cpus for node in dram):
        names = format_id_list(node.id for node in dram)
        notes.append(
            f"No node has both CPUs and DRAM: memory of node {names} is taken for DRAM, because "
            "nothing calls it slow."
        )
    for node in with_memory:
        notes += _say_lending(node, clues)
        notes += _say_kind(node)
        cache = clues.caches.get(node.id)
        if cache is not None:
            size = format_size(cache.size_bytes)
            notes.append(
                f"Node {node.id} has a memory-side cache of {size} (Memory Mode: DRAM in front of "
                "NVM; or HBM in front of DRAM); a region is DRAM only as far as it fits there."
            )
    processor = clues.processor
    hidden = not any(node.kind is NodeKind.HBM for node in with_memory) and not clues.caches
    if processor is not None and hidden:
        notes.append(
            f"The {processor.name} has HBM on its package, and no node shows it: it is a cache in front "
            "of DRAM, or all the memory there is."
        )
    return notes


def _say_lending(node: Node, clues: Clues) -> Iterator[str]:
    lent = clues.lent_to(node.id)
    if not lent:
        return
    names = ", ".join(map(str, lent))
    if not is_lent_whole(node, lent):
        mixed = "DRAM and slow memory are mixed" if node.cpus else "it has other memory beside it"
        yield f"Node {node.id} has {'CPUs and ' * bool(node.cpus)}memory of {names}: {mixed}."
    elif node.cpus:
        yield f"Node {node.id} has CPUs, and all of its memory is lent by {names}: none of it is plain DRAM."
    kinds = {device.kind.value for device in lent}
    if len(kinds) > 1:
        yield f"Node {node.id} mixes memory of kinds {', '.join(sorted(kinds))}."


def _say_kind(node: Node) -> Iterator[str]:
    never = "it is the slow side of a ratio only where it is named"
    match node.kind:
        case NodeKind.UNKNOWN:
            yield f"Node {node.id} is of unknown kind: hmexp treats it as slow, after known slow memory."
        case NodeKind.HBM:
            yield f"Node {node.id} is HBM, faster than DRAM: {never}."
        case NodeKind.GPU:
            yield f"Node {node.id} is the memory of a GPU: {never}."
        case _:
            pass


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
