"""A policy for each run of pages: what the kernel offers for this, and what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from hmexp import native
from hmexp.errors import MappingLimitError, ParseError
from hmexp.memory.placers.anonymous import AnonymousPlacer
from hmexp.memory.placers.protocol import Placed
from hmexp.native import PAGE_BYTES, PageMapping
from hmexp.pattern import Pattern
from hmexp.system.sysfs import read_int
from hmexp.units import format_size

MAX_MAP_COUNT: Final = Path("/proc/sys/vm/max_map_count")
_MAPS: Final = Path("/proc/self/maps")
#: For the two ends of a mapping that is being split, and what the program maps meanwhile.
_SPARE: Final = 64


class Mbind(AnonymousPlacer):
    """`mbind(2)` on each run of pages of one node.

    Every run becomes a mapping of its own in the kernel's list, whose length is limited
    (`vm.max_map_count`, which is only read here). Pages that are dropped come back on their node; those
    that are copied after a fork, too, for the child inherits the policies.
    """

    name = "mbind"
    lazy = True
    needs = "a mapping per run of pages (vm.max_map_count)"

    def map(self, size_bytes: int, align_bytes: int, pattern: Pattern, huge: bool = False) -> PageMapping:
        """See `Placer`.

        Raises
        ------
        MappingLimitError
            If there would be more mappings than a process may have.
        """
        require_mappings(native.count_runs(pattern, size_bytes // PAGE_BYTES), size_bytes, pattern)
        return super().map(size_bytes, align_bytes, pattern, huge)

    def bind(self, mapping: PageMapping, pattern: Pattern) -> None:
        """See `LazyPlacer`."""
        native.bind_runs(mapping, pattern)

    def place(self, mapping: PageMapping, pattern: Pattern) -> Placed:
        """See `Placer`."""
        self.bind(mapping, pattern)
        native.populate(mapping)
        runs = native.count_runs(pattern, mapping.size_bytes // PAGE_BYTES)
        return Placed({"mappings": runs, "max_map_count": read_int(MAX_MAP_COUNT)})


def count_mappings() -> int:
    """Mappings that this process has now.

    Raises
    ------
    ParseError
        If they cannot be read.
    """
    try:
        with _MAPS.open("rb") as file:
            return sum(1 for _ in file)
    except OSError as error:
        raise ParseError(f"{_MAPS} cannot be read: {error.strerror}", "mount -t proc proc /proc") from error


def require_mappings(runs: int, size_bytes: int, pattern: Pattern) -> None:
    """Refuse more mappings than a process may have, before the first is made.

    Raises
    ------
    MappingLimitError
        With the need and the limit.
    """
    limit = read_int(MAX_MAP_COUNT)
    have = count_mappings()
    if limit is None or have + runs + _SPARE <= limit:
        return
    raise MappingLimitError(
        f"mbind needs {runs} mappings for {format_size(size_bytes)} of the pattern {pattern} in granules of "
        f"{format_size(pattern.granule_bytes)}, and this process, which has {have}, may have {limit} "
        f"(vm.max_map_count)",
        "use a larger granule, or a placer that needs one mapping: first_touch, shared_policy, userfaultfd, "
        "hybridmem, move_pages",
    )
