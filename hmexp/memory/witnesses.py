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

from hmexp import native
from hmexp.pattern import Pattern
from hmexp.system.cpus import allowed_cpus
from hmexp.system.frames import read_memory_blocks
from hmexp.system.numa_maps import count_pages_within

#: Pages from which several threads look: below, starting them would take longer.
_THREADED_PAGES: Final = 1 << 16
_MOST_THREADS: Final = 8
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


@contextmanager
def open_frames() -> Iterator[native.FrameNodes | None]:
    """The nodes of this machine's frames, where we may see frames: a faster way to the same answer.

    None without CAP_SYS_ADMIN, or where the kernel does not say which block of memory is on which node.
    """
    blocks = read_memory_blocks()
    try:
        fd = -1 if blocks is None else os.open(_PAGEMAP, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        fd = -1
    if blocks is None or fd < 0:
        yield None
        return
    try:
        yield native.FrameNodes(fd, blocks.block_bytes, blocks.nodes) if _shows_frames(fd) else None
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
