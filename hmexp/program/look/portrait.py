"""The placement of a program as it shows itself in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hmexp.markup import (
    Fragment,
    badge,
    bar,
    bold,
    card,
    chip,
    element,
    join,
    listing,
    muted,
    node_colours,
    table,
)
from hmexp.program.look.kinds import node_kinds
from hmexp.program.look.words import say_bytes, say_cost, title_of, verdict_of
from hmexp.units import format_size

if TYPE_CHECKING:
    from hmexp.program.look.placed import PlacedProgram
    from hmexp.program.look.reading import PlacedMapping

_LISTED: Final = 12


def draw_program(placement: PlacedProgram) -> Fragment:
    """Draw where the pages of a program are."""
    parts: list[object] = [element("div", bold(title_of(placement)), " ", _verdict(placement))]
    parts.append(_nodes(placement))
    parts += [muted(line.strip()) for line in verdict_of(placement)]
    parts.append(_mappings(placement))
    parts.append(
        listing(element("span", badge("disagreement", "bad"), " ", t) for t in placement.disagreements)
    )
    parts.append(listing(element("span", badge("not seen", "caution"), " ", t) for t in placement.unseen))
    parts.append(muted(say_cost(placement)))
    return card(*parts)


def _verdict(placement: PlacedProgram) -> Fragment:
    verdict = placement.verdict
    if verdict is None:
        return Fragment()
    if placement.ok:
        return badge(f"✓ all {verdict.in_place:,} pages in place", "good")
    there = verdict.in_place + verdict.misplaced + verdict.swapped + verdict.unseen
    return badge(f"✗ {verdict.in_place:,} of {there:,} pages in place", "bad")


def _nodes(placement: PlacedProgram) -> Fragment:
    kinds = node_kinds()
    total = sum(placement.by_node.values())
    private = placement.anonymous_by_node
    rows = [
        [
            join([chip(node), f" {kinds.get(node, 'unknown')}"]),
            f"{pages:,}",
            say_bytes(placement, pages),
            say_bytes(placement, private.get(node, 0)),
            bar(pages / max(total, 1), colour=node_colours(node)[0]),
        ]
        for node, pages in placement.by_node.items()
    ]
    return table(["node", "pages", "size", "private memory", ""], rows)


def _mappings(placement: PlacedProgram) -> Fragment:
    found = [(process.pid, mapping) for process in placement.processes for mapping in process.mappings]
    shown = sorted(found, key=lambda each: -each[1].pages.present)[:_LISTED]
    heads = ["process", "address", "is", "size", *(chip(node) for node in placement.by_node)]
    heads += ["in place", "misplaced"] if placement.pattern is not None else []
    rows = [_row(placement, pid, mapping) for pid, mapping in shown if mapping.pages.present]
    rest = len(found) - len(rows)
    return join(
        [table(heads, rows, left=(0, 2)), muted(f"and {rest} smaller ones, or without pages") if rest else ""]
    )


def _row(placement: PlacedProgram, pid: int, mapping: PlacedMapping) -> list[object]:
    what = element("span", mapping.sort, title=f"{mapping.permissions} {mapping.path} {mapping.policy}")
    row: list[object] = [pid, f"{mapping.start:x}", what, format_size(mapping.size_bytes)]
    row += [f"{mapping.by_node.get(node, 0):,}" for node in placement.by_node]
    if placement.pattern is not None:
        verdict = mapping.verdict
        row += ["", ""] if verdict is None else [f"{verdict.in_place:,}", f"{verdict.misplaced:,}"]
    return row
