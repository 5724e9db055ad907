"""Asks the kernel to move pages: in bounded batches, each of one node, within a pace."""

from __future__ import annotations

import errno
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from hmexp.native.mover import UNWRITTEN, move_foreign
from hmexp.program.pages.held import HeldProcess
from hmexp.program.pages.pace import LEAST_BATCH_PAGES, MOST_BATCH_PAGES, MovePace
from hmexp.program.pages.spans import Spans
from hmexp.program.pages.wish import Nodes, Pages

#: Reasons for which the kernel refuses whole calls, whatever the page.
_FATAL: Final = frozenset({errno.EPERM, errno.EACCES, errno.ENODEV, errno.ENOSYS})
#: The process, or the thread that is asked through, has no memory just now: the next look knows why.
_ABSENT: Final = frozenset({errno.ESRCH, errno.EINVAL})
#: Pages of a batch, by how often they were refused before: in the end each is asked for alone, so that no
#: other can be the reason.
_BATCH_AFTER: Final = (MOST_BATCH_PAGES, LEAST_BATCH_PAGES, 8, 1)


@dataclass(frozen=True)
class MoveRequest:
    """Pages to be moved; a huge page is asked for by its first page alone.

    Parameters
    ----------
    pages : numpy.ndarray
        Virtual page numbers, dtype uint64, shape ``(requests,)``.
    nodes : numpy.ndarray
        Node for each, dtype int32.
    weight : numpy.ndarray
        Pages that move with each: 1, or those of a huge page, dtype int64.
    refused : numpy.ndarray
        How often in a row each was refused before, dtype int64.
    """

    pages: Pages
    nodes: Nodes
    weight: npt.NDArray[np.int64]
    refused: npt.NDArray[np.int64]

    def groups(self) -> Iterator[npt.NDArray[np.int64]]:
        """Indices of pages for one node; those that were refused apart and last: they spoil no others."""
        refused = np.minimum(self.refused, len(_BATCH_AFTER) - 1)
        order = np.lexsort((self.pages, self.nodes, refused))
        if not order.size:
            return
        changes = (np.diff(self.nodes[order]) != 0) | (np.diff(refused[order]) != 0)
        yield from np.split(order, np.flatnonzero(changes) + 1)


@dataclass
class Answers:
    """What the kernel answered to one request.

    Parameters
    ----------
    status : numpy.ndarray
        For each page of the request; `UNWRITTEN` where there is no answer.
    done_ns : numpy.ndarray
        When its call ended; 0 for a page that was not asked for [ns].
    full : set of int
        Nodes that had no room.
    fatal : int
        The errno by which a call was refused for all pages to come; 0 if none was.
    """

    status: Nodes
    done_ns: npt.NDArray[np.int64]
    full: set[int] = field(default_factory=set)
    fatal: int = 0


class Mover:
    """Moves pages of processes within a pace, and counts its calls.

    Parameters
    ----------
    pace : MovePace
        How fast.
    everybody : bool
        Move pages that other processes map, too.
    """

    def __init__(self, pace: MovePace, *, everybody: bool = False) -> None:
        self._pace = pace
        self._everybody = everybody
        self.calls = 0
        self.call_times = Spans()
        self.errors: Counter[str] = Counter()

    def move(self, target: HeldProcess, request: MoveRequest, limit_seconds: float) -> Answers:
        """Ask for pages; what became of them only a scan says.

        Parameters
        ----------
        target : HeldProcess
            The process.
        request : MoveRequest
            The pages.
        limit_seconds : float
            After so long the others are left for the next time: by then the program has changed [s].
        """
        deadline = time.monotonic() + limit_seconds
        count = len(request.pages)
        answers = Answers(np.full(count, UNWRITTEN, dtype=np.int32), np.zeros(count, dtype=np.int64))
        for group in request.groups():
            node = int(request.nodes[group[0]])
            if node in answers.full:
                continue
            for part in self._batches(group, request):
                if time.monotonic() > deadline or not self._pace.wait(int(request.weight[part].sum())):
                    return answers
                if target.ended:
                    return answers
                if not self._call(target, request, part, answers):
                    return answers
                if node in answers.full:
                    break
        return answers

    def _batches(self, group: npt.NDArray[np.int64], request: MoveRequest) -> Iterator[npt.NDArray[np.int64]]:
        """The group in batches of the size that calls have by then."""
        until = np.cumsum(request.weight[group])
        most_pages = _BATCH_AFTER[min(int(request.refused[group[0]]), len(_BATCH_AFTER) - 1)]
        start = 0
        while start < len(group):
            if not request.refused[group[0]]:
                most_pages = self._pace.batch_pages
            before = int(until[start - 1]) if start else 0
            stop = max(start + 1, int(np.searchsorted(until, before + most_pages, side="right")))
            yield group[start:stop]
            start = stop

    def _call(
        self, target: HeldProcess, request: MoveRequest, part: npt.NDArray[np.int64], answers: Answers
    ) -> bool:
        """One call; returns whether others make sense."""
        call = move_foreign(
            target.thread, request.pages[part], request.nodes[part], everybody=self._everybody
        )
        self.calls += 1
        self.call_times.add(np.array([call.taken_ns], dtype=np.int64))
        self._pace.took(call.taken_ns / 1e9, int(request.weight[part].sum()))
        answers.status[part] = call.status
        answers.done_ns[part] = time.monotonic_ns()
        if call.errno == errno.ENOMEM or (call.status == -errno.ENOMEM).any():
            answers.full.add(int(request.nodes[part[0]]))
            # Some may have been moved before: the scan finds out.
            answers.status[part] = np.where(call.status == UNWRITTEN, -errno.ENOMEM, call.status)
        if call.errno:
            self.errors[errno.errorcode.get(call.errno, str(call.errno))] += len(part)
            answers.fatal = call.errno if call.errno in _FATAL else 0
        if answers.fatal:
            answers.status[part] = np.where(call.status == UNWRITTEN, -errno.EPERM, call.status)
        return call.errno not in _FATAL | _ABSENT
