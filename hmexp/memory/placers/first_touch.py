"""First touch: one pass over the region per node, with the region bound to that node."""

from __future__ import annotations

from hmexp import native
from hmexp.memory.placers.anonymous import AnonymousPlacer
from hmexp.memory.placers.protocol import Placed
from hmexp.native import PageMapping
from hmexp.pattern import Pattern


class FirstTouch(AnonymousPlacer):
    """Bind the mapping to a node, touch that node's pages, continue with the next node.

    One mapping in the kernel's list, no page is ever moved, and the thread's own policy is not
    touched. A page that is dropped (MADV_DONTNEED) or copied after a fork comes from any node of the
    pattern: the order holds only as long as the pages stay.
    """

    name = "first_touch"

    def place(self, mapping: PageMapping, pattern: Pattern) -> Placed:
        """See `Placer`."""
        for node in pattern.distinct_nodes:
            native.first_touch(mapping, pattern, node)
        native.settle(mapping, pattern)
        return Placed({"passes": len(pattern.distinct_nodes)})
