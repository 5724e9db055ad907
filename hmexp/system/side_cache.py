"""A cache in front of a node's memory: DRAM before NVM (Memory Mode), or HBM before DRAM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hmexp.system.sysfs import numbered, read_int
from hmexp.units import format_size

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class SideCache:
    """A memory-side cache.

    Parameters
    ----------
    size_bytes : int
        Its size [bytes].
    path : Path
        The file that says so.
    """

    size_bytes: int
    path: Path

    def __str__(self) -> str:
        return f"{self.path} says {self.size_bytes}, a memory-side cache of {format_size(self.size_bytes)}"


def read_side_cache(node_folder: Path) -> SideCache | None:
    """The largest cache in front of a node's memory; None where the firmware (HMAT) names none."""
    found = []
    for folder in numbered(node_folder / "memory_side_cache", "index").values():
        size_bytes = read_int(folder / "size")
        if size_bytes is not None and size_bytes > 0:
            found.append(SideCache(size_bytes, folder / "size"))
    return max(found, key=lambda cache: cache.size_bytes, default=None)
