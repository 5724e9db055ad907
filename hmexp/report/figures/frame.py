"""The text around the plots of a figure: as wide as the figure, and as high as its lines are."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from matplotlib.artist import Artist

from hmexp.report.run.point import Point, short_pattern
from hmexp.report.run.results import Results

#: Handles and labels of a key.
Key = tuple[list[Artist], list[str]]
LINE_INCHES: Final = 0.175
_MAX_REASONS: Final = 4
_REASON_WIDTH: Final = 118


@dataclass(frozen=True)
class Frame:
    """The text around the plots of a figure of a width, in lines, and the height that it takes [inches]."""

    labels: list[list[str]]
    subtitles: list[str]
    notes: list[str]
    columns: int
    header: float
    footer: float

    @classmethod
    def of(cls, width: float, results: Results, subtitle: str, key: Key, left_out: Sequence[Point]) -> Frame:
        """Lay out the text."""
        chars = int(width * 13.4)
        # Bold letters in a box: none of a label may be cut off.
        labels = [textwrap.wrap(label, int(width * 11.5)) for label in results.labels]
        notes = [line for text in _left_out_lines(left_out) for line in textwrap.wrap(text, chars)]
        subtitles = textwrap.wrap(subtitle, chars)
        columns = _key_columns(key[1], width - 0.3)
        key_rows = -(-len(key[0]) // columns)
        header = 0.45 + LINE_INCHES * len(subtitles) + sum(map(label_inches, labels)) + 0.2 * key_rows
        footer = (0.12 + LINE_INCHES * len(notes)) if notes else 0.04
        return cls(labels, subtitles, notes, columns, header, footer)

    @property
    def inches(self) -> float:
        """Height of the text."""
        return self.header + self.footer


def label_inches(lines: Sequence[str]) -> float:
    """Height of a label in its box [inches]."""
    return 0.32 + LINE_INCHES * (len(lines) - 1)


def _key_columns(labels: Sequence[str], width_inches: float) -> int:
    widths = [0.45 + 0.064 * len(label) for label in labels]  # a handle, and text of 8 points
    if sum(widths) <= width_inches:
        return max(1, len(labels))
    return max(1, int(width_inches / max(widths)))


def _left_out_lines(points: Sequence[Point]) -> list[str]:
    lines = [
        f"Not drawn: {short_pattern(p.pattern)} {p.operation}, {p.status}: {p.why[:_REASON_WIDTH]}"
        for p in points[:_MAX_REASONS]
    ]
    more = len(points) - _MAX_REASONS
    return [*lines, f"and {more} more; the table of points has every reason"] if more > 0 else lines
