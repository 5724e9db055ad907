"""What a follower did, in words for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from hmexp.store.following_records import Following, MovePreview, PageOutcomes, SpanOfTimes
from hmexp.units import format_size

#: What each outcome is, for a person; in the order of `PageOutcomes`.
WORDS: Final = {
    "moved": "moved",
    "already": "already in place",
    "absent": "gone since (freed or swapped out)",
    "zero": "zero page, on no node",
    "shared": "shared with other processes",
    "merged": "merged with equal pages (KSM)",
    "huge": "in huge pages that were not split",
    "busy": "busy",
    "pinned": "pinned",
    "denied": "denied by the kernel",
    "no_room": "no room on their node",
    "unseen": "on a node that cannot be seen",
    "waiting": "not reached",
}


def describe(found: Following) -> str:
    """Say what was done and what became of the pages."""
    return "\n".join(_lines(found))


def _lines(found: Following) -> Iterator[str]:
    outcomes = found.outcomes
    done = "put back" if not found.pattern else f"in place by {found.pattern}"
    names = ", ".join(f"{each.pid} ({each.name})" for each in found.processes)
    held = outcomes.pages - outcomes.absent - outcomes.zero
    verdict = f"{outcomes.in_place} of {held} pages are {done}"
    if all(each.ended for each in found.processes):
        unseen_seconds = min((each.unseen_seconds or 0.0 for each in found.processes), default=0.0)
        verdict = (
            f"{outcomes.in_place} of {held} pages were {done} when they were last looked at, "
            f"{unseen_seconds:.2f} s before the end was noticed"
        )
    yield f"process {names}: {'complete' if found.complete else 'NOT complete'}: {verdict}"
    yield f"stopped because {found.reason}"
    for name, count in _counts(outcomes):
        yield f"  {count:>10}  {WORDS[name]}"
    yield f"pages by node: {_by_node(found.by_node)}"
    if found.page_moves:
        yield (
            f"{found.page_moves} moves in {found.elapsed_seconds:.1f} s, {found.cpu_ns_per_page:.0f} ns of "
            "CPU "
            f"and {found.stall_ns_per_page:.0f} ns of stall a page; {found.scans} looks, "
            f"{found.scan_cpu_seconds:.2f} s of CPU"
        )
        yield f"stall: one call of move_pages took {_span(found.call_times)}"
    if found.lag_at_most.count:
        yield (
            f"lag from first touch to place, {found.lag_at_most.count} pages that appeared elsewhere: at "
            "most "
            f"{_span(found.lag_at_most)}; at least {_span(found.lag_at_least)}; "
            f"{found.appeared_in_place} appeared in place"
        )
    for count, what in (
        (found.returned, "pages came back after they had been in place"),
        (found.untrue, "pages were reported as moved by the kernel and found elsewhere by the next look"),
        (found.split, "huge pages were split"),
    ):
        if count:
            yield f"{count} {what}"
    for note in found.notes:
        yield f"note: {note}"


def describe_preview(found: MovePreview) -> str:
    """Say what a move would do."""
    lines = [f"process {found.pid} ({found.name}): {found.pages} pages in private memory"]
    lines += [f"pages by node: {_by_node(found.by_node)}"]
    lines += [
        f"would move {found.moving} pages"
        + (f", after splitting {found.splitting} huge pages" * bool(found.splitting))
    ]
    for node, pages in found.arriving.items():
        room = format_size(found.room_bytes.get(node, 0))
        lines.append(
            f"  node {node}: {pages} pages arrive, {found.leaving.get(node, 0)} leave; room for {room}"
        )
    lines += [f"  {count:>10}  {WORDS[name]}" for name, count in _counts(found.outcomes) if name != "waiting"]
    return "\n".join([*lines, *(f"note: {note}" for note in found.notes), "Nothing was moved."])


def _counts(outcomes: PageOutcomes) -> Iterator[tuple[str, int]]:
    for name in WORDS:
        count = getattr(outcomes, name)
        if count:
            yield name, count


def _by_node(counts: Mapping[int, int]) -> str:
    total = sum(counts.values()) or 1
    return ", ".join(f"node {node}: {n} ({n / total:.2%})" for node, n in counts.items()) or "none in memory"


def _span(times: SpanOfTimes) -> str:
    return (
        f"median {_milliseconds(times.median_seconds)}, p99 {_milliseconds(times.p99_seconds)}, "
        f"longest {_milliseconds(times.longest_seconds)}"
    )


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1e3:.3g} ms"
