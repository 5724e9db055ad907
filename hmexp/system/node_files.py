"""The files of the nodes in `/sys`: which nodes there are, their CPUs, sizes, distances and speeds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hmexp.errors import ParseError, TopologyError
from hmexp.system.dax import NodeKind
from hmexp.system.hmat import read_access
from hmexp.system.node import Node
from hmexp.system.sysfs import numbered, parse_cpu_mask, parse_id_list, parse_meminfo, read_text

if TYPE_CHECKING:
    from pathlib import Path


def node_folder(sys_root: Path) -> Path:
    """The folder of all nodes."""
    return sys_root / "devices" / "system" / "node"


def read_nodes(sys_root: Path, notes: list[str]) -> list[Node]:
    """Read all nodes that are online, of unknown kind so far.

    Parameters
    ----------
    sys_root : Path
        Where `/sys` is.
    notes : list of str
        Receives what is odd about them, in sentences.

    Raises
    ------
    TopologyError
        If the kernel shows no nodes.
    ParseError
        If one of the kernel's files does not look as documented.
    """
    online = _online_nodes(sys_root, notes)
    nodes = [_read_node(sys_root, node_id, online, notes) for node_id in online]
    cpu_nodes = {node.id for node in nodes if node.cpus}
    found = []
    for node in nodes:
        access, note = read_access(node_folder(sys_root) / f"node{node.id}", cpu_nodes)
        notes += [note] if note is not None else []
        figures = access.figures
        found.append(
            replace(
                node,
                read_latency_ns=figures["read_latency_ns"],
                write_latency_ns=figures["write_latency_ns"],
                read_gbps=figures["read_gbps"],
                write_gbps=figures["write_gbps"],
                initiators=access.initiators,
            )
        )
    return found


def _online_nodes(sys_root: Path, notes: list[str]) -> tuple[int, ...]:
    folder = node_folder(sys_root)
    try:
        next(folder.iterdir(), None)
    except OSError as error:
        raise TopologyError(
            f"the kernel shows no NUMA nodes: {folder} cannot be read ({error.strerror})",
            "boot a kernel built with CONFIG_NUMA=y; in a container, mount /sys",
        ) from error
    shown = set(numbered(folder, "node"))
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
    folder = node_folder(sys_root) / f"node{node_id}"
    meminfo = read_text(folder / "meminfo")
    if meminfo is None:
        notes.append(f"Node {node_id} does not report its memory size; hmexp assumes it has none.")
        amounts = {}
    else:
        amounts = parse_meminfo(meminfo)
        if "MemTotal" not in amounts:
            raise ParseError(f"{folder / 'meminfo'}: no MemTotal in {meminfo[:200]!r}")
        if "MemFree" not in amounts:
            notes.append(f"Node {node_id} does not report its free memory; hmexp assumes all of it is free.")
    total_bytes = amounts.get("MemTotal", 0)
    free_bytes = amounts.get("MemFree", total_bytes) + amounts.get("Inactive(file)", 0)
    return Node(
        id=node_id,
        kind=NodeKind.UNKNOWN,
        cpus=_read_cpus(folder),
        total_bytes=total_bytes,
        free_bytes=min(free_bytes, total_bytes),
        distances=_read_distances(folder, node_id, online, notes),
    )


def _read_cpus(folder: Path) -> tuple[int, ...]:
    """The node's CPUs: the list, or on kernels (and in captures) without one the mask, or the links."""
    text = read_text(folder / "cpulist")
    if text is not None:
        return parse_id_list(text, str(folder / "cpulist"))
    text = read_text(folder / "cpumap")
    if text:
        return parse_cpu_mask(text, str(folder / "cpumap"))
    return tuple(numbered(folder, "cpu"))


def _read_distances(folder: Path, node_id: int, online: tuple[int, ...], notes: list[str]) -> dict[int, int]:
    text = read_text(folder / "distance")
    if not text:
        notes.append(f"Node {node_id} has no distances.")
        return {}
    words = text.split()
    if not all(word.isascii() and word.isdecimal() and len(word) < 10 for word in words):
        raise ParseError(f"{folder / 'distance'}: {text[:200]!r} is not a list of distances")
    if len(words) != len(online):
        # The kernel writes one number per online node, without ids: unless their count fits,
        # there is no telling which is which.
        notes.append(
            f"Node {node_id} gives {len(words)} distances for {len(online)} nodes; hmexp ignores them."
        )
        return {}
    return {other: int(word) for other, word in zip(online, words, strict=True)}
