"""A run as it shows itself in a notebook: a row for each point."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hmexp.markup import Fragment, badge, bar, bold, card, element, join, muted, table


@dataclass(frozen=True)
class Row:
    """One point in words; `part` is its value as a part of the largest of its kind, None if it failed."""

    operation: str
    ratio: str
    pattern: str
    parameters: str
    value: str
    interval: str
    part: float | None


def draw_run(title: str, labels: Iterable[str], rows: Sequence[Row], more: int = 0) -> Fragment:
    """Draw a run.

    Parameters
    ----------
    title : str
        What it is and how much of it there is.
    labels : iterable of str
        What must not be overlooked: emulated, functional only.
    rows : sequence of Row
        Its points.
    more : int
        How many points were left out.
    """
    has_parameters = any(row.parameters for row in rows)
    heads = ["operation", "DRAM:slow", "pattern", *(["parameters"] if has_parameters else [])]
    cells: list[list[object]] = [
        [
            row.operation,
            row.ratio,
            row.pattern,
            *([row.parameters] if has_parameters else []),
            badge(row.value, "bad") if row.part is None else bold(row.value),
            row.interval,
            "" if row.part is None else bar(row.part),
        ]
        for row in rows
    ]
    head = element("div", join([bold(title), *(badge(label, "caution") for label in labels)], " "))
    left = (0, 1, 2, *((3,) if has_parameters else ()))
    drawn = table([*heads, "median", "95 % interval", ""], cells, left=left)
    return card(head, drawn, *([muted(f"and {more} more points")] if more else []))
