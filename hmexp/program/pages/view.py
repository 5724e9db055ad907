"""What a follower sees of a process: the pages that it has in memory now, and nothing of those it has not."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hmexp.native import PAGE_BYTES
from hmexp.native.foreign import FILE, HUGE, OTHER, PRESENT, SHARED, ZERO, huge_page_bytes
from hmexp.program.look.mappings import Mapping, read_mappings
from hmexp.program.look.scan import open_sight
from hmexp.program.pages.held import HeldProcess
from hmexp.program.pages.wish import Pages

Mask = npt.NDArray[np.bool_]

#: Looked at in one go; more would take memory for pages that are not there [bytes].
_PIECE_BYTES: Final = 1 << 30
HUGE_PAGES: Final = huge_page_bytes() // PAGE_BYTES
#: How often in one look mappings that have come or moved meanwhile are looked for.
_SECOND_LOOKS: Final = 3

#: Addresses from the first to before the last, ascending [bytes].
Ranges = list[tuple[int, int]]
#: Pages, ascending, with the node and the flags of each.
Seen = tuple[Pages, npt.NDArray[np.int16], npt.NDArray[np.uint8]]
_NOTHING: Final[Seen] = (np.empty(0, np.uint64), np.empty(0, np.int16), np.empty(0, np.uint8))


@dataclass(frozen=True)
class View:
    """The pages that a process has in memory, in private anonymous mappings.

    Parameters
    ----------
    pages : numpy.ndarray
        Virtual page numbers, ascending, dtype uint64, shape ``(pages,)``.
    node : numpy.ndarray
        Node of each, negative where it is not known, dtype int16, shape ``(pages,)``.
    flags : numpy.ndarray
        Bits of `hmexp.native.foreign`, dtype uint8, shape ``(pages,)``.
    started_ns, ended_ns : int
        When the scan began and ended [ns].
    mappings : int
        How many mappings were looked at.
    faults : int
        Minor faults that the process had had before.
    """

    pages: Pages
    node: npt.NDArray[np.int16]
    flags: npt.NDArray[np.uint8]
    started_ns: int = 0
    ended_ns: int = 0
    mappings: int = 0
    faults: int = 0

    @property
    def zero(self) -> Mask:
        """The kernel's page of zeros."""
        return self._flagged(ZERO, ZERO)

    @property
    def shared(self) -> Mask:
        """Pages that other processes map, too."""
        return self._flagged(SHARED | ZERO | OTHER, SHARED)

    @property
    def merged(self) -> Mask:
        """Pages that are merged with others (KSM), or of no node."""
        return self._flagged(OTHER | ZERO, OTHER)

    @property
    def huge(self) -> Mask:
        """Pages that are part of a huge page."""
        return self._flagged(HUGE, HUGE)

    def _flagged(self, looked_at: int, wanted: int) -> Mask:
        found: Mask = (self.flags & looked_at) == wanted
        return found

    def by_node(self) -> dict[int, int]:
        """Pages on each node [pages]."""
        seen = self.node[self.node >= 0]
        return {node: int(n) for node, n in enumerate(np.bincount(seen)) if n} if seen.size else {}


class Looker:
    """Looks at the pages of one process, for as long as it executes one program.

    Parameters
    ----------
    target : HeldProcess
        The process.

    Raises
    ------
    ProgramError
        If this user may not look into the process, or it has ended.
    """

    def __init__(self, target: HeldProcess) -> None:
        self._target = target
        self._sight = open_sight(target.find_thread())

    def close(self) -> None:
        """Close the files of the process."""
        self._sight.close()

    def reopen(self) -> None:
        """Look at the program that the process executes now."""
        sight = open_sight(self._target.find_thread())
        self._sight.close()
        self._sight = sight

    @property
    def sees_huge(self) -> bool:
        """Whether huge pages can be recognised."""
        return self._sight.sees_huge

    def look(self) -> View:
        """Look at every page that is in memory.

        `/proc/PID/maps` is read, which the kernel makes without looking at a page: the process is not held
        up.

        Raises
        ------
        ProcessLookupError
            If the address space is gone: the process has ended, or executes another program.
        ProgramError
            If it may not be looked at any more.
        """
        started_ns = time.monotonic_ns()
        # Before the scan: a fault that it misses must not be taken for seen.
        faults = self._target.minor_faults
        mapped = self._ranges()
        seen = self._scan(mapped)
        # A mapping may have moved meanwhile (mremap), or new ones come: then its pages are there.
        for _attempt in range(_SECOND_LOOKS):
            now = self._ranges()
            if now == mapped:
                break
            seen = _within(_join(seen, self._scan(_subtract(now, mapped))), now)
            mapped = now
        pages, node, flags = seen
        return View(pages, node, flags, started_ns, time.monotonic_ns(), len(mapped), faults)

    def _ranges(self) -> Ranges:
        """Where its private anonymous memory is, ascending."""
        everything = read_mappings(self._target.thread, numa=False)
        if not everything:
            # That of a zombie is empty, and no error.
            raise ProcessLookupError(f"process {self._target.pid} has no address space")
        return [(each.start, each.stop) for each in everything if _is_followed(each)]

    def _scan(self, ranges: Ranges) -> Seen:
        """The pages that are there, their nodes and flags."""
        parts: list[Seen] = [_NOTHING]
        for start, stop in self._pieces(ranges):
            scan = self._sight.scan(start, stop)
            there = np.flatnonzero((scan.flags & (PRESENT | FILE)) == PRESENT)
            pages = there.astype(np.uint64) + np.uint64(start // PAGE_BYTES)
            parts.append((pages, scan.node[there], scan.flags[there]))
        pages, node, flags = (np.concatenate(each) for each in zip(*parts, strict=True))
        return pages, node, flags

    def _pieces(self, ranges: Ranges) -> Ranges:
        return [
            (start, min(start + _PIECE_BYTES, stop))
            for first, last in ranges
            for begin, stop in self._sight.occupied(first, last)
            for start in range(begin, stop, _PIECE_BYTES)
        ]


def _subtract(ranges: Ranges, known: Ranges) -> Ranges:
    """The parts of ranges that are in no known one."""
    found: Ranges = []
    for first, last in ranges:
        start = first
        for begin, stop in known:
            if stop <= start or begin >= last:
                continue
            if begin > start:
                found.append((start, begin))
            start = stop
        if start < last:
            found.append((start, last))
    return found


def _join(one: Seen, other: Seen) -> Seen:
    """Pages of two looks at different places, in order."""
    pages = np.concatenate([one[0], other[0]])
    order = np.argsort(pages, kind="stable")
    node, flags = np.concatenate([one[1], other[1]]), np.concatenate([one[2], other[2]])
    return pages[order], node[order], flags[order]


def _within(seen: Seen, ranges: Ranges) -> Seen:
    """The pages that are in one of the ranges still."""
    edges = np.array([edge // PAGE_BYTES for each in ranges for edge in each], dtype=np.uint64)
    # An odd number of edges up to it: one has begun, and not ended.
    inside = np.searchsorted(edges, seen[0], side="right") % 2 == 1
    return seen[0][inside], seen[1][inside], seen[2][inside]


def _is_followed(mapping: Mapping) -> bool:
    """Private anonymous memory that may be reached; hugetlbfs has pages of certain nodes, and is left."""
    private = mapping.sort.is_private_memory and mapping.permissions.endswith("p")
    return private and not mapping.is_reservation and not mapping.path.startswith("/anon_hugepage")
