"""First touch: one pass over the region per node, by several threads, with the region bound to that node."""

from __future__ import annotations

from typing import Final

from hmexp import native
from hmexp.memory.placers.anonymous import AnonymousPlacer
from hmexp.memory.placers.protocol import Placed
from hmexp.native import PageMapping
from hmexp.pattern import Pattern
from hmexp.system.cpus import allowed_cpus

#: Threads that touch, at most: more of them wait for the kernel's lists of free pages.
_MOST_THREADS: Final = 8
#: What is worth a thread of its own [bytes].
_OF_A_THREAD_BYTES: Final = 16 << 20


class FirstTouch(AnonymousPlacer):
    """Bind the mapping to a node, touch that node's pages, continue with the next node.

    One mapping in the kernel's list, no page is ever moved, and the thread's own policy is not
    touched. A page that is dropped (MADV_DONTNEED) or copied after a fork comes from any node of the
    pattern: the order holds only as long as the pages stay.
    """

    name = "first_touch"

    def place(self, mapping: PageMapping, pattern: Pattern) -> Placed:
        """See `Placer`."""
        most = min(_MOST_THREADS, mapping.size_bytes // _OF_A_THREAD_BYTES)
        cpus = allowed_cpus()[:most] if most > 1 else ()
        for node in pattern.distinct_nodes:
            native.first_touch(mapping, pattern, node, cpus)
        native.settle(mapping, pattern)
        return Placed({"passes": len(pattern.distinct_nodes), "threads": max(1, len(cpus))})
