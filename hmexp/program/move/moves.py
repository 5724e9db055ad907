"""Moving a program that runs, and putting its pages back."""

from __future__ import annotations

import threading
from dataclasses import replace

from hmexp.errors import ProgramError
from hmexp.pattern import Pattern
from hmexp.program.move.access import require_nodes
from hmexp.program.move.follow_options import FollowOptions
from hmexp.program.move.foresight import preview, require_room
from hmexp.program.move.pursuit import Pursuit
from hmexp.program.pages.held import HeldProcess
from hmexp.program.pages.undo import MoveJournal, read_journal, remove_journal
from hmexp.program.pages.wish import FormerWish, PatternWish
from hmexp.store.following_records import Following


def move_program(
    pid: int,
    pattern: Pattern,
    options: FollowOptions | None = None,
    stop: threading.Event | None = None,
    *,
    partial: bool = False,
) -> Following:
    """Lay a running program out by a pattern, and remember where its pages were.

    Parameters
    ----------
    pid : int
        The process.
    pattern : Pattern
        Where its pages belong, by virtual page number.
    options : FollowOptions, optional
        How; by default until nothing is left to be moved.
    stop : threading.Event, optional
        Ends it early; the program runs on with its pages where they are by then.
    partial : bool
        Move what fits, where not everything does.

    Returns
    -------
    Following
        One outcome for every page.

    Raises
    ------
    ProgramError
        If it may not be moved, or another hmexp is at it.
    CapacityError
        If it does not fit.
    """
    require_nodes(pid, pattern)
    options = replace(options or FollowOptions(until_still=True), undoable=True)
    wish = PatternWish(pattern)
    found = preview(pid, wish, options)
    if not partial:
        require_room(found)
    with Pursuit(pid, wish, options, stop or threading.Event()) as pursuit:
        pursuit.effort.notes.extend(found.notes)
        return pursuit.run()


def undo_move(
    pid: int, options: FollowOptions | None = None, stop: threading.Event | None = None
) -> Following:
    """Put the pages of a program back where they were before they were moved for the first time.

    Raises
    ------
    ProgramError
        If hmexp has not moved this program, or its pages may not be moved.
    """
    options = replace(options or FollowOptions(until_still=True), undoable=False, children=False)
    with HeldProcess(pid) as target:
        journal = require_journal(target)
        wish = FormerWish(journal.pages, journal.origins)
        with Pursuit(pid, wish, options, stop or threading.Event()) as pursuit:
            found = pursuit.run()
        if found.complete and found.why == "still":
            remove_journal(journal)
    return found


def require_journal(target: HeldProcess) -> MoveJournal:
    """The journal of a process.

    Raises
    ------
    ProgramError
        If there is none.
    """
    from hmexp.program.pages.undo import state_folder

    journal = read_journal(target)
    if journal is None:
        raise ProgramError(
            f"hmexp has not moved pages of process {target.pid} ({target.name}), or all of them were put "
            f"back: there is no journal of it in {state_folder()}",
            "journals are kept for each user and process: undo as the user who moved it",
        )
    return journal
