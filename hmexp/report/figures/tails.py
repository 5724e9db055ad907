"""The tail of latency: how many single accesses took longer than so much, by ratio and by node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from hmexp.report.figures import style
from hmexp.report.figures.layout import panel_title
from hmexp.report.figures.pattern_lines import PatternLines, only, panels_of
from hmexp.report.run.point import Point
from hmexp.report.run.results import Results
from hmexp.store.tails import TailDetails, TailOfNode

OPERATIONS: Final = ("latency_tail", "latency_tail_loaded")
_PANEL_WIDTH: Final = 4.9
_PANEL_HEIGHT: Final = 3.2
#: Shares that are marked, for those who look for a percentile.
_MARKED: Final = {0.5: "p50", 0.01: "p99", 0.001: "p99.9", 0.0001: "p99.99"}

Curve = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


def tails_of(point: Point) -> tuple[TailOfNode, ...]:
    """What each launch of a point says of each node."""
    result = point.result
    if result is None:
        return ()
    every = [launch.details for launch in result.launches] or [result.details]
    return tuple(node for details in every if isinstance(details, TailDetails) for node in details.nodes)


def tail_points(results: Results) -> list[Point]:
    """The points of single accesses that were measured, idle ones first."""
    return [point for operation in OPERATIONS for point in results.select(operation)]


def longer_than(tails: Sequence[TailOfNode]) -> Curve:
    """Times, and the share of all accesses that took so long or longer.

    Parameters
    ----------
    tails : sequence of TailOfNode
        Of launches, of nodes, or both; one access at least.

    Returns
    -------
    tuple of numpy.ndarray
        In ascending order of the times [ns], shape ``(buckets,)`` each.
    """
    total: dict[float, int] = {}
    for tail in tails:
        for start, count in tail.counts:
            total[start] = total.get(start, 0) + count
    times = np.array(sorted(total))
    counts = np.array([total[start] for start in times.tolist()], dtype=np.float64)
    return times, np.cumsum(counts[::-1])[::-1] / counts.sum()


@style.styled()
def latency_tail(results: Results) -> Figure:
    """Draw the share of single accesses that took longer than each time, of all nodes and of each."""
    points = [p for p in tail_points(results) if tails_of(p)]
    lines = PatternLines.of(points)
    varying = set(results.varying(points))
    rows = [
        (operation, row)
        for operation in dict.fromkeys(p.operation for p in points)
        for row in panels_of([p for p in points if p.operation == operation], varying)
    ] or [(OPERATIONS[0], ())]
    nodes = sorted({tail.node for point in points for tail in tails_of(point)})
    columns = [None, *nodes] if len(nodes) > 1 else [None]
    details = [point.result.details for point in points if point.result is not None]
    clocks = [found.clock_ns for found in details if isinstance(found, TailDetails)]
    taken_off = f"; {max(clocks):.0f} ns for reading the clock are taken off" if clocks else ""
    figure = style.framed(
        results,
        "Tail of latency",
        f"single accesses of all launches, each timed by itself{taken_off}; "
        f"{style.common_parameters(results, points)}",
        (style.panels_width(_PANEL_WIDTH, len(columns)), _PANEL_HEIGHT * len(rows) + 0.2),
        key=lines.key(),
        left_out=[p for p in results.not_ok if p.operation in OPERATIONS],
    )
    if not points:
        style.say_nothing(figure.subplots(), "No tail of latency was measured.")
        return figure
    panels = figure.subplots(len(rows), len(columns), squeeze=False, sharex=True, sharey=True)
    several = len({operation for operation, _ in rows}) > 1
    for (operation, row), axes_row in zip(rows, panels, strict=True):
        for node, axes in zip(columns, axes_row, strict=True):
            inside = [p for p in points if p.operation == operation and only(p, varying) == row]
            what = "All accesses" if node is None else f"To node {node} ({results.kinds.get(node, '?')})"
            if several or operation != OPERATIONS[0]:
                what += " under load" if operation != OPERATIONS[0] else ", idle"
            axes.set_title(panel_title(what, row))
            _draw(axes, inside, node, lines)
    return figure


def _draw(axes: Axes, points: Sequence[Point], node: int | None, lines: PatternLines) -> None:
    for share, name in _MARKED.items():
        axes.axhline(share, color=style.FAINT, linewidth=0.8, zorder=1)
        axes.annotate(
            name, (1, share), xycoords=("axes fraction", "data"), xytext=(-2, 2), textcoords="offset points",
            ha="right", va="bottom", size=8, color=style.MUTED,
        )  # fmt: skip
    for point in points:
        tails = [tail for tail in tails_of(point) if node is None or tail.node == node]
        if not tails:
            continue
        times, shares = longer_than(tails)
        seen = times > 0  # what the clock cannot tell from nothing has no place on a logarithmic axis
        axes.plot(
            times[seen], shares[seen], drawstyle="steps-pre", markevery=max(1, int(seen.sum()) // 8),
            **lines.look(point.pattern),
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: _say_time(value))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value * 100:g} %")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_formatter(NullFormatter())
    axes.set_ylim(top=1.5)
    axes.set_xlabel("time of an access")
    axes.set_ylabel("share of accesses that took longer")
    axes.grid(visible=True, which="major", axis="x")


def _say_time(ns: float) -> str:
    for factor, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "µs")):
        if ns >= factor:
            return f"{ns / factor:g} {unit}"
    return f"{ns:g} ns"
