"""A line for each pattern: its colour, marker and dashes, which differ in grey, too."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.artist import Artist
from matplotlib.lines import Line2D

from hmexp.report.figures import style
from hmexp.report.run.point import Point, short_pattern
from hmexp.report.run.wording import Series


@dataclass(frozen=True)
class PatternLines:
    """The patterns of a figure, from all DRAM down, with the ratio of each."""

    ratios: dict[str, str]

    @classmethod
    def of(cls, points: Sequence[Point]) -> PatternLines:
        """Gather the patterns of points."""
        ordered = sorted(points, key=lambda point: (-point.share, point.pattern))
        return cls({point.pattern: point.ratio or "?" for point in ordered})

    def look(self, pattern: str) -> dict[str, Any]:
        """How matplotlib draws a pattern's line."""
        number = list(self.ratios).index(pattern)
        return {
            "color": style.SERIES_COLOURS[number % len(style.SERIES_COLOURS)],
            "marker": style.SERIES_MARKERS[number % len(style.SERIES_MARKERS)],
            "linestyle": style.SERIES_LINES[number % len(style.SERIES_LINES)],
            "linewidth": 1.3,
            "markersize": 4.5,
        }

    def key(self) -> style.Key:
        """Return handles and labels."""
        handles: list[Artist] = [Line2D([], [], **self.look(pattern)) for pattern in self.ratios]
        return handles, [
            f"{ratio} (pattern {short_pattern(pattern)})" for pattern, ratio in self.ratios.items()
        ]


def panels_of(points: Sequence[Point], names: Collection[str]) -> tuple[Series, ...]:
    """The different values of some parameters that points have, one panel or row for each."""
    return tuple(dict.fromkeys(only(point, names) for point in points)) or ((),)


def only(point: Point, names: Collection[str]) -> Series:
    """Those parameters of a point."""
    return tuple(pair for pair in point.series if pair[0] in names)
