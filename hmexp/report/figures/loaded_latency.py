"""Latency under load: a curve for each pattern, its knee, or that the memory was not saturated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hmexp.measure.quantity import has_curve, streaming
from hmexp.report.figures import style
from hmexp.report.figures.layout import panel_title
from hmexp.report.run.numbers import digits
from hmexp.report.run.point import Point, short_pattern
from hmexp.report.run.results import Results
from hmexp.report.run.wording import Series
from hmexp.store.details import LoadedDetails

_PANEL_WIDTH: Final = 6.4
_PANEL_HEIGHT: Final = 3.4


@dataclass(frozen=True)
class LaunchCurve:
    """One launch's curve: load [GB/s] and latency [ns] from no load up, and where its knee is.

    `interval_gbps` is the 95 % interval of the knee's load over the samples of the launch.
    """

    load_gbps: tuple[float, ...]
    latency_ns: tuple[float, ...]
    knee: tuple[float, float] | None
    interval_gbps: tuple[float, float] | None = None


def loaded_operations(results: Results) -> list[str]:
    """Return the loaded latencies that were measured."""
    return [op for op in results.operations if has_curve(op)]


def curves_of(point: Point) -> tuple[LaunchCurve, ...]:
    """The curves of a point's launches; none if it has none."""
    result = point.result
    if result is None:
        return ()
    every = [launch.details for launch in result.launches] or [result.details]
    return tuple(_curve(details) for details in every if isinstance(details, LoadedDetails) and details.curve)


def _curve(details: LoadedDetails) -> LaunchCurve:
    # By load and not by pause: a shorter pause does not always make more of it.
    points = sorted((rate.load_gbps, rate.median) for rate in details.curve)
    knee, found, interval = details.knee, None, None
    if knee is not None and knee.load_gbps is not None and knee.latency_ns is not None:
        found = (knee.load_gbps, knee.latency_ns)
        if knee.ci_low is not None and knee.ci_high is not None:
            interval = (knee.ci_low, knee.ci_high)
    return LaunchCurve(tuple(x for x, _ in points), tuple(y for _, y in points), found, interval)


def knees(group: Sequence[Point]) -> Iterable[str]:
    """Say of each point with curves where its knee is, over its launches."""
    for point in group:
        curves = curves_of(point)
        if not curves:
            continue
        name = f"{point.ratio or '?'} (pattern {short_pattern(point.pattern)})"
        start = f"Under {streaming(point.operation)} load, {name}"
        found = [curve.knee for curve in curves if curve.knee is not None]
        most = max(max(curve.load_gbps) for curve in curves)
        if not found:
            yield f"{start} is not saturated: {digits(most)} GB/s was the most that the threads could make."
            continue
        loads = [load for load, _ in found]
        said = f"{start} has its knee at {digits(median(loads))} GB/s"
        apart = [f"launches: {digits(min(loads))} to {digits(max(loads))}"] * (len(found) > 1)
        apart += _reach(curves)
        said += f" ({'; '.join(apart)})" if apart else ""
        said += f", where latency is {digits(median(ns for _, ns in found))} ns"
        if len(found) < len(curves):
            said += f"; {len(curves) - len(found)} of {len(curves)} launches did not saturate it"
        yield f"{said}."


def _reach(curves: Sequence[LaunchCurve]) -> list[str]:
    """Say how far the launches' own intervals reach, if they have any."""
    ends = [curve.interval_gbps for curve in curves if curve.interval_gbps is not None]
    if not ends:
        return []
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    return [f"95 % interval{'s'[: len(ends) > 1]} over samples: {digits(low)} to {digits(high)}"]


@style.styled()
def loaded_latency(results: Results) -> Figure:
    """Draw latency against load, a colour for each pattern and a thin line for each launch."""
    operations = loaded_operations(results)
    points = [p for op in operations for p in results.select(op) if curves_of(p)]
    left_out = [p for p in results.not_ok if p.operation in operations]
    rows: tuple[Series, ...] = tuple(dict.fromkeys(_varying(p, results, points) for p in points)) or ((),)
    patterns = list(dict.fromkeys(p.pattern for p in points))
    figure = style.framed(
        results,
        "Latency under load",
        style.common_parameters(results, points),
        (max(6.8, _PANEL_WIDTH * len(operations)), _PANEL_HEIGHT * len(rows) + 0.2),
        key=_key(points, patterns),
        left_out=left_out,
    )
    if not points:
        style.say_nothing(figure.subplots(), "No latency under load was measured.")
        return figure
    panels = figure.subplots(len(rows), len(operations), squeeze=False)
    for row, axes_row in zip(rows, panels, strict=True):
        for operation, axes in zip(operations, axes_row, strict=True):
            inside = [p for p in points if p.operation == operation and _varying(p, results, points) == row]
            axes.set_title(panel_title(f"{streaming(operation)} traffic", row))
            axes.set_xlabel("load, GB/s of payload")
            axes.set_ylabel("ns per access")
            axes.grid(visible=True, which="major", axis="y")
            _draw(axes, inside, patterns)
    return figure


def _varying(point: Point, results: Results, points: Sequence[Point]) -> Series:
    names = set(results.varying(points))
    return tuple(pair for pair in point.series if pair[0] in names)


def _colour(pattern: str, patterns: Sequence[str]) -> str:
    return style.SERIES_COLOURS[patterns.index(pattern) % len(style.SERIES_COLOURS)]


def _marker(pattern: str, patterns: Sequence[str]) -> str:
    return style.SERIES_MARKERS[patterns.index(pattern) % len(style.SERIES_MARKERS)]


def _draw(axes: Axes, points: Sequence[Point], patterns: Sequence[str]) -> None:
    for point in points:
        colour, marker = _colour(point.pattern, patterns), _marker(point.pattern, patterns)
        for curve in curves_of(point):
            axes.plot(
                curve.load_gbps, curve.latency_ns, color=colour, marker=marker, markersize=2.4,
                linewidth=0.9, alpha=0.65, linestyle=":" if point.added else "-", zorder=2,
            )  # fmt: skip
            if curve.knee is not None:
                style.mark_knee(axes, curve.knee, curve.interval_gbps, colour, 9)
    axes.set_xlim(left=0)
    axes.set_ylim(0, axes.get_ylim()[1] * 1.05)


def _key(points: Sequence[Point], patterns: Sequence[str]) -> style.Key:
    if not points:
        return style.NO_KEY
    handles: list[Artist] = []
    labels = []
    for pattern in patterns:
        same = [p for p in points if p.pattern == pattern]
        curves = [curve for p in same for curve in curves_of(p)]
        look: dict[str, Any] = {
            "linestyle": ":" if same[0].added else "-",
            "marker": _marker(pattern, patterns),
        }
        handles.append(Line2D([], [], color=_colour(pattern, patterns), markersize=4, **look))
        text = " (all DRAM, added to compare)" if same[0].added else ""
        text += "" if any(curve.knee is not None for curve in curves) else ", not saturated"
        labels.append(f"{same[0].ratio} (pattern {short_pattern(pattern)}){text}")
    if any(curve.knee is not None for p in points for curve in curves_of(p)):
        ring: dict[str, Any] = {"color": "none", "marker": "o", "markeredgecolor": style.INK, "markersize": 7}
        handles.append(Line2D([], [], linestyle="none", **ring))
        labels.append("knee of a launch")
    return handles, labels
