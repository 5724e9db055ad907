"""Splits huge pages of a process whose pages belong on several nodes, each a few times at most."""

from __future__ import annotations

from collections import Counter
from typing import Final

import numpy as np

from hmexp.native.mover import split_foreign
from hmexp.program.pages.held import HeldProcess
from hmexp.program.pages.pace import MovePace
from hmexp.program.pages.view import HUGE_PAGES
from hmexp.program.pages.wish import Pages

#: Times that one huge page is split: the kernel may join its pages again.
MOST_SPLITS: Final = 3
#: Huge pages split in one go.
_BATCH: Final = 64


class Splitter:
    """Splits huge pages of one process, and remembers which.

    Parameters
    ----------
    target : HeldProcess
        The process.
    pace : MovePace
        How fast.
    """

    def __init__(self, target: HeldProcess, pace: MovePace) -> None:
        self._target = target
        self._pace = pace
        self._times: Counter[int] = Counter()
        #: Huge pages that the kernel took the advice to split for.
        self.count = 0

    def forget(self) -> None:
        """The pages are of a program that is no more."""
        self._times.clear()

    @property
    def given_up(self) -> frozenset[int]:
        """Huge pages that are not split any more, by their number."""
        return frozenset(block for block, times in self._times.items() if times >= MOST_SPLITS)

    @property
    def rejoined(self) -> int:
        """Huge pages that were split several times: something joins them again."""
        return len(self.given_up)

    def split(self, pages: Pages) -> bool:
        """Split the huge pages that these are part of, but for those that were split too often.

        Returns
        -------
        bool
            Whether there were any.
        """
        blocks = (pages // np.uint64(HUGE_PAGES)).tolist()
        again = [index for index, block in enumerate(blocks) if self._times[block] < MOST_SPLITS]
        chosen = pages[again]
        for start in range(0, len(chosen), _BATCH):
            part = chosen[start : start + _BATCH]
            if not self._pace.wait(len(part)) or self._target.ended:
                break
            taken = split_foreign(self._target.pidfd, part)
            numbers = (part // np.uint64(HUGE_PAGES)).tolist()
            if taken < 0:
                # Not allowed, or none of these: they stay, and are counted as huge.
                self._times.update(dict.fromkeys(numbers, MOST_SPLITS))
            else:
                self._times.update(numbers)
                self.count += taken
        return bool(again)
