"""Whether the pages of a program are where its way promises, within what the way allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hmexp.errors import PlacementError
from hmexp.pattern import Pattern
from hmexp.store.program_records import PlacementSample, Promise

#: Part of the pages that may be elsewhere, where the way promises the place of each.
EXACT: Final = 0.005
#: How far the share of a node may be from the pattern's, where the way promises shares.
RATIO: Final = 0.02
#: While a program runs, following is always a little late.
RUNNING: Final = 0.05
#: The preload library leaves small mappings, stacks and the like alone; under a policy a few pages of a new
#: process are elsewhere (15 of 3401 in the lab) [pages].
_SMALL_PAGES: Final = {"preload": 512, "policy": 64}


@dataclass(frozen=True)
class Keeping:
    """What a way promises of a program's pages.

    Parameters
    ----------
    way : str
        The way.
    pattern : Pattern or None
        Where the pages shall be.
    settle_seconds : float
        How long that may take [s].
    running : bool
        Whether the program is looked at while it works.
    promise : str
        `exact`, `ratio` or `none`; known once the program has been started.
    """

    way: str
    pattern: Pattern | None
    settle_seconds: float
    running: bool = False
    promise: Promise = "none"

    @property
    def asks(self) -> bool:
        """Whether anything is promised."""
        return self.promise != "none" and self.pattern is not None

    @property
    def allowed(self) -> float:
        """Part of the pages that may be elsewhere, or how far a share may be off."""
        if self.promise == "ratio":
            return RATIO
        return RUNNING if self.running and self.way == "follow" else EXACT

    def off(self, found: PlacementSample) -> float:
        """How far the pages are from the promise, in the sense of `allowed`."""
        if self.promise == "ratio" and self.pattern is not None:
            pages = sum(found.anonymous_by_node.values())
            nodes = {*found.anonymous_by_node, *self.pattern.distinct_nodes}
            return max(
                abs(found.anonymous_by_node.get(node, 0) / max(1, pages) - self.pattern.share([node]))
                for node in nodes
            )
        judged = found.in_place + found.misplaced
        excess = max(0, found.misplaced - _SMALL_PAGES.get(self.way, 0))
        return excess / max(1, judged)

    def holds(self, found: PlacementSample | None) -> bool:
        """Whether the promise is kept."""
        if not self.asks:
            return True
        return found is not None and found.in_place + found.misplaced > 0 and self.off(found) <= self.allowed

    def require(self, found: PlacementSample | None, when: str, unread: str | None) -> None:
        """Refuse a launch whose pages are elsewhere.

        Parameters
        ----------
        found : PlacementSample or None
            Where they are.
        when : str
            When that was seen, such as ``after the window``.
        unread : str or None
            Why nobody could look.

        Raises
        ------
        PlacementError
            With how many pages are elsewhere.
        """
        if self.holds(found):
            return
        if found is None or not found.in_place + found.misplaced:
            why = unread or "it has no private anonymous memory"
            raise PlacementError(f"where the program's pages were {when} is unknown: {why}")
        if self.promise == "ratio":
            what = f"the share of a node is {self.off(found):.1%} off"
        else:
            what = f"{found.misplaced} of {found.in_place + found.misplaced} pages are elsewhere"
        stuck = f", {found.unmovable} of them cannot be moved" if found.unmovable else ""
        raise PlacementError(
            f"{when} the pages do not follow pattern {self.pattern}: {what}{stuck}; the way {self.way} "
            f"promises {self.allowed:.1%} at most",
            "give the pages more time (--settle-seconds), or take another way",
        )
