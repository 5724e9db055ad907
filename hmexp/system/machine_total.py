"""The machine's own total of memory, where it may stand for that of a node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from hmexp.errors import ParseError
from hmexp.system.memory_map import read_block_bytes, read_blocks
from hmexp.system.node import Node
from hmexp.system.node_files import node_folder
from hmexp.system.sysfs import format_id_list, numbered, parse_id_list, parse_meminfo, read_text
from hmexp.units import format_size

if TYPE_CHECKING:
    from pathlib import Path

_DIFFERENT: Final = 0.10


def with_machine_total(
    nodes: Sequence[Node], sys_root: Path, proc_root: Path, notes: list[str]
) -> tuple[Node, ...]:
    """Take the machine's own figures where one node has all the memory, and nothing contradicts.

    With deferred initialisation a node's MemTotal grows as memory is touched: one machine said
    3.6 GB in the node and 24 GB in /proc/meminfo.

    Parameters
    ----------
    nodes : sequence of Node
        The nodes, as their own files describe them.
    sys_root, proc_root : Path
        Where `/sys` and `/proc` are.
    notes : list of str
        Receives what is odd about their sizes, in sentences.
    """
    owners = [node for node in nodes if node.has_memory]
    machine = parse_meminfo(read_text(proc_root / "meminfo") or "")
    if len(owners) != 1 or "MemTotal" not in machine:
        return tuple(nodes)
    node, total_bytes = owners[0], machine["MemTotal"]
    differs = abs(total_bytes - node.total_bytes) > _DIFFERENT * max(total_bytes, node.total_bytes)
    sizes = (
        f"Node {node.id} says it has {format_size(node.total_bytes)}, "
        f"the machine says {format_size(total_bytes)}"
    )
    why_not = _contradiction(node, total_bytes, sys_root)
    if why_not is not None:
        if differs:
            notes.append(f"{sizes}: the node's own figure is used, because {why_not}.")
        return tuple(nodes)
    if differs:
        notes.append(
            f"{sizes}: the larger is used (memory that is initialised late is missing from the node's "
            "figure)."
        )
    total_bytes = max(total_bytes, node.total_bytes)
    free_bytes = max(node.free_bytes, machine.get("MemAvailable", machine.get("MemFree", 0)))
    whole = replace(node, total_bytes=total_bytes, free_bytes=min(free_bytes, total_bytes))
    return tuple(whole if each.id == node.id else each for each in nodes)


def _contradiction(node: Node, total_bytes: int, sys_root: Path) -> str | None:
    """What says that the machine's memory is not all this node's; None if nothing does."""
    folder = node_folder(sys_root)
    for name in ("has_memory", "has_normal_memory"):
        text = read_text(folder / name)
        others = [other for other in _read_ids(folder / name, text) if other != node.id]
        if others:
            return f"{folder / name} says {text}, so that node {format_id_list(others)} has memory too"
    silent = [
        number for number in numbered(folder, "node") if read_text(folder / f"node{number}/meminfo") is None
    ]
    if silent:
        return f"node {format_id_list(silent)} does not report its size"
    online = _read_ids(folder / "online", read_text(folder / "online"))
    if online and 0 not in online and 0 in _read_ids(folder / "possible", read_text(folder / "possible")):
        return f"node 0 is not online ({folder / 'online'}), and its memory may still be used"
    block_bytes, blocks = read_block_bytes(sys_root), read_blocks(sys_root, node.id)
    if block_bytes and blocks and total_bytes > (len(blocks) + 1) * block_bytes:
        return (
            f"its {len(blocks)} blocks of {format_size(block_bytes)} in {folder / f'node{node.id}'} hold less"
        )
    return None


def _read_ids(path: Path, text: str | None) -> tuple[int, ...]:
    try:
        return parse_id_list(text or "", str(path))
    except ParseError:
        return ()
