"""What a follower knows of each page that it has asked to be moved."""

from __future__ import annotations

import errno
from typing import Final

import numpy as np
import numpy.typing as npt

from hmexp.program.pages.spans import Spans
from hmexp.program.pages.view import Mask, View
from hmexp.program.pages.wish import Nodes, Pages, find_sorted

#: A time that is not known.
UNKNOWN: Final = -1
#: As many refusals without another reason make a page a pinned one.
MOST_REFUSALS: Final = 4

_EXCUSES: Final = tuple(-code for code in (errno.EACCES, errno.ENOENT, errno.EFAULT, errno.ENOMEM))
_ENTRY: Final = np.dtype(
    [
        ("page", np.uint64),
        ("origin", np.int16),  # its node when it was first seen in the wrong place
        ("status", np.int32),  # of the last call, a node or a negative errno
        ("refusals", np.uint16),  # in a row
        ("returns", np.uint16),  # how often it was in its place and then elsewhere
        ("placed", np.bool_),  # a scan has found it in its place, after a call
        ("gone", np.bool_),  # the last scan has not found it
        ("asked_now", np.bool_),  # since the last scan
        ("before_ns", np.int64),  # the last scan that did not see it, or unknown
        ("seen_ns", np.int64),  # the first scan that did
        ("done_ns", np.int64),  # end of the last call
    ]
)


class Ledger:
    """Every page that was asked for, and what came of it; of a program that was replaced, none."""

    def __init__(self) -> None:
        self._rows = np.empty(0, dtype=_ENTRY)
        self.lag_at_most = Spans()
        self.lag_at_least = Spans()
        self.page_moves = 0
        self.returned = 0
        self.untrue = 0

    def forget(self) -> None:
        """The pages are of a program that is no more; what was counted stays."""
        self._rows = np.empty(0, dtype=_ENTRY)

    @property
    def pages(self) -> Pages:
        """The pages, ascending."""
        return self._rows["page"]

    def enter(
        self, pages: Pages, node: npt.NDArray[np.int16], before_ns: npt.NDArray[np.int64], seen_ns: int
    ) -> Mask:
        """Note pages that are about to be asked for.

        Parameters
        ----------
        pages : numpy.ndarray
            Their numbers, ascending.
        node : numpy.ndarray
            Where they are.
        before_ns : numpy.ndarray
            When each was not there yet, or `UNKNOWN` [ns].
        seen_ns : int
            When they were first seen [ns].

        Returns
        -------
        numpy.ndarray
            Which of them are asked for the first time.
        """
        index, known = find_sorted(self.pages, pages)
        again = index[known]
        # Freed and touched anew: another page at the same address, with a first touch of its own.
        back = self._rows["gone"][again]
        self._renew(again[back], before_ns[known][back], seen_ns)
        rows = np.zeros(int((~known).sum()), dtype=_ENTRY)
        rows["page"] = pages[~known]
        rows["origin"] = node[~known]
        rows["before_ns"] = before_ns[~known]
        rows["seen_ns"] = seen_ns
        if rows.size:
            where = np.searchsorted(self.pages, rows["page"])
            self._rows = np.insert(self._rows, where, rows)
        return ~known

    def _renew(self, index: npt.NDArray[np.int64], before_ns: npt.NDArray[np.int64], seen_ns: int) -> None:
        for name, value in (("gone", False), ("placed", False), ("refusals", 0), ("seen_ns", seen_ns)):
            self._rows[name][index] = value
        self._rows["before_ns"][index] = before_ns

    def answered(self, pages: Pages, status: Nodes, done_ns: npt.NDArray[np.int64] | int) -> None:
        """Note what the kernel answered for pages, all of which are known here."""
        index = np.searchsorted(self.pages, pages)
        self._rows["status"][index] = status
        self._rows["asked_now"][index] = True
        self._rows["done_ns"][index] = done_ns

    def compare(self, view: View, wanted: Nodes) -> int:
        """Hold a fresh scan against what was asked.

        Returns
        -------
        int
            How many pages have left their place, or are elsewhere although the kernel has reported them
            there: they may have left it before anybody looked.
        """
        rows = self._rows
        index, there = find_sorted(view.pages, rows["page"])
        if not rows.size or not view.pages.size:
            rows["gone"] = True
            return 0
        at = np.zeros(len(rows), dtype=np.int32)
        want = np.zeros(len(rows), dtype=np.int32)
        at[there], want[there] = view.node[index[there]], wanted[index[there]]
        asked = rows["asked_now"]
        right = there & (at == want)
        wrong = there & ~right
        arrived = right & asked & ~rows["placed"]
        self.page_moves += int((right & asked).sum())
        self._count_lag(rows[arrived])
        untrue = wrong & asked & (rows["status"] == want)
        self.untrue += int(untrue.sum())
        # Mapped by others, gone or without room at that moment: that is no fault of the page.
        excused = np.isin(rows["status"], _EXCUSES)
        rows["refusals"][wrong & asked & ~excused & ~untrue] += 1
        rows["refusals"][right] = 0
        # What others map now, they may have mapped when it was asked for.
        rows["refusals"][there & view.shared[index]] = 0
        back = wrong & rows["placed"]
        rows["returns"][back] += 1
        self.returned += int(back.sum())
        rows["placed"] |= right
        rows["placed"][back] = False
        rows["gone"] = ~there
        rows["asked_now"] = False
        return int((back | untrue).sum())

    def _count_lag(self, rows: npt.NDArray[np.void]) -> None:
        known = rows[rows["before_ns"] != UNKNOWN]
        self.lag_at_most.add(known["done_ns"] - known["before_ns"])
        self.lag_at_least.add(known["done_ns"] - known["seen_ns"])

    def refusals(self, pages: Pages) -> npt.NDArray[np.int64]:
        """How often in a row each page was asked for and not moved."""
        return self._column("refusals", pages, 0)

    def returns(self, pages: Pages) -> npt.NDArray[np.int64]:
        """How often each page has come back from its place."""
        return self._column("returns", pages, 0)

    def status(self, pages: Pages) -> npt.NDArray[np.int64]:
        """The last answer for each page; 0 for one that was never asked for."""
        return self._column("status", pages, 0)

    def asked(self, pages: Pages) -> Mask:
        """Which pages were ever asked for."""
        return self._column("done_ns", pages, 0) > 0

    def count_absent(self, pages: Pages) -> int:
        """How many pages were asked for that are not among these."""
        there = find_sorted(pages, self.pages)[1]
        return int((~there & (self._rows["done_ns"] > 0)).sum())

    def _column(self, name: str, pages: Pages, missing: int) -> npt.NDArray[np.int64]:
        index, known = find_sorted(self.pages, pages)
        found = np.full(len(pages), missing, dtype=np.int64)
        found[known] = self._rows[name][index[known]]
        return found
