"""Page faults handled by a thread of our own."""

from __future__ import annotations

import errno
import os

from hmexp import native
from hmexp.errors import NativeError
from hmexp.memory.placers.anonymous import AnonymousPlacer
from hmexp.memory.placers.protocol import Obstacle, Placed
from hmexp.native import PageMapping
from hmexp.pattern import Pattern


class Userfaultfd(AnonymousPlacer):
    """A thread binds itself to the node of the page that is touched, and copies zeros there.

    The thread lives as long as the region, so a page that is dropped comes back on its node. One fault
    brings the rest of its granule, 512 pages at most. A forked child has no such thread: the pages that
    it copies come from any node of the pattern.
    """

    name = "userfaultfd"
    lazy = True
    needs = "userfaultfd(2)"

    def unavailable(self) -> Obstacle | None:
        """See `Placer`."""
        try:
            os.close(native.open_userfaultfd())
        except NativeError as error:
            return _explain(error)
        return super().unavailable()

    def unsuitable(self, pattern: Pattern, huge: bool = False) -> Obstacle | None:
        """See `Placer`."""
        if huge:
            return Obstacle(
                "userfaultfd cannot have huge pages: the kernel copies page by page",
                "use another placer for huge pages: first_touch, mbind, move_pages",
            )
        return super().unsuitable(pattern)

    def bind(self, mapping: PageMapping, pattern: Pattern) -> None:
        """See `LazyPlacer`."""
        self._start(mapping, pattern)

    def place(self, mapping: PageMapping, pattern: Pattern) -> Placed:
        """See `Placer`."""
        handler = self._start(mapping, pattern)
        native.touch(mapping)
        handler.settle()
        return Placed({"faults": handler.faults})

    def _start(self, mapping: PageMapping, pattern: Pattern) -> native.FaultHandler:
        handler = native.FaultHandler(mapping, pattern)
        mapping.keep(handler)
        return handler


def _explain(error: NativeError) -> Obstacle:
    if error.errno == errno.ENOSYS:
        reason = "the kernel has no userfaultfd(2), or a filter hides it"
    elif error.errno in (errno.EPERM, errno.EACCES):
        reason = "this process may not use userfaultfd(2), nor open /dev/userfaultfd"
    else:
        reason = error.message
    return Obstacle(reason, error.remedy or "see userfaultfd(2)")
