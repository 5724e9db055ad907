"""The kernel's own order of memory by speed: its memory tiers (Linux 6.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hmexp.errors import ParseError
from hmexp.system.sysfs import numbered, parse_id_list, read_text

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class MemoryTier:
    """A tier of memory.

    Parameters
    ----------
    number : int
        Its number: the larger, the slower.
    path : Path
        The file that lists its nodes.
    value : str
        What it says.
    """

    number: int
    path: Path
    value: str

    def __str__(self) -> str:
        return f"{self.path} says {self.value}"


def read_memory_tiers(sys_root: Path) -> dict[int, MemoryTier]:
    """The tier of each node; empty where the kernel has none. A file that makes no sense is left out."""
    found: dict[int, MemoryTier] = {}
    folders = numbered(sys_root / "devices" / "virtual" / "memory_tiering", "memory_tier")
    for number, folder in folders.items():
        path = folder / "nodelist"
        text = read_text(path)
        if text is None:
            continue
        try:
            nodes = parse_id_list(text, str(path))
        except ParseError:
            continue
        found |= dict.fromkeys(nodes, MemoryTier(number, path, text))
    return found
