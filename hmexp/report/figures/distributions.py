"""The distribution of latency for each ratio: can I meet my latency target."""

from __future__ import annotations

from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hmexp.report.figures import style, tails
from hmexp.report.figures.curves import latency_operations
from hmexp.report.figures.layout import panel_title
from hmexp.report.figures.pattern_lines import PatternLines, only, panels_of
from hmexp.report.figures.scale import clip
from hmexp.report.run.point import Point
from hmexp.report.run.results import Results
from hmexp.report.run.wording import say_operation

_PANEL_WIDTH: Final = 6.8
_PANEL_HEIGHT: Final = 2.9


@style.styled()
def latency_distribution(results: Results) -> Figure:
    """Draw the share of samples up to each latency, a line for each ratio."""
    operations = [op for op in latency_operations(results) if op not in tails.OPERATIONS]
    points = [p for op in operations for p in results.select(op) if p.samples]
    lines = PatternLines.of(points)
    varying = {name for op in operations for name in results.varying(results.select(op))}
    rows = panels_of(points, varying)
    subtitle = (
        "all samples of all launches; a sample is the mean of a chase of many accesses, so single slow "
        "accesses are averaged"
    )
    figure = style.framed(
        results,
        "Distribution of latency",
        f"{subtitle}; {style.common_parameters(results, points)}",
        (style.panels_width(_PANEL_WIDTH, len(operations)), _PANEL_HEIGHT * len(rows) + 0.2),
        key=lines.key(),
        left_out=[p for p in results.not_ok if p.operation in operations],
    )
    if not points:
        style.say_nothing(figure.subplots(), "No latency was measured.")
        return figure
    panels = figure.subplots(len(rows), len(operations), squeeze=False, sharex="col")
    for row, axes_row in zip(rows, panels, strict=True):
        for operation, axes in zip(operations, axes_row, strict=True):
            inside = [p for p in points if p.operation == operation and only(p, varying) == row]
            axes.set_title(panel_title(say_operation(operation).capitalize(), row))
            axes.set_xlabel("ns per access")
            axes.set_ylabel("cumulative share of samples [%]")
            axes.grid(visible=True, which="major")
            for point in inside:
                _draw(axes, point, lines)
            axes.set_ylim(0, 103)
    for operation, axes in zip(operations, panels[0], strict=True):
        axes.set_xlim(left=0)
        clip(axes, [v for p in points if p.operation == operation for v in p.samples], "ns", "x")
    return figure


def _draw(axes: Axes, point: Point, lines: PatternLines) -> None:
    ordered = np.sort(np.array(point.samples))
    up_to = np.arange(1, len(ordered) + 1) / len(ordered) * 100
    axes.plot(
        np.concatenate((ordered[:1], ordered)), np.concatenate(([0.0], up_to)), drawstyle="steps-post",
        markevery=max(1, len(ordered) // 8), **lines.look(point.pattern),
    )  # fmt: skip
