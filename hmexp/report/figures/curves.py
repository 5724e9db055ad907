"""Bandwidth and latency against the share of DRAM. Points are measurements, lines are models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hmexp.measure.quantity import LATENCIES, is_latency
from hmexp.report.figures import style
from hmexp.report.figures.layout import Layout, panel_title, side_by_side
from hmexp.report.model.predictions import SOURCE_NAMES, ModelCurve, Prediction, curve, predict
from hmexp.report.run.numbers import signed, with_unit
from hmexp.report.run.point import Point
from hmexp.report.run.results import Results
from hmexp.report.run.wording import say_operation

_PANEL_HEIGHT: Final = 3.2
_PANEL_WIDTH: Final = 4.9
_WIDEST: Final = 14.4
_MANY_SAMPLES: Final = 4000
_HALF: Final = 0.5
_EDGE: Final = 22.0
_TITLES: Final = {
    "read": "Read bandwidth", "write": "Write bandwidth", "latency": "Latency",
    "latency_window": "Latency in windows of 16 MiB", "store_nt": "Non-temporal store and fence",
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
            max(6.8, min(_PANEL_WIDTH, _WIDEST / len(operations)) * len(operations)),
            _PANEL_HEIGHT * len(layout.rows) + 0.2,
        ),
        key=_key(points, results, layout, predictions),
        left_out=left_out,
    )
    if not points:
        style.say_nothing(figure.subplots(), f"No {what.lower()} point was measured.")
        return figure
    panels = figure.subplots(len(layout.rows), len(operations), squeeze=False, sharey="col")
    for row, axes_row in zip(layout.rows, panels, strict=True):
        for operation, axes in zip(operations, axes_row, strict=True):
            inside = [p for p in points if p.operation == operation and layout.holds(row, p)]
            axes.set_title(
                panel_title(_TITLES.get(operation, f"{say_operation(operation).capitalize()} bandwidth"), row)
            )
            axes.set_ylabel("ns per access" if is_latency(operation) else "GB/s of payload")
            style.share_axis(axes, inside or points, results.slow_name, labelled=row is layout.rows[-1])
            _draw_panel(axes, inside, results, layout, predictions)
    for axes in panels[0]:
        # One scale per column, from zero: heights can be compared by eye.
        axes.set_ylim(0, axes.get_ylim()[1] * 1.08)
    return figure


def _say_error(points: Sequence[Point], predictions: dict[str, Prediction]) -> str:
    found = [(p.value.median, predictions[p.point_id]) for p in points if p.point_id in predictions]
    errors = [(m / model.value - 1) * 100 for m, model in found if model.value > 0 and not model.is_endpoint]
    if not errors:
        return ""
    low, high = signed(min(errors)), signed(max(errors))
    return f"Medians are {low} to {high} % from the model, {signed(float(np.median(errors)))} % in the middle"


def _draw_panel(
    axes: Axes, points: Sequence[Point], results: Results, layout: Layout, predictions: dict[str, Prediction]
) -> None:
    if not points:
        axes.text(0.5, 0.5, "no point measured", ha="center", color=style.MUTED, transform=axes.transAxes)
        return
    single = len({p.series for p in points}) == 1
    top = max(point.value.high for point in points)
    for series in dict.fromkeys(p.series for p in points):
        group = [p for p in points if p.series == series]
        model = curve(group, results, predictions)
        if model is not None:
            _draw_model(axes, model, group, results, layout)
            top = max(top, float(model.values.max()))
        if single and model is not None and model.best is not None:
            _name_optimum(axes, model.best, float(model.values.max()))
        for point in (p for p in group if p.share == 1):
            _draw_baseline(axes, point, layout, named=single)
    for point, x, aside in side_by_side([p for p in points if not p.added]):
        _draw_point(axes, point, x, aside, layout)
    asked = [p for p in points if not p.added]
    if single and len(asked) > 1 and not is_latency(asked[0].operation):
        _name_best(axes, max(asked, key=lambda p: p.value.median), top)


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


def _draw_baseline(axes: Axes, point: Point, layout: Layout, *, named: bool) -> None:
    colour = layout.colour(point) if layout.hue else style.MUTED
    axes.axhline(point.value.median, color=colour, linewidth=1, linestyle=_DOTTED, zorder=1)
    if named:
        axes.annotate(
            f"all DRAM {with_unit(point)}", (-6, point.value.median), xytext=(2, 3),
            textcoords="offset points", ha="left", va="bottom", size=7.5, color=style.MUTED,
        )  # fmt: skip


def _name_optimum(axes: Axes, best: float, peak: float) -> None:
    axes.plot([best * 100] * 2, [0, peak], color=style.FAINT, linewidth=1, zorder=1)
    left = best > _HALF
    axes.annotate(
        f"model's optimum\n{best * 100:.0f} % DRAM · {peak:.1f} GB/s",
        (best * 100, 0), xytext=(-5 if left else 5, 5), textcoords="offset points",
        ha="right" if left else "left", va="bottom", size=7.5, color=style.MUTED,
    )  # fmt: skip


def _name_best(axes: Axes, best: Point, top: float) -> None:
    # Above everything drawn, so that it covers nothing; a ring says which point is meant.
    x = best.share * 100
    axes.plot([x], [best.value.median], "o", color="none", markeredgecolor=style.INK, markersize=10, zorder=3)
    side = "left" if x < _EDGE else "right" if x > 100 - _EDGE else "center"
    shift = {"left": -5, "right": 5, "center": 0}[side]
    axes.annotate(
        f"best measured: {best.ratio}, {with_unit(best)}", (x, top), xytext=(shift, 6),
        textcoords="offset points", ha=side, va="bottom", size=8, weight="bold",
    )  # fmt: skip
    axes.update_datalim([(x, top * 1.08)])


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
