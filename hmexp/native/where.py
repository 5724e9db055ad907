"""Where the pages of a region are, counted in C and held against its pattern there."""

from __future__ import annotations

import errno as errno_names
from collections import Counter
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
import numpy.typing as npt

from hmexp.native.core import PAGE_BYTES, check, ffi, lib
from hmexp.native.pages import PageMapping, make_layout
from hmexp.pattern import Pattern


@dataclass(frozen=True)
class FrameNodes:
    """Which node each frame of physical memory is on, and who may ask for the frames of our pages.

    Parameters
    ----------
    pagemap_fd : int
        ``/proc/self/pagemap``. Without CAP_SYS_ADMIN it shows no frames, and `block_nodes` is empty.
    block_bytes : int
        Size of a block of memory, a power of two [bytes].
    block_nodes : numpy.ndarray
        Node of each block, -1 where it is not known or more than one, dtype int16, shape ``(blocks,)``.
    """

    pagemap_fd: int
    block_bytes: int
    block_nodes: npt.NDArray[np.int16]


@dataclass(frozen=True)
class Where:
    """Pages counted by where they are.

    Parameters
    ----------
    found : dict of int to int
        Pages on each node [pages].
    absent : dict of str to int
        Pages on no node, by the errno that the kernel gives as reason [pages].
    misplaced : int
        Pages on another node than the pattern's [pages].
    first_misplaced : int or None
        Index of the first of them.
    asked : int
        Pages that ``move_pages`` was asked about, because their frames were not enough [pages].
    shared : int
        Anonymous pages whose frame is mapped more than once: by KSM, or after a fork [pages].
    first_shared : int or None
        Index of the first of them.
    unmapped : int
        Absent pages that are swapped out, poisoned, or under migration for as long as was waited [pages].
    unmapped_entry : int
        What ``/proc/self/pagemap`` has for the first of them.
    tried_again : int
        Pages that were asked about again, because they were on the move [pages].
    frames : int
        Pages whose frame was shown [pages].
    frame_runs : int
        Runs of them whose frames follow each other, page by page of a node.
    """

    found: dict[int, int]
    absent: dict[str, int]
    misplaced: int
    first_misplaced: int | None
    asked: int
    shared: int = 0
    first_shared: int | None = None
    unmapped: int = 0
    unmapped_entry: int = 0
    tried_again: int = 0
    frames: int = 0
    frame_runs: int = 0

    def __add__(self, other: Where) -> Where:
        firsts = [w.first_misplaced for w in (self, other) if w.first_misplaced is not None]
        sharing = [w.first_shared for w in (self, other) if w.first_shared is not None]
        return Where(
            dict(Counter(self.found) + Counter(other.found)),
            dict(Counter(self.absent) + Counter(other.absent)),
            self.misplaced + other.misplaced,
            min(firsts, default=None),
            self.asked + other.asked,
            self.shared + other.shared,
            min(sharing, default=None),
            self.unmapped + other.unmapped,
            self.unmapped_entry or other.unmapped_entry,
            self.tried_again + other.tried_again,
            self.frames + other.frames,
            self.frame_runs + other.frame_runs,
        )

    @classmethod
    def total(cls, parts: list[Where]) -> Where:
        """The sum of parts that do not overlap."""
        return reduce(add, parts, cls({}, {}, 0, None, 0))


def find_pages(
    mapping: PageMapping, pattern: Pattern, first_page: int, pages: int, frames: FrameNodes | None
) -> Where:
    """Find out where pages are, and how that compares with a pattern of real nodes.

    Takes memory for a batch of some thousand pages only, whatever their number.

    Parameters
    ----------
    mapping : PageMapping
        The region's memory.
    pattern : Pattern
        Which node each granule of the region should be on.
    first_page, pages : int
        The part to look at [pages].
    frames : FrameNodes or None
        With it, pages are found by their frames. Without, ``move_pages`` is asked about each.

    Raises
    ------
    NativeError
        If the kernel refuses to tell.
    """
    layout, _held = make_layout(pattern, mapping.size_bytes // PAGE_BYTES)
    c_frames = ffi.NULL
    if frames is not None:
        nodes = ffi.from_buffer("int16_t[]", frames.block_nodes)
        shift = (frames.block_bytes // PAGE_BYTES).bit_length() - 1
        c_frames = ffi.new("struct hm_frames *", (frames.pagemap_fd, shift, len(frames.block_nodes), nodes))
    where = ffi.new("struct hm_where *")
    check(
        lib.hm_where(mapping.base, layout, c_frames, first_page, pages, where),
        "asking move_pages where pages are",
        "move_pages",
    )
    return Where(
        found={node: int(n) for node, n in enumerate(where.nodes) if n},
        absent={
            errno_names.errorcode.get(code, str(code)): int(n) for code, n in enumerate(where.absent) if n
        },
        misplaced=int(where.misplaced),
        first_misplaced=int(where.first_misplaced) if where.misplaced else None,
        asked=int(where.asked),
        shared=int(where.shared),
        first_shared=int(where.first_shared) if where.shared else None,
        unmapped=int(where.unmapped),
        unmapped_entry=int(where.unmapped_entry),
        tried_again=int(where.tried_again),
        frames=int(where.frames),
        frame_runs=int(where.frame_runs),
    )
