"""What the kernel holds on behalf of a process's mappings: page tables, and objects of its slab caches."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hmexp.errors import ParseError
from hmexp.system.sysfs import read_text, split_lines

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Caches that mappings and their policies take from: the list of mappings and its tree, reverse mappings,
#: policies of mappings, policies inside files, and the tree of a file's pages.
CACHES: Final = (
    "vm_area_struct", "maple_node", "anon_vma", "anon_vma_chain", "numa_policy", "shared_policy_node",
    "radix_tree_node",
)  # fmt: skip

#: Name, active objects, objects, size of an object [bytes].
_SLAB: Final = re.compile(r"(\S+) +(\d+) +\d+ +(\d+)\b", re.ASCII)


@dataclass(frozen=True)
class KernelMemory:
    """A reading; the difference of two is what came to be between them.

    Parameters
    ----------
    page_tables_bytes : int
        Page tables of this process alone: exact [bytes].
    slab_bytes : mapping of str to int, or None
        Objects in use of the caches, by their names, of **all** processes: other processes and the lists
        that each CPU keeps are in it. Caches that the kernel has merged are together under one key,
        ``numa_policy+kmalloc-...``. None if `/proc/slabinfo` may not be read [bytes].
    """

    page_tables_bytes: int
    slab_bytes: Mapping[str, int] | None

    def since(self, before: KernelMemory) -> KernelMemory:
        """What has been added since an earlier reading, negative if less is held now."""
        slab = None
        if self.slab_bytes is not None and before.slab_bytes is not None:
            slab = {name: n - before.slab_bytes.get(name, 0) for name, n in self.slab_bytes.items()}
        return KernelMemory(self.page_tables_bytes - before.page_tables_bytes, slab)

    @property
    def total_bytes(self) -> int:
        """Page tables and slab objects together [bytes]."""
        return self.page_tables_bytes + sum((self.slab_bytes or {}).values())


def read_kernel_memory(proc_root: Path = Path("/proc"), sys_root: Path = Path("/sys")) -> KernelMemory:
    """Read what the kernel holds now."""
    status = read_text(proc_root / "self/status") or ""
    match = re.search(r"^VmPTE:\s+(\d+) kB$", status, re.MULTILINE)
    return KernelMemory(int(match[1]) * 1024 if match else 0, _read_slab(proc_root, sys_root))


def count_mappings(start: int, length_bytes: int, proc_root: Path = Path("/proc")) -> int:
    """Mappings (VMAs) of this process that begin in a range of addresses.

    Raises
    ------
    ParseError
        If they cannot be read, or a line is not that of a mapping.
    """
    path = proc_root / "self/maps"
    count = 0
    try:
        with path.open("rb") as file:
            for line in file:
                count += start <= int(line.partition(b"-")[0], 16) < start + length_bytes
    except OSError as error:
        raise ParseError(
            f"{path} cannot be read: {error.strerror}", "as root: mount -t proc proc /proc"
        ) from error
    except ValueError as error:
        raise ParseError(f"{path} has a line that is not a mapping's: {error}") from error
    return count


def _read_slab(proc_root: Path, sys_root: Path) -> dict[str, int] | None:
    text = read_text(proc_root / "slabinfo")
    if text is None:
        return None
    used = {}
    for line in split_lines(text):
        # The two lines of the heading have no numbers there.
        match = _SLAB.match(line)
        if match is not None:
            used[match[1]] = int(match[2]) * int(match[3])
    found: dict[str, int] = {}
    names: dict[str, list[str]] = {}
    for cache in CACHES:
        listed = cache if cache in used else _merged_name(cache, used, sys_root / "kernel/slab")
        if listed is not None:
            names.setdefault(listed, []).append(cache)
    for listed, caches in names.items():
        others = [] if listed in caches else [listed]
        found["+".join([*caches, *others])] = used[listed]
    return found


def _merged_name(cache: str, used: Mapping[str, int], folder: Path) -> str | None:
    """The name under which a cache that was merged with others stands in `/proc/slabinfo`."""
    try:
        target = (folder / cache).resolve()
        aliases = [path.name for path in folder.iterdir() if path.resolve() == target]
    except OSError:
        return None
    return next((name for name in aliases if name in used), None)
