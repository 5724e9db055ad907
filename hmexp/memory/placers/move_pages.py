"""Method one of the original design: touch the pages anywhere, then move each to its node."""

from __future__ import annotations

from typing import Final

from hmexp import native
from hmexp.memory.page_sizes import HUGE_PAGE_BYTES
from hmexp.memory.placers.anonymous import AnonymousPlacer
from hmexp.memory.placers.protocol import Placed
from hmexp.native import PAGE_BYTES, PageMapping
from hmexp.pattern import Pattern

#: A region takes no longer than this, whatever the kernel does with pages that are busy [s]. One page
#: takes about a microsecond; software emulation of a processor, some twenty times as long.
LIMIT_SECONDS: Final = 30.0
LIMIT_SECONDS_PER_PAGE: Final = 200e-6
#: Times that a batch asks again for its busy pages, a millisecond apart.
RETRIES: Final = 5


class MovePages(AnonymousPlacer):
    """Populate the region from any of its nodes, then `move_pages(2)` in batches.

    Pages that could not be moved are counted by errno and recorded (ETIME: there was no time left to
    ask for them); the placement check decides whether the region can be used.
    """

    name = "move_pages"

    def place(self, mapping: PageMapping, pattern: Pattern) -> Placed:
        """See `Placer`."""
        # First: pages that NUMA balancing has its eyes on are neither moved nor found (ENOENT).
        native.settle(mapping, pattern)
        native.populate(mapping)
        pages = mapping.size_bytes // PAGE_BYTES
        limit_seconds = LIMIT_SECONDS + pages * LIMIT_SECONDS_PER_PAGE
        if mapping.huge:
            # One page of each huge page takes the others along; asked for together, all but the first of
            # them are busy. What this leaves is seen to below.
            native.move_pages(mapping, pattern, RETRIES, limit_seconds, HUGE_PAGE_BYTES // PAGE_BYTES)
        requested, failures = native.move_pages(mapping, pattern, RETRIES, limit_seconds)
        return Placed({"requested_pages": requested, "not_moved_pages": dict(failures)})
