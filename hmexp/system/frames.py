"""Which node each part of physical memory is on, according to `/sys`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hmexp.native.foreign import Blocks
from hmexp.system.sysfs import read_text

#: Blocks beyond this are no memory that Linux has met: 4 million of 128 MiB are half an exbibyte.
_MOST_BLOCKS = 1 << 22


def read_memory_blocks(sys_root: Path = Path("/sys")) -> Blocks | None:
    """Read the memory blocks of all nodes; None where the kernel does not tell.

    The kernel lists a block under each node that has a part of it (drivers/base/node.c), so that a block
    of two nodes is seen, and left open.
    """
    size = read_text(sys_root / "devices/system/memory/block_size_bytes")
    try:
        block_bytes = int(size or "", 16)
        names = {
            int(folder.name[4:]): [entry.name for entry in folder.iterdir() if _is_block(entry.name)]
            for folder in (sys_root / "devices/system/node").glob("node[0-9]*")
        }
    except (ValueError, OSError):
        return None
    blocks = {node: [int(name[6:]) for name in entries] for node, entries in names.items()}
    highest = max((max(numbers, default=-1) for numbers in blocks.values()), default=-1)
    if highest < 0 or highest >= _MOST_BLOCKS or block_bytes <= 0 or block_bytes & (block_bytes - 1):
        return None
    nodes = np.full(highest + 1, -1, dtype=np.int16)
    owners = np.zeros(highest + 1, dtype=np.int16)
    for node, numbers in blocks.items():
        nodes[numbers] = node
        owners[numbers] += 1
    nodes[owners > 1] = -1
    return Blocks(block_bytes, nodes)


def _is_block(name: str) -> bool:
    return name.startswith("memory") and name[6:].isascii() and name[6:].isdigit()
