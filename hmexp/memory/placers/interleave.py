"""The kernel's own interleaving: equal shares."""

from __future__ import annotations

from hmexp import native
from hmexp.memory.page_sizes import HUGE_PAGE_BYTES
from hmexp.memory.placers.anonymous import AnonymousPlacer
from hmexp.memory.placers.protocol import Obstacle, Placed
from hmexp.native import PAGE_BYTES, PageMapping, Spreading
from hmexp.pattern import Pattern


class Interleaving(AnonymousPlacer):
    """What both kinds of the kernel's interleaving have in common: the page is the granule."""

    exact_order = False
    lazy = True
    granules = (PAGE_BYTES, PAGE_BYTES)

    def unsuitable(self, pattern: Pattern, huge: bool = False) -> Obstacle | None:
        """See `Placer`. The granule is the page: 2 MiB if pages are."""
        page_bytes = HUGE_PAGE_BYTES if huge else PAGE_BYTES
        if pattern.granule_bytes == page_bytes or len(pattern.distinct_nodes) == 1:
            return super().unsuitable(Pattern((pattern.nodes[0],), page_bytes), huge)
        return super().unsuitable(pattern) or Obstacle(
            f"{self.name} cannot do granules of one page if pages are of 2 MiB",
            "use granules of 2 MiB, or another placer: see `hmexp placers`",
        )


class Interleave(Interleaving):
    """`MPOL_INTERLEAVE` on the mapping: a page from each node in turn.

    Which node is first depends on the address, and the kernel takes nodes in ascending order: how many
    pages a node gets is promised, not which.
    """

    name = "interleave"
    needs = "equal shares of the nodes"

    def unsuitable(self, pattern: Pattern, huge: bool = False) -> Obstacle | None:
        """See `Placer`."""
        ratio = pattern.ratio()
        if set(ratio.values()) != {1}:
            said = ":".join(map(str, ratio.values()))
            return Obstacle(
                f"interleave gives every node the same share, and {pattern} is {said}",
                "use weighted for a ratio, or a placer of exact order: see `hmexp placers`",
            )
        return super().unsuitable(pattern, huge)

    def bind(self, mapping: PageMapping, pattern: Pattern) -> None:
        """See `LazyPlacer`."""
        native.spread(mapping, pattern, Spreading.EVENLY)

    def place(self, mapping: PageMapping, pattern: Pattern) -> Placed:
        """See `Placer`."""
        self.bind(mapping, pattern)
        native.populate(mapping)
        return Placed()
