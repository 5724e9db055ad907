"""The pages of any process: which node each is on, and of what sort it is, looked for in C."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hmexp.closing import Closing
from hmexp.native.core import PAGE_BYTES, check, ffi, lib

if TYPE_CHECKING:
    import numpy.typing as npt

#: Bits of `Scan.flags`.
PRESENT: Final = 1
SWAPPED: Final = 2
FILE: Final = 4  # of a file or of shared memory
SHARED: Final = 8  # mapped more than once
HUGE: Final = 16
ZERO: Final = 32
OTHER: Final = 64  # merged by KSM; or no memory of a node; or, absent, poisoned or on the move
#: In place of a node in `Scan.node`.
ABSENT: Final = -1
HIDDEN: Final = -2
#: Categories of PAGEMAP_SCAN that are asked for: present, swapped, the zero page, huge.
CATEGORIES: Final = (1 << 3) | (1 << 4) | (1 << 5) | (1 << 6)
_HUGE_SIZE: Final = Path("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size")
_MERGED: Final = Path("/sys/kernel/mm/ksm/pages_shared")
_STRETCHES: Final = 4096
#: What a read of pagemap, or PAGEMAP_SCAN, says of an address space that is gone.
_GONE: Final = frozenset({-errno.ENODATA, -errno.ESRCH})


@dataclass(frozen=True)
class Blocks:
    """Which node each block of physical memory is on; without any, no frame tells a node.

    Parameters
    ----------
    block_bytes : int
        Size of a block, a power of two [bytes].
    nodes : numpy.ndarray
        Node of each block from physical address 0 on; -1 for one that is not there, or is of more than one
        node, dtype int16, shape ``(blocks,)``.
    """

    block_bytes: int = PAGE_BYTES
    nodes: npt.NDArray[np.int16] = field(default_factory=lambda: np.empty(0, dtype=np.int16))


@dataclass(frozen=True)
class Scan:
    """The pages of an address range of a process.

    Parameters
    ----------
    start : int
        Address of the first [bytes].
    node : numpy.ndarray
        Node of each page; -1 for one that is absent or the zero page, -2 for one that is there and whose
        node cannot be seen, dtype int16, shape ``(pages,)``.
    flags : numpy.ndarray
        What is known of each page, bits such as `PRESENT`, dtype uint8, shape ``(pages,)``.
    asked : int
        Pages that ``move_pages`` was asked about, since their frames did not tell [pages].
    unanswered : int
        Of them, those that the kernel did not answer for [pages].
    refused : int
        The errno by which ``move_pages`` refused to tell; 0 where it did not.
    """

    start: int
    node: npt.NDArray[np.int16]
    flags: npt.NDArray[np.uint8]
    asked: int = 0
    unanswered: int = 0
    refused: int = 0


class Sight(Closing):
    """What the pages of a process are seen by; a context manager that keeps files open.

    It stays with the address space that the process had when it was opened: once the process has ended, or
    has executed another program, a scan raises `ProcessLookupError`.

    Parameters
    ----------
    pid : int
        The process.
    blocks : Blocks
        Which node each frame is on, for those who are shown frames.
    categories : int
        Those that PAGEMAP_SCAN is asked for; the kernel's own answer decides which are used. With 0, pagemap
        alone is read.

    Raises
    ------
    OSError
        If the process is gone (`ProcessLookupError`, `FileNotFoundError`) or this user may not look into it
        (`PermissionError`).
    """

    frames_shown: bool
    """Whether nodes are found by frames; else ``move_pages`` is asked."""
    sees_merged: bool
    """Whether pages that KSM has merged can be distinguished from others that are shared."""

    def __init__(self, pid: int, blocks: Blocks | None = None, *, categories: int = CATEGORIES) -> None:
        blocks = blocks or Blocks()
        self.pid = pid
        self.blocks = blocks
        self.frames_shown = bool(lib.hm_frames_shown()) and blocks.nodes.size > 0
        self._pagemap = os.open(f"/proc/{pid}/pagemap", os.O_RDONLY | os.O_CLOEXEC)
        self._kpageflags = _open_or_none("/proc/kpageflags") if self.frames_shown else -1
        self.categories = int(lib.hm_scan_categories(self._pagemap, categories))
        self._nodes: Any = ffi.from_buffer("int16_t[]", blocks.nodes)
        self._sight: Any = ffi.new("struct hm_sight *")
        self._sight.pid = pid
        self._sight.pagemap_fd = self._pagemap
        self._sight.kpageflags_fd = self._kpageflags
        self._sight.frames_shown = self.frames_shown
        merging = _are_pages_merged()
        tells = self._kpageflags >= 0 and bool(lib.hm_tells_merged(self._kpageflags))
        self.sees_merged = tells or not merging
        self._sight.merging = merging and tells
        self._sight.categories = self.categories
        self._sight.page_bytes = PAGE_BYTES
        self._sight.huge_bytes = huge_page_bytes()
        self._sight.block_shift = (blocks.block_bytes // PAGE_BYTES).bit_length() - 1
        self._sight.blocks = blocks.nodes.size
        self._sight.block_node = self._nodes

    def close(self) -> None:
        """Close the files; no scan is possible afterwards."""
        for fd in (self._pagemap, self._kpageflags):
            if fd >= 0:
                os.close(fd)
        self._pagemap = self._kpageflags = -1

    @property
    def sees_huge(self) -> bool:
        """Whether huge pages can be distinguished from others."""
        return bool(self.categories & (1 << 6)) or self._kpageflags >= 0

    def occupied(self, start: int, stop: int, gap_bytes: int = 2 << 20) -> list[tuple[int, int]]:
        """The parts of an address range that have pages, or swapped ones, and gaps up to a size.

        On a kernel without PAGEMAP_SCAN that is the whole range.

        Parameters
        ----------
        start, stop : int
            The range, of whole pages [bytes].
        gap_bytes : int
            A gap of this size or less is left in [bytes].

        Raises
        ------
        ProcessLookupError
            If the address space is gone.
        """
        if not self.categories:
            return [(start, stop)]
        room = ffi.new("struct hm_stretch[]", _STRETCHES)
        found: list[tuple[int, int]] = []
        while start < stop:
            count = int(
                lib.hm_stretches(self._pagemap, self.categories, start, stop, gap_bytes, room, _STRETCHES)
            )
            self._require(count)
            for index in range(count):
                begin, end = int(room[index].start), int(room[index].stop)
                if found and begin - found[-1][1] <= gap_bytes:
                    begin = found.pop()[0]
                found.append((begin, end))
            if count < _STRETCHES:
                break
            start = found[-1][1]
        return found

    def scan(self, start: int, stop: int) -> Scan:
        """Look at every page of an address range.

        Parameters
        ----------
        start, stop : int
            The range, of whole pages [bytes]. What is not mapped is absent.

        Raises
        ------
        ProcessLookupError
            If the address space is gone.
        ValueError
            If the range is not of whole pages.
        """
        if start % PAGE_BYTES or stop % PAGE_BYTES or not 0 <= start <= stop:
            raise ValueError(f"{start:#x}-{stop:#x} is not a range of whole pages")
        pages = (stop - start) // PAGE_BYTES
        node = np.empty(pages, dtype=np.int16)
        flags = np.empty(pages, dtype=np.uint8)
        seen = ffi.new("struct hm_seen *")
        if pages:
            self._require(
                int(
                    lib.hm_foreign_scan(
                        self._sight, start, pages, ffi.from_buffer("int16_t[]", node),
                        ffi.from_buffer("uint8_t[]", flags), seen,
                    )
                )
            )  # fmt: skip
        return Scan(start, node, flags, int(seen.asked), int(seen.unanswered), int(seen.refused))

    def _require(self, returned: int) -> None:
        if returned in _GONE:
            raise ProcessLookupError(
                f"process {self.pid} has ended, or has executed another program, while it was read"
            )
        check(returned, f"looking at the pages of process {self.pid}")


def scan(pid: int, start: int, stop: int, blocks: Blocks | None = None) -> Scan:
    """Look once at the pages of a process; see `Sight`, which is cheaper for more than one range."""
    with Sight(pid, blocks) as sight:
        return sight.scan(start, stop)


def share_memory(first: int, second: int) -> bool:
    """Whether two processes have one address space, as after vfork; False where the kernel does not tell."""
    return int(lib.hm_same_memory(first, second)) == 1


@cache
def huge_page_bytes() -> int:
    """Size of a transparent huge page [bytes]; 2 MiB where the kernel does not tell."""
    try:
        return int(_HUGE_SIZE.read_text())
    except (OSError, ValueError):
        return 2 << 20


def _are_pages_merged() -> bool:
    """Whether KSM has merged any page of this machine; so, too, where the kernel does not tell."""
    try:
        return _MERGED.read_text().strip() != "0"
    except OSError:
        return _MERGED.parent.exists()


def _open_or_none(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1
