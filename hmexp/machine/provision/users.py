"""Who has memory on a node: what an undo must not take away from under a program."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from hmexp.system.sysfs import list_folder, read_text
from hmexp.units import format_size

#: Files whose pages are as good as a program's own: shared memory, and devices such as /dev/hybridmem.
_SHARED = ("/dev/", "/memfd:", "/SYSV", "/anon_hugepage")


@dataclass(frozen=True)
class NodeUser:
    """A process with memory on a node.

    Parameters
    ----------
    pid : int
        Process.
    name : str
        Its name.
    used_bytes : int
        Memory there, page cache of ordinary files left out [bytes].
    """

    pid: int
    name: str
    used_bytes: int

    def __str__(self) -> str:
        return f"{self.name} (process {self.pid}, {format_size(self.used_bytes)})"


def find_users(node: int, proc_root: Path = Path("/proc")) -> tuple[NodeUser, ...]:
    """Find the processes that have memory on a node, by their numa_maps, the largest first."""
    users = []
    for entry in list_folder(proc_root):
        if not re.fullmatch(r"\d+", entry.name, re.ASCII):
            continue
        used_bytes = count_bytes(read_text(entry / "numa_maps") or "", node)
        if used_bytes:
            name = read_text(entry / "comm") or "?"
            users.append(NodeUser(int(entry.name), name, used_bytes))
    return tuple(sorted(users, key=lambda user: (-user.used_bytes, user.pid)))


def count_bytes(numa_maps: str, node: int) -> int:
    """Add up what a numa_maps says of a node [bytes]; the page cache of ordinary files does not count."""
    total = 0
    for line in numa_maps.split("\n"):
        file = re.search(r" file=(\S+)", line)
        if file is not None and not file[1].startswith(_SHARED) and " anon=" not in line:
            continue
        pages = re.search(rf" N{node}=(\d+)", line, re.ASCII)
        if pages is None:
            continue
        unit = re.search(r" kernelpagesize_kB=(\d+)", line, re.ASCII)
        total += int(pages[1]) * (int(unit[1]) * 1024 if unit is not None else os.sysconf("SC_PAGE_SIZE"))
    return total
