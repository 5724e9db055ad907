"""How far measurements are from their model."""

from __future__ import annotations

from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hmexp.report.figures import style
from hmexp.report.figures.layout import Layout, panel_title, side_by_side
from hmexp.report.figures.scale import clip_limit
from hmexp.report.model.predictions import SOURCE_NAMES, Prediction, predict
from hmexp.report.model.tables import NO_MODEL
from hmexp.report.run.numbers import signed
from hmexp.report.run.point import Estimate, Point
from hmexp.report.run.results import Results
from hmexp.report.run.wording import say_operation

_FAR: Final = 100.0
BAND_PERCENT: Final = 10.0


@style.styled()
def model_error(results: Results) -> Figure:
    """Draw how far each measured median is from its model, in percent, with a band of 10 %."""
    predictions = predict(results)
    known = [p for p in results.ok if p.point_id in predictions and not p.added]
    points = [p for p in known if predictions[p.point_id].value > 0]
    operations = [op for op in results.operations if any(p.operation == op for p in points)]
    layout = Layout.of(results, points)
    said = [SOURCE_NAMES[s] for s in sorted({predictions[p.point_id].source for p in points})]
    hollow = any(predictions[p.point_id].is_endpoint for p in points)
    subtitle = (
        f"measured median / model − 1 with the median's 95 % interval; grey band: ±{BAND_PERCENT:.0f} %; "
        f"{', '.join(said) or 'no model'}"
        + ("; hollow: the endpoints the model is made from, 0 by construction" if hollow else "")
    )
    size = (style.panels_width(3.3, len(operations)), 2.5 * len(layout.rows) + 0.2)
    title = "Measurement against model"
    figure = style.framed(results, title, subtitle, size, key=layout.key(points), left_out=results.not_ok)
    if not points:
        style.say_nothing(figure.subplots(), NO_MODEL)
        return figure
    panels = figure.subplots(len(layout.rows), len(operations), squeeze=False, sharey=True)
    for row, axes_row in zip(layout.rows, panels, strict=True):
        axes_row[0].set_ylabel("error [%]")
        for operation, axes in zip(operations, axes_row, strict=True):
            inside = [p for p in points if p.operation == operation and layout.holds(row, p)]
            axes.set_title(panel_title(say_operation(operation).capitalize(), row))
            style.share_axis(axes, inside or points, results.slow_name, labelled=row is layout.rows[-1])
            axes.axhspan(-BAND_PERCENT, BAND_PERCENT, color="#eef1f4", linewidth=0, zorder=0)
            axes.axhline(0, color=style.MUTED, linewidth=0.9, zorder=1)
            for point, x, _ in side_by_side(inside):
                _draw_error(axes, point, x, predictions[point.point_id], layout)
    reach = max(1.5 * BAND_PERCENT, *(abs(limit) * 1.1 for limit in panels[0][0].get_ylim()))
    far = [abs(p.value.median / predictions[p.point_id].value - 1) * 100 for p in points]
    limit = clip_limit([*far, BAND_PERCENT])
    if limit is not None and max(far) > max(1.5 * BAND_PERCENT, limit):
        reach = max(1.5 * BAND_PERCENT, limit)
        beyond = sum(value > reach for value in far)
        figure.text(
            0.995, 0.01, f"clipped: {beyond} beyond ±{reach:.0f} %, up to {max(far):,.0f} %",
            ha="right", va="bottom", size=8, color=style.BAD,
        )  # fmt: skip
    panels[0][0].set_ylim(-reach, reach)
    return figure


def _draw_error(axes: Axes, point: Point, x: float, prediction: Prediction, layout: Layout) -> None:
    def percent(value: float) -> float:
        return (value / prediction.value - 1) * 100

    middle, low, high = (percent(v) for v in (point.value.median, *point.value.shown))
    if prediction.is_endpoint:
        axes.plot([x], [middle], "o", color=style.MUTED, markerfacecolor=style.PAPER, markersize=5, zorder=4)
        return
    outside = abs(middle) > BAND_PERCENT
    style.draw_estimate(axes, x, Estimate(middle, low, high), layout.colour(point), layout.marker(point))
    if outside or layout.hue is None:
        up = middle >= 0
        axes.annotate(
            signed(middle, 1 if abs(middle) < _FAR else 0), (x, high if up else low),
            xytext=(0, 4 if up else -4), textcoords="offset points",
            ha="center", va="bottom" if up else "top", size=8,
            color=style.BAD if outside else style.MUTED, weight="bold" if outside else "normal",
        )  # fmt: skip
