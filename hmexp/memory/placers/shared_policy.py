"""A file in memory that has its policies itself: one mapping, whatever the pattern."""

from __future__ import annotations

from typing import Final

from hmexp import native
from hmexp.memory.placers.anonymous import THP, AnonymousPlacer
from hmexp.memory.placers.mbind import MAX_MAP_COUNT, count_mappings
from hmexp.memory.placers.protocol import Placed
from hmexp.native import PAGE_BYTES, PageMapping
from hmexp.pattern import Pattern
from hmexp.system.sysfs import read_int

#: Pages bound at a time [pages]. The window is split into as many mappings as it has runs.
WINDOW_PAGES: Final = 16384


class SharedPolicy(AnonymousPlacer):
    """`memfd_create(2)`, and `mbind(2)` on its runs through a window that moves along it.

    The policies are kept by the file, in a tree of its own: the region is one mapping, but the kernel
    spends memory on each run. It is shared: a forked child sees the same pages, and a hole that is
    punched is filled on the right node.
    """

    name = "shared_policy"
    lazy = True
    needs = "memfd_create"
    huge_switch = THP / "shmem_enabled"
    huge_off = frozenset({"never", "deny"})

    def make_mapping(self, size_bytes: int, align_bytes: int, huge: bool) -> PageMapping:
        """The mapping itself."""
        return PageMapping(size_bytes, align_bytes, huge, fd=native.make_memory_file(size_bytes))

    def bind(self, mapping: PageMapping, pattern: Pattern) -> None:
        """See `LazyPlacer`."""
        limit = read_int(MAX_MAP_COUNT) or 2 * WINDOW_PAGES
        window = max(1, min(WINDOW_PAGES, (limit - count_mappings()) // 2))
        native.bind_file(mapping.fd, mapping.size_bytes // PAGE_BYTES, pattern, window)

    def place(self, mapping: PageMapping, pattern: Pattern) -> Placed:
        """See `Placer`."""
        self.bind(mapping, pattern)
        native.populate(mapping)
        return Placed({"policies": native.count_runs(pattern, mapping.size_bytes // PAGE_BYTES)})
