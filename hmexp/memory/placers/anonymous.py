"""What the placers of anonymous memory have in common."""

from __future__ import annotations

from hmexp.native import PageMapping
from hmexp.pattern import Pattern


class AnonymousPlacer:
    """Pages of an anonymous mapping, put in place by system calls that every kernel with nodes has."""

    exact_order = True

    def unavailable(self) -> str | None:
        """See `Placer`."""
        return None

    def map(self, size_bytes: int, align_bytes: int, pattern: Pattern) -> PageMapping:  # noqa: ARG002
        """See `Placer`."""
        return PageMapping(size_bytes, align_bytes)

    def count(self, mapping: PageMapping) -> dict[int, int] | None:  # noqa: ARG002
        """See `Placer`."""
        return None
