"""A run as it shows itself in a notebook: a row for each point."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from hmexp.markup import Fragment, badge, bar, bold, card, element, join, muted, number, table
from hmexp.measure.statistics import TOO_FEW


class Interval(Protocol):
    """A median and its interval."""

    @property
    def median(self) -> float:
        """The median."""

    @property
    def low(self) -> float:
        """The lower end."""

    @property
    def high(self) -> float:
        """The upper end."""

    @property
    def says_nothing(self) -> bool:
        """Whether there were too few launches to say."""


@dataclass(frozen=True)
class Row:
    """One point in words, and its number; `found` is None, and `unit` its status, if there is none."""

    operation: str
    ratio: str
    pattern: str
    parameters: str
    found: Interval | None
    unit: str


def draw_run(title: str, labels: Iterable[str], rows: Sequence[Row], more: int = 0) -> Fragment:
    """Draw a run; bars compare points of the same operation.

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
    tops: dict[str, float] = {}
    for row in rows:
        if row.found is not None:
            tops[row.operation] = max(tops.get(row.operation, 0.0), row.found.median)
    extra = ["parameters"] if any(row.parameters for row in rows) else []
    cells: list[list[object]] = []
    for row in rows:
        said: list[object] = [row.operation, row.ratio, row.pattern, *([row.parameters] if extra else [])]
        found = row.found
        if found is None:
            cells.append([*said, badge(row.unit, "bad"), "", ""])
            continue
        median = number(found.median)
        interval = TOO_FEW if found.says_nothing else f"{number(found.low)} to {number(found.high)}"
        picture = bar(found.median / tops[row.operation] if tops[row.operation] > 0 else 0)
        cells.append([*said, bold(f"{median} {row.unit}"), interval, picture])
    head = element("div", join([bold(title), *(badge(label, "caution") for label in labels)], " "))
    heads = ["operation", "DRAM:slow", "pattern", *extra, "median", "95 % interval", ""]
    drawn = table(heads, cells, left=range(3 + len(extra)))
    return card(head, drawn, *([muted(f"and {more} more points")] if more else []))
