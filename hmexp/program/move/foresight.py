"""What moving a program would take, and whether there is room: looked at, and nothing moved."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

import msgspec
import numpy as np

from hmexp.errors import CapacityError, ProgramError
from hmexp.native import PAGE_BYTES
from hmexp.program.look.target import find_children
from hmexp.program.move.access import require_access
from hmexp.program.move.facts import read_room, read_settings
from hmexp.program.move.follow_options import FollowOptions
from hmexp.program.pages.choice import ChoiceOptions, choose, members_of
from hmexp.program.pages.held import HeldProcess
from hmexp.program.pages.ledger import Ledger
from hmexp.program.pages.outcomes import add_outcomes, count_outcomes
from hmexp.program.pages.undo import MoveJournal, read_journal
from hmexp.program.pages.view import HUGE_PAGES, Looker, View
from hmexp.program.pages.wish import Nodes, Wish
from hmexp.store.following_records import MovePreview
from hmexp.units import format_size


def preview(pid: int, wish: Wish, options: FollowOptions) -> MovePreview:
    """Say what moving a process would take, with its children if they are followed, and move nothing.

    Parameters
    ----------
    pid : int
        The process.
    wish : Wish
        Where its pages belong.
    options : FollowOptions
        How they would be moved.

    Raises
    ------
    ProgramError
        If this user may not move its pages.
    """
    found = _preview_one(pid, wish, options)
    if not options.children:
        return found
    for child in find_children(pid):
        with suppress(ProgramError):  # it has ended since, or is another user's: it would be passed over, too
            found = _add(found, _preview_one(child.pid, wish, options))
    return found


def _add(one: MovePreview, other: MovePreview) -> MovePreview:
    def counts(name: str) -> dict[int, int]:
        return dict(sorted((Counter(getattr(one, name)) + Counter(getattr(other, name))).items()))

    return msgspec.structs.replace(
        one,
        pages=one.pages + other.pages,
        by_node=counts("by_node"),
        outcomes=add_outcomes([one.outcomes, other.outcomes]),
        moving=one.moving + other.moving,
        splitting=one.splitting + other.splitting,
        arriving=counts("arriving"),
        leaving=counts("leaving"),
        notes=tuple(dict.fromkeys((*one.notes, *other.notes))),
    )


def _preview_one(pid: int, wish: Wish, options: FollowOptions) -> MovePreview:
    with HeldProcess(pid) as target:
        require_access(target, everybody=options.choice.everybody)
        journal = read_journal(target)
        looker = Looker(target)
        try:
            view = looker.look()
        except ProcessLookupError as error:
            raise ProgramError(f"process {pid} has ended, or executes another program just now") from error
        finally:
            looker.close()
        return _foresee(target, view, wish, options.choice, journal)


def _foresee(
    target: HeldProcess, view: View, wish: Wish, options: ChoiceOptions, journal: MoveJournal | None
) -> MovePreview:
    wanted, ledger = wish.nodes(view.pages), Ledger()
    choice = choose(view, wanted, ledger, options, patient=True)
    moving = _moving(view, wanted, options, members_of(choice), choice.split)
    room = read_room(frozenset(wish.all_nodes))
    arriving = {node: int((wanted[moving] == node).sum()) for node in wish.all_nodes}
    leaving = {node: int((view.node[moving] == node).sum()) for node in wish.all_nodes}
    notes = []
    if journal is not None and journal.interrupted is not None and not target.is_locked:
        notes.append(describe_interrupted(journal))
    if read_settings().get("kernel.numa_balancing", "0") != "0":
        notes.append(
            "Automatic NUMA balancing is on (kernel.numa_balancing): unless the program has a memory policy "
            "of its "
            "own, it will move pages away again. sysctl kernel.numa_balancing=0 switches it off."
        )
    return MovePreview(
        pid=target.pid,
        name=target.name,
        pattern=wish.text,
        granule_bytes=wish.granule_bytes,
        pages=len(view.pages),
        by_node=view.by_node(),
        outcomes=count_outcomes(view, wanted, ledger, frozenset()),
        moving=len(moving),
        splitting=len(choice.split),
        arriving=arriving,
        leaving=leaving,
        room_bytes=room,
        notes=tuple(notes),
    )


def _moving(
    view: View, wanted: Nodes, options: ChoiceOptions, members: np.ndarray, split: np.ndarray
) -> np.ndarray:
    """Indices of the pages that would move, those of huge pages that are to be split among them."""
    if not split.size:
        return members
    blocks = split // np.uint64(HUGE_PAGES)
    inside = view.huge & np.isin(view.pages // np.uint64(HUGE_PAGES), blocks)
    inside &= (view.node != wanted) & (wanted >= 0) & (view.node >= 0)
    if not options.everybody:
        inside &= ~view.shared
    return np.union1d(members, np.flatnonzero(inside))


def require_room(found: MovePreview) -> None:
    """Refuse a move that does not fit, before a page is moved.

    Raises
    ------
    CapacityError
        Naming the node.
    """
    for node, pages in found.arriving.items():
        need_bytes = (pages - found.leaving.get(node, 0)) * PAGE_BYTES
        has_bytes = found.room_bytes.get(node, 0)
        if need_bytes > has_bytes:
            raise CapacityError(
                f"the pages of process {found.pid} ({found.name}) need {format_size(need_bytes)} more on "
                f"node {node}, which has room for {format_size(has_bytes)}; nothing was moved",
                "free memory there, use another pattern, or add --partial to move what fits",
            )


def describe_interrupted(journal: MoveJournal) -> str:
    """Say where a move that was killed has stopped."""
    last = journal.interrupted
    to = f"to {last.pattern}" if last is not None and last.pattern else "back"
    started = last.started if last is not None else ""
    return (
        f"An earlier move {to}, started {started}, was killed after {len(journal.pages)} pages had been "
        "noted "
        "to be moved; the program was left as it was. --undo puts them back."
    )
