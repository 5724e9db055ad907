"""What a follower reports at the end: a fresh look at every page, and what it took to get there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from hmexp.program.facts import read_counters, read_room, read_settings
from hmexp.program.outcomes import add_outcomes
from hmexp.program.spans import Spans
from hmexp.store.following_records import Following, PageOutcomes

if TYPE_CHECKING:
    from hmexp.program.chase import Chase
    from hmexp.program.pursuit import Pursuit


def summarize(pursuit: Pursuit, why: str, reason: str) -> Following:
    """Look at every page once more, and say what was done."""
    chases = [*pursuit.chases, *pursuit.former]
    processes = tuple(chase.conclude() for chase in chases)
    outcomes = add_outcomes([each.outcomes for each in processes])
    by_node: dict[int, int] = {}
    for each in processes:
        for node, pages in each.by_node.items():
            by_node[node] = by_node.get(node, 0) + pages
    counters = read_counters()
    return Following(
        pattern=pursuit.wish.text,
        granule_bytes=pursuit.wish.granule_bytes,
        why=why,
        reason=reason,
        complete=is_complete(outcomes, pursuit.options.tolerance) and any(not each.ended for each in processes),
        outcomes=outcomes,
        by_node=dict(sorted(by_node.items())),
        processes=processes,
        elapsed_seconds=time.monotonic() - pursuit.started,
        cpu_seconds=time.thread_time() - pursuit.cpu_started,
        scan_cpu_seconds=sum(chase.scan_cpu_seconds for chase in chases),
        scans=sum(chase.scans for chase in chases),
        calls=pursuit.mover.calls,
        page_moves=sum(chase.ledger.page_moves for chase in chases),
        returned=sum(chase.ledger.returned for chase in chases),
        untrue=sum(chase.ledger.untrue for chase in chases),
        split=sum(chase.split for chase in chases),
        call_times=pursuit.mover.call_times.to_record(),
        lag_at_most=Spans.total([chase.ledger.lag_at_most for chase in chases]).to_record(),
        lag_at_least=Spans.total([chase.ledger.lag_at_least for chase in chases]).to_record(),
        appeared_in_place=sum(chase.appeared_in_place for chase in chases),
        room_bytes=read_room(frozenset(pursuit.wish.all_nodes)),
        settings=read_settings(),
        counters={name: n - pursuit.counters_before.get(name, 0) for name, n in counters.items()},
        notes=tuple(dict.fromkeys([*pursuit.notes, *_describe(chases, outcomes)])),
    )


def is_complete(outcomes: PageOutcomes, tolerance: float) -> bool:
    """Whether every page is in its place, but for the few that a program at work has just touched."""
    pages = outcomes.pages - outcomes.absent - outcomes.zero
    return outcomes.misplaced == outcomes.waiting and outcomes.waiting <= tolerance * pages


def _describe(chases: list[Chase], outcomes: PageOutcomes) -> list[str]:
    notes = []
    if any(not chase.sees_huge for chase in chases):
        notes.append(
            "Huge pages cannot be recognised by this user on this kernel: one that oscillates is only noticed by its return."
        )
    if outcomes.huge:
        notes.append(
            f"{outcomes.huge} pages are part of huge pages that were left whole: they are locked, shared, or this user has not "
            "CAP_SYS_NICE, which splitting needs; or use a granule of 2MiB."
        )
    if outcomes.shared:
        notes.append(
            f"{outcomes.shared} pages are mapped by other processes, too (a child after a fork): they can be moved "
            "once they are the program's own; --all moves them now, for all."
        )
    if outcomes.pinned:
        notes.append(
            f"{outcomes.pinned} pages are pinned: a device, a pipe (vmsplice), io_uring or the like holds them in place."
        )
    if outcomes.merged:
        notes.append(f"{outcomes.merged} pages are merged with equal ones (KSM): no process owns them alone.")
    return notes
