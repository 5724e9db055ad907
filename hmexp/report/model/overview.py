"""The run at a glance: one row per pattern, one column per operation, each against all DRAM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hmexp.report.model.advice import baseline, relative
from hmexp.report.run.numbers import interval, percent, with_unit
from hmexp.report.run.point import Point, short_pattern
from hmexp.report.run.results import Results
from hmexp.report.run.wording import Series, say_series

#: Parameters of the region: they make rows. All others (threads, ...) make columns.
_REGION: Final = ("size_bytes", "granule_bytes", "page_bytes", "placer")


@dataclass(frozen=True)
class Cell:
    """What was measured for one pattern and one operation."""

    value: str
    detail: str
    relation: str
    #: Length of a bar that shows the value against the largest of its column, from 0 to 1.
    bar: float
    failed: bool = False


@dataclass(frozen=True)
class Overview:
    """A table: `rows` are ratio, pattern, parameters, and a cell (or None) per column."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, str, str, tuple[Cell | None, ...]], ...]
    slow_name: str

    @property
    def has_regions(self) -> bool:
        """True if regions differ in more than their pattern (size, granule, placer)."""
        return any(region for _, _, region, _ in self.rows)


def overview(results: Results) -> Overview:
    """Make the table; different points are never merged into one cell."""
    points = [p for p in results.points if p.operation and not p.added]
    columns = dict.fromkeys((p.operation, _only(p.series, region=False)) for p in points)
    ordered = sorted(points, key=lambda p: (-(p.dram_share if p.dram_share is not None else -1), p.pattern))
    rows = dict.fromkeys((_only(p.series, region=True), p.ratio or "?", p.pattern) for p in ordered)
    tops: dict[tuple[str, Series], float] = {}
    for point in results.ok:
        column = (point.operation, _only(point.series, region=False))
        tops[column] = max(tops.get(column, 0.0), point.value.median)
    cells = {}
    for point in points:
        column = (point.operation, _only(point.series, region=False))
        peers = results.peers(point)
        row = (_only(point.series, region=True), point.ratio or "?", point.pattern)
        cells[row, column] = _cell(point, peers, tops.get(column, 0.0))
    region_names = [n for n in results.varying(points) if n in _REGION]
    table = [
        (
            ratio,
            short_pattern(pattern),
            say_series(region, region_names),
            tuple(cells.get(((region, ratio, pattern), column)) for column in columns),
        )
        for region, ratio, pattern in sorted(rows, key=lambda row: str(row[0]))
    ]
    heads = tuple(_head(operation, series, results) for operation, series in columns)
    return Overview(heads, tuple(table), results.slow_name)


def _cell(point: Point, peers: Sequence[Point], top: float) -> Cell:
    if not point.ok:
        return Cell(point.status, point.why, "", 0.0, failed=True)
    base = baseline(peers)
    relation = ""
    if base is not None:
        relation = "all DRAM" if point is base else f"{percent(relative(point, base).median)} of DRAM"
    bar = point.value.median / top if top > 0 else 0.0
    return Cell(with_unit(point), interval(point.value), relation, bar)


def _head(operation: str, series: Series, results: Results) -> str:
    names = [n for n in results.varying(results.select(operation, ok_only=False)) if n not in _REGION]
    words = say_series(series, names)
    return f"{operation}, {words}" if words else operation


def _only(series: Series, *, region: bool) -> Series:
    return tuple(pair for pair in series if (pair[0] in _REGION) == region)
