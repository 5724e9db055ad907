"""Bandwidth and latency against the share of DRAM. Points are measurements, lines are models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hmexp.measure.quantity import LATENCIES, is_latency
from hmexp.report.figures import style
from hmexp.report.figures.labels import PanelLabel, Place, place_labels
from hmexp.report.figures.layout import Layout, panel_title, side_by_side
from hmexp.report.figures.scale import clip
from hmexp.report.model.predictions import SOURCE_NAMES, ModelCurve, Prediction, curve, predict
from hmexp.report.run.numbers import digits, signed, with_unit
from hmexp.report.run.point import Point
from hmexp.report.run.results import Results
from hmexp.report.run.wording import say_operation

_PANEL_HEIGHT: Final = 3.2
_PANEL_WIDTH: Final = 4.9
_MANY_SAMPLES: Final = 4000
_HALF: Final = 0.5
_EDGE: Final = 22.0
_TITLES: Final = {
    "read": "Read bandwidth", "write": "Write bandwidth", "latency": "Latency",
    "latency_window": "Latency in windows of 16 MiB", "latency_tail": "Latency, p99 of single accesses",
    "latency_tail_loaded": "Latency under load, p99 of single accesses",
    "store_nt": "Non-temporal store and fence",
    "store_flush": "Store, flush and fence",
}  # fmt: skip
_QUIET: Final[dict[str, Any]] = {"marker": ".", "alpha": 0.28, "markersize": 4.5, "markeredgewidth": 0}
_DISTURBED: Final[dict[str, Any]] = {"marker": "x", "alpha": 0.6, "markersize": 3.2, "markeredgewidth": 0.7}
_DOTTED: Final = (0, (1, 2))


def bandwidth_operations(results: Results) -> list[str]:
    """Return what was measured besides latencies, read and write first."""
    return [op for op in results.operations if not is_latency(op)]


def latency_operations(results: Results) -> list[str]:
    """Return the idle latencies that were measured."""
    return [op for op in LATENCIES if op in results.operations]


@style.styled()
def bandwidth_against_ratio(results: Results) -> Figure:
    """Draw the bandwidth of each operation against the DRAM share: samples, medians, intervals and model."""
    operations = bandwidth_operations(results)
    return _against_ratio(results, operations or ["read"], "Bandwidth")


@style.styled()
def latency_against_ratio(results: Results) -> Figure:
    """Draw latency against the DRAM share: samples, medians, intervals and model."""
    return _against_ratio(results, latency_operations(results) or ["latency"], "Latency")


def _against_ratio(results: Results, operations: Sequence[str], what: str) -> Figure:
    points = [p for op in operations for p in results.select(op)]
    left_out = [p for p in results.not_ok if p.operation in operations]
    layout = Layout.of(results, points)
    predictions = predict(results)
    figure = style.framed(
        results,
        f"{what} against the share of DRAM",
        ". ".join(filter(None, (style.common_parameters(results, points), _say_error(points, predictions)))),
        (
            style.panels_width(_PANEL_WIDTH, len(operations)),
            _PANEL_HEIGHT * len(layout.rows) + 0.2,
        ),
        key=_key(points, results, layout, predictions),
        left_out=left_out,
    )
    if not points:
        style.say_nothing(figure.subplots(), f"No {what.lower()} point was measured.")
        return figure
    panels = figure.subplots(len(layout.rows), len(operations), squeeze=False, sharey="col")
    named: list[tuple[Axes, _Names]] = []
    for row, axes_row in zip(layout.rows, panels, strict=True):
        for operation, axes in zip(operations, axes_row, strict=True):
            inside = [p for p in points if p.operation == operation and layout.holds(row, p)]
            axes.set_title(
                panel_title(_TITLES.get(operation, f"{say_operation(operation).capitalize()} bandwidth"), row)
            )
            axes.set_ylabel("ns per access" if is_latency(operation) else "GB/s of payload")
            style.share_axis(axes, inside or points, results.slow_name, labelled=row is layout.rows[-1])
            named.append((axes, _draw_panel(axes, inside, results, layout, predictions)))
    for number, (operation, axes) in enumerate(zip(operations, panels[0], strict=True)):
        # One scale per column, from zero: heights can be compared by eye.
        axes.set_ylim(0, axes.get_ylim()[1] * 1.12)
        column = [p for p in points if p.operation == operation]
        shown = [value for p in column for value in (*p.samples, p.value.shown[1])]
        peak = max((names.peak for other, names in named if other in panels[:, number]), default=0.0)
        clip(axes, shown, "ns" if is_latency(operation) else "GB/s", least=peak)
    room = figure.get_figwidth() / len(operations) - 0.75, _PANEL_HEIGHT - 0.9
    for axes, names in named:
        names.write(axes, room)
    return figure


@dataclass
class _Names:
    """What is to be named in a panel once its scale is known, and what the names must not cover."""

    single: bool
    baseline: Point | None = None
    best: Point | None = None
    optimum: float | None = None
    peak: float = 0.0
    drawn: list[tuple[float, float]] = field(default_factory=list)

    def write(self, axes: Axes, room: tuple[float, float]) -> None:
        if not self.single:
            return
        top = axes.get_ylim()[1]
        labels = []
        if self.best is not None:
            labels.append(
                _name_best(axes, self.best, min(top * 0.9, max(y for _, y in self.drawn if y < top)))
            )
        if self.baseline is not None and self.baseline.value.median < top:
            labels.append(_name_baseline(self.baseline))
        if self.optimum is not None:
            labels.append(_name_optimum(axes, self.optimum, self.peak))
        place_labels(axes, labels, self.drawn, room)


def _say_error(points: Sequence[Point], predictions: dict[str, Prediction]) -> str:
    found = [(p.value.median, predictions[p.point_id]) for p in points if p.point_id in predictions]
    errors = [(m / model.value - 1) * 100 for m, model in found if model.value > 0 and not model.is_endpoint]
    if not errors:
        return ""
    low, high = signed(min(errors)), signed(max(errors))
    return f"Medians are {low} to {high} % from the model, {signed(float(np.median(errors)))} % in the middle"


def _draw_panel(
    axes: Axes, points: Sequence[Point], results: Results, layout: Layout, predictions: dict[str, Prediction]
) -> _Names:
    names = _Names(len({p.series for p in points}) == 1)
    if not points:
        axes.text(0.5, 0.5, "no point measured", ha="center", color=style.MUTED, transform=axes.transAxes)
        return names
    for series in dict.fromkeys(p.series for p in points):
        group = [p for p in points if p.series == series]
        model = curve(group, results, predictions)
        if model is not None:
            _draw_model(axes, model, group, results, layout)
            names.optimum, names.peak = model.best, max(names.peak, float(model.values.max()))
            names.drawn += [
                (float(x) * 100, float(y)) for x, y in zip(model.shares, model.values, strict=True)
            ]
        for point in (p for p in group if p.share == 1):
            _draw_baseline(axes, point, layout)
            names.baseline = point
    for point, x, aside in side_by_side([p for p in points if not p.added]):
        _draw_point(axes, point, x, aside, layout)
        names.drawn += [(x, y) for y in (*point.value.shown, point.value.median)]
        names.drawn += [(x + aside, value) for value in point.samples]
    asked = [p for p in points if not p.added]
    if len(asked) > 1 and not is_latency(asked[0].operation):
        names.best = max(asked, key=lambda p: p.value.median)
    return names


def _draw_model(
    axes: Axes, model: ModelCurve, group: Sequence[Point], results: Results, layout: Layout
) -> None:
    x, dashes = model.shares * 100, "--" if model.joined else "-"
    if layout.hue:
        colour = layout.colour(group[0])
        axes.plot(x, model.values, color=colour, alpha=0.7, linewidth=1.2, linestyle=dashes, zorder=2)
    elif model.best is None:
        axes.plot(x, model.values, color=style.MUTED, linewidth=1.5, linestyle=dashes, zorder=2)
    else:
        slow = style.KIND_COLOURS[slow_kind(results, group)]
        for part, colour in (
            (model.shares <= model.best, slow),
            (model.shares >= model.best, style.KIND_COLOURS["dram"]),
        ):
            axes.plot(x[part], model.values[part], color=colour, linewidth=2, zorder=2)


def slow_kind(results: Results, points: Sequence[Point]) -> str:
    """Return the kind of the slow node that points use, `unknown` if there is none or there are several."""
    kinds = {results.kinds.get(node, "unknown") for point in points for node in point.slow_mix}
    return kinds.pop() if len(kinds) == 1 else "unknown"


def _draw_point(axes: Axes, point: Point, x: float, aside: float, layout: Layout) -> None:
    colour = layout.colour(point)
    # Beside the median, so that neither hides the other.
    samples, marked = np.array(point.samples), np.array([bool(marks) for marks in point.flags], dtype=bool)
    for chosen, look in ((~marked, _QUIET), (marked, _DISTURBED)):
        axes.plot(
            np.full(int(chosen.sum()), x + aside), samples[chosen], color=colour, linestyle="none",
            zorder=2.5, rasterized=len(samples) > _MANY_SAMPLES, **look,
        )  # fmt: skip
    style.draw_estimate(axes, x, point.value, colour, layout.marker(point))


def _draw_baseline(axes: Axes, point: Point, layout: Layout) -> None:
    colour = layout.colour(point) if layout.hue else style.MUTED
    axes.axhline(point.value.median, color=colour, linewidth=1, linestyle=_DOTTED, zorder=1)


def _name_baseline(point: Point) -> PanelLabel:
    """Along its line: at the left, where all slow is, or wherever there is room."""
    places = tuple(
        Place(x, point.value.median, ha, va)
        for x, ha in ((-6, "left"), (25, "center"), (50, "center"), (75, "center"), (106, "right"))
        for va in ("bottom", "top")
    )
    return PanelLabel(f"all DRAM {with_unit(point)}", places, {"color": style.MUTED})


def _name_optimum(axes: Axes, best: float, peak: float) -> PanelLabel:
    x = best * 100
    axes.plot([x] * 2, [0, peak], color=style.FAINT, linewidth=1, zorder=1)
    sides = ("right", "left") if best > _HALF else ("left", "right")
    heights = (0.0, 0.12, 0.25, 0.4, 0.55, 0.7)
    places = tuple(Place(x, axes.get_ylim()[1] * h, side, "bottom") for h in heights for side in sides)
    text = f"model's optimum\n{x:.0f} % DRAM · {digits(peak)} GB/s"
    return PanelLabel(text, places, {"color": style.MUTED})


def _name_best(axes: Axes, best: Point, top: float) -> PanelLabel:
    # Above everything drawn, so that it covers nothing; a ring says which point is meant.
    x = best.share * 100
    axes.plot([x], [best.value.median], "o", color="none", markeredgecolor=style.INK, markersize=10, zorder=3)
    side = "left" if x < _EDGE else "right" if x > 100 - _EDGE else "center"
    at = {"left": -6.0, "right": 106.0, "center": x}[side]
    places = tuple(Place(at, y, side, "bottom") for y in (top, top * 1.04))
    text = f"best measured: {best.ratio}, {with_unit(best)}"
    return PanelLabel(text, places, {"weight": "bold"})


def _key(
    points: Sequence[Point], results: Results, layout: Layout, predictions: dict[str, Prediction]
) -> style.Key:
    if not points:
        return style.NO_KEY
    handles, labels = layout.key(points)

    def add(label: str, **look: Any) -> None:
        handles.append(Line2D([], [], **look))
        labels.append(label)

    if not layout.hue:
        add("median, 95 % interval", color=style.INK, marker="o", linestyle="none", markersize=5.5)
    add("samples", color=style.INK, alpha=0.4, marker=".", linestyle="none", markersize=6)
    if any(p.disturbed for p in points if not p.added):
        add("disturbed samples", color=style.INK, linestyle="none", **(_DISTURBED | {"markersize": 4.5}))
    for source in sorted({predictions[p.point_id].source for p in points if p.point_id in predictions}):
        if layout.hue or is_latency(points[0].operation):
            add(SOURCE_NAMES[source], color=style.MUTED)
        else:
            slow = style.KIND_COLOURS[slow_kind(results, points)]
            add(f"{SOURCE_NAMES[source]}, {results.slow_name} limits", color=slow, linewidth=2)
            add("… DRAM limits", color=style.KIND_COLOURS["dram"], linewidth=2)
    if layout.hue and any(p.share == 1 for p in points):
        add("all DRAM, measured", color=style.MUTED, linewidth=1, linestyle=_DOTTED)
    return handles, labels
