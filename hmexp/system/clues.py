"""All that a machine's files say about what the memory of its nodes is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hmexp.system.dax import DaxMemory, read_dax_memory
from hmexp.system.gpu_memory import read_device_nodes, read_gpu_nodes
from hmexp.system.memory_map import (
    AddressRange,
    find_range,
    read_block_bytes,
    read_blocks,
    read_special_ranges,
)
from hmexp.system.memory_tiers import MemoryTier, read_memory_tiers
from hmexp.system.processor import HbmProcessor, read_hbm_processor
from hmexp.system.side_cache import SideCache, read_side_cache

if TYPE_CHECKING:
    from pathlib import Path

    from hmexp.system.node import Node


@dataclass(frozen=True)
class Clues:
    """What the files of a machine say about the memory of its nodes.

    Parameters
    ----------
    dax : tuple of DaxMemory
        Devices that lend memory to the system.
    gpus : mapping of int to str
        By node: the word of a GPU's driver.
    devices : mapping of int to str
        By node: the GPU or accelerator that stands on it.
    places : mapping of int to AddressRange
        By node: the special range of addresses in which its memory lies.
    tiers : mapping of int to MemoryTier
        By node: the kernel's tier.
    caches : mapping of int to SideCache
        By node: the cache in front of its memory.
    processor : HbmProcessor or None
        The processor, if it has high-bandwidth memory.
    """

    dax: tuple[DaxMemory, ...] = ()
    gpus: Mapping[int, str] = field(default_factory=dict)
    devices: Mapping[int, str] = field(default_factory=dict)
    places: Mapping[int, AddressRange] = field(default_factory=dict)
    tiers: Mapping[int, MemoryTier] = field(default_factory=dict)
    caches: Mapping[int, SideCache] = field(default_factory=dict)
    processor: HbmProcessor | None = None

    def lent_to(self, node_id: int) -> tuple[DaxMemory, ...]:
        """The devices that lend memory to a node."""
        return tuple(device for device in self.dax if device.node == node_id)


def read_clues(sys_root: Path, proc_root: Path, nodes: Sequence[Node]) -> Clues:
    """Read what the files of a machine say about the memory of its nodes.

    Whatever is missing, may not be read or makes no sense is left out.

    Parameters
    ----------
    sys_root, proc_root : Path
        Where `/sys` and `/proc` are.
    nodes : sequence of Node
        The nodes, of whatever kind.
    """
    caches = {
        node.id: read_side_cache(sys_root / "devices" / "system" / "node" / f"node{node.id}")
        for node in nodes
    }
    return Clues(
        read_dax_memory(sys_root),
        read_gpu_nodes(proc_root),
        read_device_nodes(sys_root),
        _read_places(sys_root, proc_root, nodes),
        read_memory_tiers(sys_root),
        {node: cache for node, cache in caches.items() if cache is not None},
        read_hbm_processor(sys_root, proc_root),
    )


def _read_places(sys_root: Path, proc_root: Path, nodes: Sequence[Node]) -> dict[int, AddressRange]:
    # A machine with one node of memory has no two kinds of memory.
    if sum(node.has_memory for node in nodes) < 2:
        return {}
    block_bytes = read_block_bytes(sys_root)
    ranges = read_special_ranges(sys_root, proc_root)
    if block_bytes is None or not ranges:
        return {}
    found = {node.id: find_range(read_blocks(sys_root, node.id), block_bytes, ranges) for node in nodes}
    return {node: one for node, one in found.items() if one is not None}
