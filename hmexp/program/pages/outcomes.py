"""One outcome for every page, from a scan made after all was done; statuses only explain failures."""

from __future__ import annotations

import errno

import msgspec
import numpy as np

from hmexp.program.pages.choice import left_whole
from hmexp.program.pages.ledger import MOST_REFUSALS, Ledger
from hmexp.program.pages.view import Mask, View
from hmexp.program.pages.wish import ANYWHERE, Nodes
from hmexp.store.following_records import PageOutcomes


def count_outcomes(view: View, wanted: Nodes, ledger: Ledger, full: frozenset[int]) -> PageOutcomes:
    """Count what became of pages: those in memory that have a place, and those asked for that are gone.

    Parameters
    ----------
    view : View
        A scan made after the last request was answered.
    wanted : numpy.ndarray
        Node of each page of the view.
    ledger : Ledger
        What was asked for.
    full : frozenset of int
        Nodes that had no room in the end.
    """
    asked = ledger.asked(view.pages)
    left = wanted != ANYWHERE
    counts: dict[str, int] = {}

    def take(name: str, which: Mask) -> None:
        """The pages that no earlier name has taken."""
        nonlocal left
        taken = left & which
        counts[name] = int(taken.sum())
        left = left & ~taken

    status, refusals = ledger.status(view.pages), ledger.refusals(view.pages)
    right = view.node == wanted
    take("moved", right & asked)
    take("already", right)
    take("zero", view.zero)
    # Also one that others mapped when it was asked for.
    take("shared", view.shared | (asked & (status == -errno.EACCES)))
    take("merged", view.merged)
    take("unseen", view.node < 0)
    take("huge", left_whole(view, wanted))
    no_room = np.isin(wanted, list(full)) if full else np.zeros(len(wanted), dtype=np.bool_)
    take("no_room", (status == -errno.ENOMEM) | (no_room & (refusals < MOST_REFUSALS)))
    take("denied", asked & (status == -errno.EPERM))
    take("pinned", refusals >= MOST_REFUSALS)
    take("busy", asked & (refusals > 0))
    take("waiting", left)
    counts["absent"] = ledger.count_absent(view.pages)
    return PageOutcomes(**counts)


def add_outcomes(parts: list[PageOutcomes]) -> PageOutcomes:
    """The sum of the outcomes of several processes."""
    total: dict[str, int] = {}
    for part in parts:
        for name, count in msgspec.structs.asdict(part).items():
            total[name] = total.get(name, 0) + count
    return PageOutcomes(**total)
