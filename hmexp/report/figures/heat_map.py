"""Ratio by mix of reads and writes, in percent of all DRAM: is my workload safe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from hmexp.report.figures import style
from hmexp.report.figures.curves import bandwidth_operations
from hmexp.report.model.advice import baseline, relative
from hmexp.report.run.point import Estimate, Point, short_pattern
from hmexp.report.run.results import Results
from hmexp.report.run.wording import Series, say_operation, say_series

#: White is what all DRAM does; orange is less, blue is more: distinguishable with any colour vision. In grey
#: both darken, so the numbers of what is not less than all DRAM are bold.
_COLOURS: Final = LinearSegmentedColormap.from_list(
    "centred", ["#b35806", "#f1a340", "#ffffff", "#92c5de", "#2166ac"]
)
_MOST_PANELS: Final = 6
#: The colour is full at nothing, and at twice all DRAM.
_TOP: Final = 2.0
#: Not of the style: they stay on a dark page, as the cells do.
_ON_LIGHT, _ON_DARK = "#101010", "#fefefe"
_DARK: Final = 0.5
_CELL_INCHES: Final = (1.25, 0.46)

Cells = dict[tuple[str, str], Estimate]


def shares_of_dram(results: Results) -> dict[Series, Cells]:
    """Each point's bandwidth as a multiple of all DRAM's, by parameters, then by pattern and operation."""
    found: dict[Series, Cells] = {}
    for operation in bandwidth_operations(results):
        for point in results.select(operation):
            base = baseline(results.peers(point))
            if base is None:
                continue
            cells = found.setdefault(point.series, {})
            cells[point.pattern, operation] = (
                Estimate(1.0, 1.0, 1.0) if point is base else relative(point, base)
            )
    return {series: cells for series, cells in found.items() if len({p for p, _ in cells}) > 1}


@style.styled()
def ratio_by_mix(results: Results) -> Figure:
    """Draw a map: a row for each ratio, a column for each mix, in percent of all DRAM with the interval."""
    every = shares_of_dram(results)
    shown = list(every.items())[:_MOST_PANELS]
    operations = bandwidth_operations(results)
    points = [p for op in operations for p in results.select(op)]
    patterns = list(dict.fromkeys(p.pattern for p in sorted(points, key=lambda p: (-p.share, p.pattern))))
    subtitle = (
        "median / all-DRAM median in the same panel, in percent; the interval combines both worst cases"
    )
    if len(every) > len(shown):
        subtitle += f"; {len(every) - len(shown)} more sets of parameters are not drawn"
    width = max(6.8, (_CELL_INCHES[0] * len(operations) + 1.3) * max(1, len(shown)))
    columns = max(1, min(len(shown), int(style.PAGE_INCHES / (width / max(1, len(shown))))))
    rows = max(1, -(-len(shown) // columns))
    size = (max(6.8, width * columns / max(1, len(shown))), rows * (_CELL_INCHES[1] * len(patterns) + 0.85))
    left_out = [p for p in results.not_ok if p.operation in operations]
    figure = style.framed(results, "Ratio by mix, in percent of DRAM", subtitle, size, left_out=left_out)
    panels = figure.subplots(rows, columns, squeeze=False)
    flat = [axes for row in panels for axes in row]
    if not shown:
        style.say_nothing(flat[0], "No bandwidth was measured beside all DRAM.")
        return figure
    varying = results.varying(points)
    for axes, (series, cells) in zip(flat, shown, strict=False):
        axes.set_title(say_series(series, varying))
        _draw(axes, cells, patterns, operations, points, results.slow_name)
    for axes in flat[len(shown) :]:
        axes.set_axis_off()
    return figure


def _draw(
    axes: Axes,
    cells: Cells,
    patterns: Sequence[str],
    operations: Sequence[str],
    points: Sequence[Point],
    slow_name: str,
) -> None:
    values = np.full((len(patterns), len(operations)), np.nan)
    for (pattern, operation), estimate in cells.items():
        values[patterns.index(pattern), operations.index(operation)] = estimate.median
    axes.imshow(values, cmap=_COLOURS, vmin=0.0, vmax=_TOP, aspect="auto")
    for row, pattern in enumerate(patterns):
        for column, operation in enumerate(operations):
            found = cells.get((pattern, operation))
            _write(axes, found, column, row)
    ratios = {p.pattern: p.ratio or "?" for p in points}
    axes.set_xticks(range(len(operations)), [say_operation(op) for op in operations])
    axes.set_yticks(range(len(patterns)), [f"{ratios[p]}  ({short_pattern(p)})" for p in patterns])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("operation; a mix is reads:writes")
    axes.set_ylabel(f"DRAM:{slow_name}")


def _write(axes: Axes, found: Estimate | None, column: int, row: int) -> None:
    if found is None:
        axes.text(column, row, "–", ha="center", va="center", color=style.MUTED, size=8)
        return
    red, green, blue, _ = _COLOURS(min(1.0, found.median / _TOP))
    ink = _ON_LIGHT if 0.299 * red + 0.587 * green + 0.114 * blue > _DARK else _ON_DARK
    weight = "bold" if found.median >= 1 else "normal"
    text = f"{found.median * 100:.0f} %"
    if found.low != found.high and not found.says_nothing:
        text += f"\n[{found.low * 100:.0f}, {found.high * 100:.0f}]"
    axes.text(column, row, text, ha="center", va="center", color=ink, size=8, linespacing=1.15, weight=weight)
