"""What became of a program, in a few lines."""

from __future__ import annotations

from pathlib import Path

import msgspec

from hmexp.program.move.following_text import WORDS
from hmexp.store.following_records import Following, SpanOfTimes
from hmexp.store.program_records import PlacementSample, ProgramRun
from hmexp.units import format_size


def summarize(record: ProgramRun, folder: Path | None) -> list[str]:
    """Say in lines which way was taken, where the pages were, and how the program ended.

    Parameters
    ----------
    record : ProgramRun
        Of a program that has ended.
    folder : Path or None
        Where its record is.
    """
    lines = [f"hmexp run: {record.way}: {record.why}"]
    lines += [f"  not {each.way}: {each.reason}" for each in record.refused]
    lines.append(f"  {_placed(record)}")
    lines += [f"  {note}" for note in record.notes]
    lines += _outside(record.shown_placement) if record.pattern is not None else []
    if record.following is not None:
        lines.append(f"  {_followed(record.following)}")
    if record.left_running:
        numbers = ", ".join(map(str, record.left_running))
        lines.append(
            f"  left running: process {numbers}. hmexp does not wait for daemons: what it had set is back, "
            "and their further pages may go elsewhere. Let the program stay in the foreground"
        )
    kept = f"; record: {folder}" if folder is not None else ""
    lines.append(f"  {_ended(record)}{kept}")
    return lines


def _placed(record: ProgramRun) -> str:
    seen = record.shown_placement
    if seen is None:
        return f"no placement was read: {record.unread or 'nobody looked'}"
    total = sum(seen.anonymous_by_node.values())
    nodes = ", ".join(f"node {node}: {pages}" for node, pages in seen.anonymous_by_node.items())
    when = f"{seen.seconds:.1f} s after the start"
    if record.pattern is None:
        return f"{total} pages of private memory, {nodes} ({when})"
    judged = seen.in_place + seen.misplaced
    share = f", {100 * seen.in_place / judged:.2f} %" if judged else ""
    placed = f"{seen.in_place} of {judged} pages in place by {record.pattern}{share}"
    return f"{placed}; {nodes}{_ratio(seen)} ({when})"


def _ratio(seen: PlacementSample) -> str:
    """How many pages the other nodes have for each one of the first."""
    counts = [pages for _, pages in sorted(seen.anonymous_by_node.items())]
    if len(counts) < 2 or not counts[0]:
        return ""
    return " = " + ":".join(["1", *(f"{pages / counts[0]:.3f}" for pages in counts[1:])])


def _outside(seen: PlacementSample | None) -> list[str]:
    """Anonymous memory that no verdict is on, or that is elsewhere."""
    if seen is None or not seen.outside:
        return []
    parts = ", ".join(f"{pages} of {sort}" for sort, pages in seen.outside.items())
    return [f"  not where the pattern has them: {parts} [pages]"]


def _followed(found: Following) -> str:
    """What following did; where the pages were at last is in the placements."""
    words = [
        f"followed: {found.page_moves} pages moved in {found.calls} calls, {found.cpu_seconds:.2f} s of CPU"
    ]
    if found.lag_at_most.count:
        words.append(f"from first touch to place at most {_span(found.lag_at_most)}")
    if found.call_times.count:
        words.append(f"a call took {_span(found.call_times)}")
    if found.returned or found.untrue:
        words.append(f"{found.returned} pages came back, {found.untrue} were reported moved and were not")
    left = _left(found)
    if left:
        words.append(f"when it looked last, not in place: {left} [pages]")
    if found.why not in ("ended", "stopped"):
        words.append(f"it stopped before the program: {found.reason}")
    return "; ".join([*words, *found.notes])


def _left(found: Following) -> str:
    """The pages that were not in their place, by what was in the way."""
    counts = msgspec.structs.asdict(found.outcomes)
    return ", ".join(
        f"{counts[name]} {what}"
        for name, what in WORDS.items()
        if name not in ("moved", "already", "absent", "zero") and counts[name]
    )


def _span(times: SpanOfTimes) -> str:
    longest = times.longest_seconds or 0.0
    return f"{times.median_seconds or 0.0:.3g} s (median), {longest:.3g} s (longest)"


def _ended(record: ProgramRun) -> str:
    how = f"killed by {record.signal}" if record.signal else f"exit status {record.status}"
    seconds = record.elapsed_seconds or 0.0
    used = record.usage
    more = ""
    if used is not None:
        cpu_seconds = used.user_seconds + used.system_seconds
        more = f", CPU {cpu_seconds:.2f} s"
        if used.peak_bytes is not None:
            more += f", at most {format_size(used.peak_bytes)} resident"
    return f"{how} after {seconds:.2f} s{more}"
