"""Which pages of a view are to be moved now, and which huge pages must be split first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from hmexp.errors import ParameterError
from hmexp.program.pages.ledger import MOST_REFUSALS, Ledger
from hmexp.program.pages.mover import MoveRequest
from hmexp.program.pages.view import HUGE_PAGES, Mask, View
from hmexp.program.pages.wish import ANYWHERE, Nodes, Pages

#: What becomes of a huge page whose pages belong on several nodes.
HugeWay = Literal["split", "leave"]
HUGE_WAYS: Final[tuple[HugeWay, ...]] = ("split", "leave")
_NO_NODE: Final = 1 << 15


@dataclass(frozen=True)
class ChoiceOptions:
    """Which pages may be moved.

    Parameters
    ----------
    everybody : bool
        Also those that other processes map.
    huge : str
        ``split`` huge pages whose pages belong on several nodes, or ``leave`` them.
    """

    everybody: bool = False
    huge: HugeWay = "split"

    def __post_init__(self) -> None:
        if self.huge not in HUGE_WAYS:
            raise ParameterError(f"huge {self.huge!r} is not one of {', '.join(HUGE_WAYS)}")


@dataclass(frozen=True)
class MoveChoice:
    """What is to be done about a view.

    Parameters
    ----------
    request : MoveRequest
        What to ask for.
    members : numpy.ndarray
        For each request its pages in the view: the index of the first, and behind the last, shape
        ``(requests, 2)``.
    split : numpy.ndarray
        Virtual page number of one page of each huge page to be split.
    wrong : int
        Pages that are not in their place, and could be moved now or after a split [pages].
    present : int
        Pages that have a place [pages].
    shared : int
        Pages that are not in their place because other processes map them, too [pages].
    trying : int
        Pages that were refused, and are asked for again [pages].
    """

    request: MoveRequest
    members: npt.NDArray[np.int64]
    split: Pages
    wrong: int
    present: int
    shared: int
    trying: int


@dataclass(frozen=True)
class _Groups:
    """Huge pages of a view: where each begins and ends, whether it can be moved, and has to be."""

    start: npt.NDArray[np.int64]
    stop: npt.NDArray[np.int64]
    node: Nodes
    movable: Mask
    wrong: Mask


def wrong_pages(view: View, wanted: Nodes) -> Mask:
    """Pages that are on another node than they should be, whatever the reason."""
    found: Mask = (wanted != ANYWHERE) & (view.node >= 0) & (view.node != wanted)
    return found


def choose(
    view: View,
    wanted: Nodes,
    ledger: Ledger,
    options: ChoiceOptions,
    *,
    patient: bool,
    given_up: frozenset[int] = frozenset(),
) -> MoveChoice:
    """Choose what to ask for.

    Parameters
    ----------
    view : View
        A fresh scan.
    wanted : numpy.ndarray
        Node of each of its pages.
    ledger : Ledger
        What was asked before.
    options : ChoiceOptions
        Which pages may be moved.
    patient : bool
        Also ask for pages that were refused often.
    given_up : frozenset of int
        Huge pages that are not to be split any more, by their number.
    """
    wrong = wrong_pages(view, wanted) & ~view.zero & ~view.merged
    shared = wrong & view.shared
    if not options.everybody:
        wrong &= ~shared
    refused = ledger.refusals(view.pages)
    if not patient:
        wrong &= refused < MOST_REFUSALS
    small = np.flatnonzero(wrong & ~view.huge)
    # A huge page moves as a whole, or not at all.
    groups = _group_huge(view, wanted, wrong)
    whole = groups.movable & groups.wrong
    stuck = ~groups.movable & groups.wrong
    blocks = view.pages[groups.start] // np.uint64(HUGE_PAGES)
    left = stuck & (options.huge == "leave" or np.isin(blocks, np.array(sorted(given_up), dtype=np.uint64)))
    for begin, end in zip(groups.start[left], groups.stop[left], strict=True):
        wrong[begin:end] = False
    first = groups.start[whole]
    index = np.concatenate([small, first])
    stop = np.concatenate([small + 1, groups.stop[whole]])
    order = np.argsort(index, kind="stable")
    index, stop = index[order], stop[order]
    nodes = np.concatenate([wanted[small], groups.node[whole]]).astype(np.int32)[order]
    request = MoveRequest(view.pages[index], nodes, stop - index, refused[index])
    split = view.pages[groups.start[stuck & ~left]]
    return MoveChoice(
        request,
        np.stack([index, stop], axis=1) if index.size else np.empty((0, 2), np.int64),
        split,
        int(wrong.sum()),
        int((wanted != ANYWHERE).sum()),
        int(shared.sum()),
        int((wrong & (refused > 0) & (refused < MOST_REFUSALS)).sum()),
    )


def left_whole(view: View, wanted: Nodes) -> Mask:
    """Pages of huge pages that cannot be moved as they are: parts of them belong on several nodes."""
    groups = _group_huge(view, wanted, wrong_pages(view, wanted))
    found = np.zeros(len(view.pages), dtype=np.bool_)
    for start, stop in zip(groups.start[~groups.movable], groups.stop[~groups.movable], strict=True):
        found[start:stop] = True
    return found


def _group_huge(view: View, wanted: Nodes, wrong: Mask) -> _Groups:
    """Group pages of huge pages: those next to each other in one aligned stretch."""
    huge = np.flatnonzero(view.huge)
    if not huge.size:
        none = np.empty(0, dtype=np.int64)
        return _Groups(none, none, none.astype(np.int32), none.astype(np.bool_), none.astype(np.bool_))
    block = view.pages[huge] // np.uint64(HUGE_PAGES)
    new = np.ones(len(huge), dtype=np.bool_)
    new[1:] = (np.diff(block) != 0) | (np.diff(huge) != 1)
    start = huge[new]
    ends = np.append(np.flatnonzero(new)[1:], len(huge))
    stop = huge[ends - 1] + 1
    cuts = np.flatnonzero(new)
    mine = wanted[huge]
    least = np.minimum.reduceat(np.where(mine == ANYWHERE, _NO_NODE, mine), cuts)
    most = np.maximum.reduceat(mine, cuts)
    whole = stop - start == HUGE_PAGES
    return _Groups(
        start, stop, most.astype(np.int32), whole & (least == most), np.logical_or.reduceat(wrong[huge], cuts)
    )


def members_of(choice: MoveChoice) -> npt.NDArray[np.int64]:
    """Indices into the view of every page that moves with the request, ascending."""
    start, stop = choice.members[:, 0], choice.members[:, 1]
    length = stop - start
    if not length.size:
        return length
    # 0, 1, .. within each request, from the start of each.
    within = np.arange(int(length.sum())) - np.repeat(np.cumsum(length) - length, length)
    found: npt.NDArray[np.int64] = np.repeat(start, length) + within
    return found
