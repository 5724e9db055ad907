"""What a follower reports at the end: where the pages are, by a look of its own, and what that has taken."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hmexp.program.move.facts import read_counters, read_room, read_settings
from hmexp.program.pages.outcomes import add_outcomes
from hmexp.program.pages.spans import Spans
from hmexp.store.following_records import FollowedProcess, Following, PageOutcomes

if TYPE_CHECKING:
    from hmexp.program.move.chase import Chase
    from hmexp.program.pages.mover import Mover
    from hmexp.program.pages.wish import Wish


@dataclass
class Effort:
    """What was at work.

    Parameters
    ----------
    wish : Wish
        Where pages belong.
    mover : Mover
        What has asked the kernel.
    tolerance : float
        Share of the pages that may be on their way at the end.
    notes : list of str
        What was noticed.
    started : float
        When it began, by `time.monotonic` [s].
    cpu_started : float
        CPU time of the thread by then [s].
    counters : dict of str to int
        The machine's counters of migration by then.
    """

    wish: Wish
    mover: Mover
    tolerance: float
    notes: list[str] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    cpu_started: float = field(default_factory=time.thread_time)
    counters: dict[str, int] = field(default_factory=read_counters)


def summarize(
    effort: Effort, chases: list[Chase], processes: tuple[FollowedProcess, ...], why: str, reason: str
) -> Following:
    """Say what was done, and what became of the pages of those that live, or if none does, of all."""
    counted = tuple(each for each in processes if not each.ended) or processes
    outcomes = add_outcomes([each.outcomes for each in counted])
    by_node: Counter[int] = Counter()
    for each in counted:
        by_node.update(each.by_node)
    counters = read_counters()
    return Following(
        pattern=effort.wish.text,
        granule_bytes=effort.wish.granule_bytes,
        why=why,
        reason=reason,
        complete=is_complete(outcomes, effort.tolerance)
        and any(each.unseen_seconds is not None for each in counted),
        outcomes=outcomes,
        by_node=dict(sorted(by_node.items())),
        processes=processes,
        elapsed_seconds=time.monotonic() - effort.started,
        cpu_seconds=time.thread_time() - effort.cpu_started,
        scan_cpu_seconds=sum(chase.lookout.scan_cpu_seconds for chase in chases),
        scans=sum(chase.lookout.scans for chase in chases),
        calls=effort.mover.calls,
        page_moves=sum(chase.ledger.page_moves for chase in chases),
        returned=sum(chase.ledger.returned for chase in chases),
        untrue=sum(chase.ledger.untrue for chase in chases),
        split=sum(chase.splitter.count for chase in chases),
        call_times=effort.mover.call_times.to_record(),
        lag_at_most=Spans.total([chase.ledger.lag_at_most for chase in chases]).to_record(),
        lag_at_least=Spans.total([chase.ledger.lag_at_least for chase in chases]).to_record(),
        appeared_in_place=sum(chase.appeared_in_place for chase in chases),
        room_bytes=read_room(frozenset(effort.wish.all_nodes)),
        settings=read_settings(),
        counters={name: n - effort.counters.get(name, 0) for name, n in counters.items()},
        notes=tuple(dict.fromkeys([*effort.notes, *_describe(chases, outcomes)])),
    )


def is_complete(outcomes: PageOutcomes, tolerance: float) -> bool:
    """Whether every page is in its place, but for the few that a program at work has just touched."""
    pages = outcomes.pages - outcomes.absent - outcomes.zero
    return outcomes.misplaced == outcomes.waiting and outcomes.waiting <= tolerance * pages


def _describe(chases: list[Chase], outcomes: PageOutcomes) -> list[str]:
    notes = []
    if any(not chase.sees_huge for chase in chases):
        notes.append(
            "Huge pages cannot be recognised by this user on this kernel: one that oscillates is only "
            "noticed by "
            "its return."
        )
    if outcomes.huge:
        notes.append(
            f"{outcomes.huge} pages are part of huge pages that were left whole: they are locked, shared, "
            "or this "
            "user has not CAP_SYS_NICE, which splitting needs; or use a granule of 2MiB."
        )
    if outcomes.shared:
        notes.append(
            f"{outcomes.shared} pages are mapped by other processes, too (a child after a fork): they can be "
            "moved once they are the program's own; --all moves them now, for all."
        )
    if outcomes.pinned:
        notes.append(
            f"{outcomes.pinned} pages are pinned: a device, a pipe (vmsplice), io_uring or the like holds "
            "them in "
            "place."
        )
    if outcomes.merged:
        notes.append(f"{outcomes.merged} pages are merged with equal ones (KSM): no process owns them alone.")
    return notes
