"""Following a program that runs: its pages are moved to their place by a pattern, as they appear."""

from __future__ import annotations

import threading

from hmexp.pattern import Pattern
from hmexp.program.move.access import require_nodes
from hmexp.program.move.follow_options import FollowOptions
from hmexp.program.move.pursuit import Pursuit
from hmexp.program.pages.wish import PatternWish, Wish
from hmexp.store.following_records import Following

__all__ = ["FollowOptions", "follow", "pursue"]


def follow(
    pid: int,
    pattern: Pattern,
    options: FollowOptions | None = None,
    stop: threading.Event | None = None,
) -> Following:
    """Follow a process: move its pages to their place by virtual page number, until it is to stop.

    Page ``v`` (address divided by the granule) belongs on ``nodes[v % len(nodes)]``. It returns when `stop`
    is set, the process ends, or going on makes no sense; then it has looked at every page once more. It may
    run in a thread.

    Parameters
    ----------
    pid : int
        The process.
    pattern : Pattern
        Where pages belong.
    options : FollowOptions, optional
        How; by default until it is stopped.
    stop : threading.Event, optional
        Ends it within some tenths of a second.

    Returns
    -------
    Following
        What was done, why it stopped, and one outcome for each page.

    Raises
    ------
    ProgramError
        If this user may not move the pages of the process, or another hmexp is at it; nothing was moved.
    PatternError
        If the process may not have memory of a node.
    """
    require_nodes(pid, pattern)
    return pursue(pid, PatternWish(pattern), options, stop)


def pursue(
    pid: int, wish: Wish, options: FollowOptions | None = None, stop: threading.Event | None = None
) -> Following:
    """Follow a process to wherever its pages are wanted; see `follow`."""
    with Pursuit(pid, wish, options or FollowOptions(), stop or threading.Event()) as pursuit:
        return pursuit.run()
