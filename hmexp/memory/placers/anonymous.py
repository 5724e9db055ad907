"""What the placers of anonymous memory have in common."""

from __future__ import annotations

from typing import Final

from hmexp.errors import ParameterError
from hmexp.native import PAGE_BYTES, PageMapping
from hmexp.pattern import Pattern
from hmexp.units import MIB, format_size

HUGE_BYTES: Final = 2 * MIB


class AnonymousPlacer:
    """Pages of an anonymous mapping, put in place by system calls that every kernel with nodes has."""

    exact_order = True

    def unavailable(self) -> str | None:
        """See `Placer`."""
        return None

    def map(self, size_bytes: int, align_bytes: int, pattern: Pattern, huge: bool = False) -> PageMapping:
        """See `Placer`."""
        alone = len(pattern.distinct_nodes) == 1
        if huge and not alone and pattern.granule_bytes % HUGE_BYTES:
            raise ParameterError(
                f"a granule of {format_size(pattern.granule_bytes)} cannot be of huge pages",
                f"use granules of {format_size(HUGE_BYTES)} or more, or pages of {format_size(PAGE_BYTES)}",
            )
        return PageMapping(size_bytes, align_bytes, huge)

    def count(self, mapping: PageMapping) -> dict[int, int] | None:  # noqa: ARG002
        """See `Placer`."""
        return None
