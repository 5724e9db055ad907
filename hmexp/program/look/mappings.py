"""The mappings of a process, by ``/proc/PID/maps`` and ``numa_maps``: of what sort each is.

``maps`` is cheap. ``numa_maps`` walks every page of the process while it holds the lock that mapping memory
needs: some 40 ms for a million pages.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hmexp.errors import ParseError
from hmexp.native.core import PAGE_BYTES
from hmexp.program.look.target import explain_refusal
from hmexp.system.numa_maps import parse_numa_maps

if TYPE_CHECKING:
    from hmexp.system.numa_maps import NumaMapping

_LINE: Final = re.compile(
    r"([0-9a-f]{1,16})-([0-9a-f]{1,16}) ([r-][w-][x-][ps]) ([0-9a-f]{1,16}) "
    r"([0-9a-f]{2,8}:[0-9a-f]{2,8}) (\d{1,20})(?: +(.*))?",
    re.ASCII | re.DOTALL,
)
_OCTAL: Final = re.compile(r"\\012")
_SHOWN: Final = 200
_DELETED: Final = " (deleted)"
#: Paths of memory that no file has: shared memory of its own kind, by how the kernel names it.
_SHARED_MEMORY: Final = ("/dev/zero", "/memfd:", "/SYSV", "/dev/shm/", "/anon_hugepage", "[anon_shmem:")
#: Private mappings of these are anonymous memory.
_ANONYMOUS: Final = frozenset({"/dev/zero", "/anon_hugepage"})
_HUGETLB: Final = ("/dev/hugepages/",)
#: The module's device: its private mappings are memory of the program, by a pattern of their own.
HYBRIDMEM: Final = "/dev/hybridmem"


class Sort(StrEnum):
    """What a mapping is of."""

    ANONYMOUS = "anonymous"
    HEAP = "heap"
    STACK = "stack"
    FILE = "file"
    SHARED = "shared"
    DEVICE = "device"
    SPECIAL = "special"

    @property
    def is_private_memory(self) -> bool:
        """Whether it is private anonymous memory: what a pattern is judged by."""
        return self in (Sort.ANONYMOUS, Sort.HEAP, Sort.STACK)


@dataclass(frozen=True)
class Mapping:
    """One mapping of a process.

    Parameters
    ----------
    start, stop : int
        Its addresses [bytes].
    permissions : str
        Such as ``rw-p``.
    path : str
        As the kernel writes it: a file, ``[heap]``, or nothing.
    sort : Sort
        What it is of.
    offset_bytes : int
        Where in the file it begins [bytes].
    inode : int
        Of the file; 0 without.
    numa : NumaMapping or None
        Its line of ``numa_maps``; None where that was not read, or has none.
    """

    start: int
    stop: int
    permissions: str
    path: str
    sort: Sort
    offset_bytes: int = 0
    inode: int = 0
    numa: NumaMapping | None = None

    @property
    def size_bytes(self) -> int:
        """Its size, whatever of it is there [bytes]."""
        return self.stop - self.start

    @property
    def is_reservation(self) -> bool:
        """Whether nothing in it may be touched: addresses kept free, not memory."""
        return self.permissions.startswith("---")

    @property
    def page_bytes(self) -> int:
        """Size of its pages [bytes]; a transparent huge page counts as many small ones."""
        return (self.numa.kernelpagesize_bytes if self.numa else None) or PAGE_BYTES

    @property
    def policy(self) -> str:
        """Its memory policy as the kernel writes it; empty where that was not read."""
        return self.numa.policy if self.numa else ""

    @property
    def name(self) -> str:
        """Its path, or what it is."""
        return self.path or self.sort.value


def parse_maps(text: str) -> tuple[Mapping, ...]:
    """Read the text of a ``maps`` file.

    Raises
    ------
    ParseError
        If a line does not look as documented; the message has its number and its text.
    """
    # Not `str.splitlines`: a path may hold any other character that Python takes for an end of line.
    return tuple(_parse_line(line, number) for number, line in enumerate(text.split("\n"), 1) if line)


def read_mappings(pid: int, *, numa: bool = True, proc_root: Path = Path("/proc")) -> tuple[Mapping, ...]:
    """Read the mappings of a process, in order of their addresses.

    Parameters
    ----------
    pid : int
        The process.
    numa : bool
        Read ``numa_maps`` too, for policies, page sizes and the kernel's own count by node. Without it, this
        is cheap enough to do often.
    proc_root : Path
        Where `/proc` is.

    Raises
    ------
    ProgramError
        If the process has ended, or is not for this user to see; with what is needed.
    ParseError
        If a file does not look as documented.
    """
    mappings = parse_maps(_read(pid, "maps", proc_root))
    if not numa or not (proc_root / str(pid) / "numa_maps").exists():
        return mappings
    lines = {line.start: line for line in parse_numa_maps(_read(pid, "numa_maps", proc_root))}
    return tuple(replace(m, numa=lines[m.start]) if m.start in lines else m for m in mappings)


def _read(pid: int, name: str, proc_root: Path) -> str:
    path = proc_root / str(pid) / name
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise explain_refusal(pid, error, proc_root) from error


def _parse_line(line: str, number: int) -> Mapping:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ParseError(f"maps, line {number}: not a mapping: {line[:_SHOWN]!r}")
    start, stop = int(match[1], 16), int(match[2], 16)
    if start >= stop:
        raise ParseError(f"maps, line {number}: the mapping ends before it begins: {line[:_SHOWN]!r}")
    path = _OCTAL.sub("\n", match[7] or "")
    inode = int(match[6])
    return Mapping(start, stop, match[3], path, _find_sort(path, match[3], inode), int(match[4], 16), inode)


def _find_sort(path: str, permissions: str, inode: int) -> Sort:
    shared = permissions.endswith("s")
    bare = path.removesuffix(_DELETED)
    if path.startswith("[") and inode == 0:
        return _find_named(path)
    if not path and inode == 0:
        return Sort.SHARED if shared else Sort.ANONYMOUS
    if bare in _ANONYMOUS and not shared:
        return Sort.ANONYMOUS
    if path.startswith(_SHARED_MEMORY):
        return Sort.SHARED if shared else Sort.FILE
    if path.startswith(("/dev/", "anon_inode:")) and not path.startswith(_HUGETLB):
        return Sort.DEVICE
    return Sort.FILE


def _find_named(path: str) -> Sort:
    if path == "[heap]":
        return Sort.HEAP
    if path.startswith("[stack"):
        return Sort.STACK
    if path.startswith("[anon_shmem:"):
        return Sort.SHARED
    return Sort.ANONYMOUS if path.startswith("[anon:") else Sort.SPECIAL
