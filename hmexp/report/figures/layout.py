"""Which points share a panel and which a colour, so that different points are never averaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from matplotlib.artist import Artist
from matplotlib.lines import Line2D

from hmexp.report.figures import style
from hmexp.report.run.point import Point
from hmexp.report.run.results import Results
from hmexp.report.run.wording import Series, say_series

#: Widest spread over which points at the same share are set side by side [percent of DRAM share].
_SPREAD: Final = 3.0
#: Letters of a title in one line over a panel of a sheet that stands.
_LONG: Final = 36
_STEP: Final = 1.6


@dataclass(frozen=True)
class Layout:
    """Rows of panels, and a colour and a marker for each value of one parameter."""

    rows: tuple[Series, ...]
    hue: str | None
    hues: tuple[Any, ...]

    @classmethod
    def of(cls, results: Results, points: Sequence[Point]) -> Layout:
        """Give one varying parameter the colours (threads if they vary) and all others the rows.

        Operations may differ in a parameter by design (a chase has one thread): a parameter counts
        as varying only if it does within one operation.
        """
        varying = dict.fromkeys(
            name
            for op in results.operations
            for name in results.varying([p for p in points if p.operation == op])
        )
        preferred = ["threads", "access", "page_bytes", "placer", "granule_bytes", "size_bytes", "cpu_node"]
        ordered = sorted(varying, key=lambda name: preferred.index(name) if name in preferred else 99)
        hue = ordered[0] if ordered else None
        rows = dict.fromkeys(_only(point, ordered[1:]) for point in points)
        hues = dict.fromkeys(dict(point.series).get(hue) for point in points) if hue else {None: None}
        return cls(tuple(rows) or ((),), hue, tuple(hues))

    def holds(self, row: Series, point: Point) -> bool:
        """True if a point belongs into a row of panels."""
        return _only(point, [name for name, _ in row]) == row

    def colour(self, point: Point) -> str:
        """Return the colour of a point's series; ink if there is one series only."""
        return style.SERIES_COLOURS[self._index(point) % len(style.SERIES_COLOURS)] if self.hue else style.INK

    def marker(self, point: Point) -> str:
        """Return the marker of a point's series."""
        return style.SERIES_MARKERS[self._index(point) % len(style.SERIES_MARKERS)] if self.hue else "o"

    def key(self, points: Sequence[Point]) -> style.Key:
        """Return handles and labels of the colours."""
        handles: list[Artist] = []
        labels = []
        for point in {dict(p.series).get(self.hue or ""): p for p in points}.values() if self.hue else ():
            colour, marker = self.colour(point), self.marker(point)
            handles.append(Line2D([], [], color=colour, marker=marker, linestyle="none", markersize=5.5))
            labels.append(say_series(point.series, [str(self.hue)]))
        return handles, labels

    def _index(self, point: Point) -> int:
        return self.hues.index(dict(point.series).get(self.hue or ""))


def panel_title(title: str, row: Series) -> str:
    """Write a panel's title: what it shows, and which row of the layout."""
    if not row:
        return title
    whole = f"{title}, {say_series(row, dict(row))}"
    return whole if len(whole) <= _LONG else whole.replace(", ", ",\n", 1)


def side_by_side(points: Sequence[Point]) -> list[tuple[Point, float, float]]:
    """Set points with the same DRAM share side by side (same ratio in another order, other threads).

    Returns
    -------
    list of tuple
        Each point, its x, and how far beside it there is room for its samples [percent of DRAM share].
    """
    placed = []
    for share in dict.fromkeys(round(p.share, 4) for p in points):
        same = [p for p in points if round(p.share, 4) == share]
        step = min(_STEP, _SPREAD / max(1, len(same) - 1))
        start = -step * (len(same) - 1) / 2
        aside = 1.4 if len(same) == 1 else step * 0.45
        placed += [(p, p.share * 100 + start + step * n, aside) for n, p in enumerate(same)]
    return placed


def _only(point: Point, names: Sequence[str]) -> Series:
    return tuple(pair for pair in point.series if pair[0] in names)
