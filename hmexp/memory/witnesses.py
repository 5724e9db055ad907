"""The witnesses of the proof: each page's own place, and the kernel's count for the mapping."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np

from hmexp import native
from hmexp.pattern import Pattern
from hmexp.system.cpus import allowed_cpus
from hmexp.system.frames import read_memory_blocks
from hmexp.system.numa_maps import count_pages_within

#: Pages from which several threads look: below, starting them would take longer.
_THREADED_PAGES: Final = 1 << 16
_MOST_THREADS: Final = 8
#: Types of swap entries from which none is an area of swap space: fewer have room for migration and others.
_SPECIAL_SWAP: Final = 16
#: KPF_HWPOISON, a bit of /proc/kpageflags.
_HWPOISON: Final = 19
_PAGEMAP: Final = Path("/proc/self/pagemap")


def ask_witnesses(mapping: native.PageMapping, pattern: Pattern) -> tuple[native.Where, dict[int, int]]:
    """Find every page of a region, and have the kernel count them per node.

    Both at once if there are many pages: each walks the page tables by itself.

    Returns
    -------
    Where
        By the per-page query.
    dict of int to int
        By `/proc/self/numa_maps`; policies may have cut the region into many mappings [pages].
    """
    pages = mapping.size_bytes // native.PAGE_BYTES

    def count() -> dict[int, int]:
        found = count_pages_within(mapping.address, mapping.size_bytes)
        return {node: n // native.PAGE_BYTES for node, n in found.items()}

    with open_frames() as frames:
        if pages < _THREADED_PAGES:
            return native.find_pages(mapping, pattern, 0, pages, frames), count()
        parts = max(1, min(len(allowed_cpus()) - 1, _MOST_THREADS))
        with ThreadPoolExecutor(1) as pool:
            counted = pool.submit(count)
            return find_in_parts(mapping, pattern, frames, parts), counted.result()


def find_in_parts(
    mapping: native.PageMapping, pattern: Pattern, frames: native.FrameNodes | None, parts: int
) -> native.Where:
    """Find every page of a region, in so many threads, each of which has a part of it."""
    pages = mapping.size_bytes // native.PAGE_BYTES
    edges = [pages * i // parts for i in range(parts + 1)]
    with ThreadPoolExecutor(parts) as pool:
        found = [
            pool.submit(native.find_pages, mapping, pattern, first, end - first, frames)
            for first, end in itertools.pairwise(edges)
        ]
        return native.Where.total([part.result() for part in found])


def name_absent(where: native.Where) -> dict[str, int]:
    """Pages that are on no node, by what is known of the reason: an errno, or where they are instead.

    Returns
    -------
    dict of str to int
        The kernel answers ENOENT for a page that was swapped out, one that is poisoned, and one that has
        been under migration for as long as was waited; pagemap tells them from one that is not there [pages].
    """
    reasons = dict(where.absent)
    # Whatever the kernel has said of them, the most of them first: they are part of what was counted.
    left = where.unmapped
    for name in ("ENOENT", "EBUSY", "EAGAIN", "EFAULT"):
        taken = min(left, reasons.get(name, 0))
        left -= taken
        if taken:
            reasons[name] -= taken
    if where.unmapped > left:
        reasons[_name_entry(where.unmapped_entry)] = where.unmapped - left
    return {name: count for name, count in reasons.items() if count}


def _name_entry(entry: int, kpageflags: Path = Path("/proc/kpageflags")) -> str:
    """What an entry of pagemap says of a page that is not mapped (admin-guide/mm/pagemap.rst)."""
    value = entry & ((1 << 55) - 1)
    if value == 0:
        return "swapped out, poisoned or under migration"
    kind, offset = value & 0x1F, value >> 5
    if kind < _SPECIAL_SWAP:
        return "swapped out"
    # The offset of the others is a frame.
    try:
        with kpageflags.open("rb") as file:
            file.seek(offset * 8)
            flags = int.from_bytes(file.read(8), sys.byteorder)
    except (OSError, OverflowError):
        flags = 0
    return "poisoned" if flags >> _HWPOISON & 1 else "under migration"


@contextmanager
def open_frames() -> Iterator[native.FrameNodes | None]:
    """The nodes of this machine's frames, where we may see frames: a faster way to the same answer.

    Everybody may see which pages share a frame. Without CAP_SYS_ADMIN, or where the kernel does not say which
    block of memory is on which node, the nodes are empty. None without ``/proc/self/pagemap``.
    """
    blocks = read_memory_blocks()
    try:
        fd = os.open(_PAGEMAP, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        yield None
        return
    try:
        if blocks is None or not _shows_frames(fd):
            yield native.FrameNodes(fd, native.PAGE_BYTES, np.empty(0, dtype=np.int16))
        else:
            yield native.FrameNodes(fd, blocks.block_bytes, blocks.nodes)
    finally:
        os.close(fd)


def _shows_frames(fd: int) -> bool:
    """Whether a page of ours has a frame in it: without the capability all frames read as 0."""
    page = native.PageMapping(native.PAGE_BYTES)
    try:
        native.populate(page)
        entry = os.pread(fd, 8, page.address // native.PAGE_BYTES * 8)
    finally:
        page.close()
    return int.from_bytes(entry, sys.byteorder) & ((1 << 55) - 1) != 0
