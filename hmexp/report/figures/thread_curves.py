"""Bandwidth against the number of threads: how many help, and when it collapses."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hmexp.report.figures import style
from hmexp.report.figures.curves import bandwidth_operations
from hmexp.report.figures.layout import panel_title
from hmexp.report.figures.pattern_lines import PatternLines, only, panels_of
from hmexp.report.figures.scale import clip
from hmexp.report.run.point import Point
from hmexp.report.run.results import Results
from hmexp.report.run.wording import say_operation

_PANEL_WIDTH: Final = 3.6
_PANEL_HEIGHT: Final = 2.9
_THREADS: Final = "threads"


def thread_counts(results: Results) -> tuple[int, ...]:
    """Numbers of threads that a bandwidth was measured with."""
    points = [p for op in bandwidth_operations(results) for p in results.select(op)]
    found = {p.threads for p in points}
    return tuple(sorted(count for count in found if isinstance(count, int)))


@style.styled()
def bandwidth_against_threads(results: Results) -> Figure:
    """Draw the bandwidth of each pattern against the number of threads, a panel for each operation."""
    operations = bandwidth_operations(results)
    points = [p for op in operations for p in results.select(op) if p.threads is not None]
    left_out = [p for p in results.not_ok if p.operation in operations]
    lines = PatternLines.of(points)
    varying = set(results.varying(points)) - {_THREADS}
    rows = panels_of(points, varying)
    figure = style.framed(
        results,
        "Bandwidth against threads",
        style.common_parameters(results, points),
        (style.panels_width(_PANEL_WIDTH, len(operations)), _PANEL_HEIGHT * len(rows) + 0.2),
        key=lines.key(),
        left_out=left_out,
    )
    if not points:
        style.say_nothing(figure.subplots(), "No bandwidth was measured.")
        return figure
    panels = figure.subplots(len(rows), len(operations), squeeze=False, sharey="col")
    for row, axes_row in zip(rows, panels, strict=True):
        for operation, axes in zip(operations, axes_row, strict=True):
            inside = [p for p in points if p.operation == operation and only(p, varying) == row]
            axes.set_title(panel_title(say_operation(operation).capitalize(), row))
            axes.set_xlabel("threads, one on each CPU")
            axes.set_ylabel("GB/s of payload")
            axes.grid(visible=True, which="major", axis="y")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            _draw(axes, inside, lines)
    for operation, axes in zip(operations, panels[0], strict=True):
        axes.set_ylim(0, axes.get_ylim()[1] * 1.05)
        clip(axes, [p.value.shown[1] for p in points if p.operation == operation], "GB/s")
    return figure


def _draw(axes: Axes, points: Sequence[Point], lines: PatternLines) -> None:
    counts = sorted({p.threads or 1 for p in points})
    step = min((b - a for a, b in pairwise(counts)), default=1)
    for number, pattern in enumerate(lines.ratios):
        same = sorted((p for p in points if p.pattern == pattern), key=lambda p: p.threads or 1)
        if not same:
            continue
        # A little beside each other, so that no interval hides another.
        aside = step * 0.045 * (number - (len(lines.ratios) - 1) / 2)
        x = [(p.threads or 1) + aside for p in same]
        middle = [p.value.median for p in same]
        below = [max(0.0, p.value.median - p.value.shown[0]) for p in same]
        above = [max(0.0, p.value.shown[1] - p.value.median) for p in same]
        axes.errorbar(x, middle, yerr=[below, above], capsize=3, elinewidth=1.1, **lines.look(pattern))
    axes.set_xlim(counts[0] - 0.5 * step, counts[-1] + 0.5 * step)
