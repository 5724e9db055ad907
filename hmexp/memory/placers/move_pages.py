"""Method one of the original design: touch the pages anywhere, then move each to its node."""

from __future__ import annotations

from typing import Final

from hmexp import native
from hmexp.memory.placers.anonymous import AnonymousPlacer
from hmexp.native import PageMapping
from hmexp.pattern import Pattern

#: Times that a batch asks again for its busy pages, a millisecond apart.
RETRIES: Final = 5


class MovePages(AnonymousPlacer):
    """Populate the region under the thread's own policy, then `move_pages(2)` in batches.

    Pages that could not be moved are counted by errno and recorded; the placement check decides
    whether the region can be used.
    """

    name = "move_pages"

    def place(self, mapping: PageMapping, pattern: Pattern) -> dict[str, object]:
        """See `Placer`."""
        native.populate(mapping)
        requested, failures = native.move_pages(mapping, pattern, RETRIES)
        native.settle(mapping, pattern)
        return {"requested_pages": requested, "not_moved_pages": failures}
