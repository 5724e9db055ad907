"""The figure of a prediction: the slowdown against the share of slow memory."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hmexp.errors import MeasurementError
from hmexp.program.slowdown import Slowdown
from hmexp.report.figures import style
from hmexp.report.run.point import Estimate
from hmexp.report.study.prediction import SlowdownPrediction, predict_slowdown
from hmexp.report.study.results import StudyResults

_CURVE, _MEASURED, _LEFT_OUT = style.SERIES_COLOURS[0], style.INK, style.BAD


@style.styled()
def slowdown_curve(study: StudyResults) -> Figure:
    """Draw the predicted slowdown with its band, what it is made of, and what was left out."""
    try:
        found = predict_slowdown(study)
    except MeasurementError as error:
        figure = style.framed(study.title, "Slowdown", "time as a multiple of that on DRAM alone", (6.8, 3.2))
        style.say_nothing(figure.subplots(), f"No prediction: {error.message}.")
        return figure
    handles = [
        Line2D([], [], color=_CURVE, linewidth=1.6),
        Line2D([], [], color=_MEASURED, marker="o", linestyle="none", markersize=5),
    ]
    labels = ["predicted, 95 % band", "measured: the curve is made of these"]
    if found.check is not None:
        handles.append(Line2D([], [], color=_LEFT_OUT, marker="D", linestyle="none", markersize=5))
        labels.append(f"left out: the prediction is {round(found.check.error, 3) + 0.0:+.1%} off")
    figure = style.framed(
        study.title,
        "Slowdown at every share of slow memory",
        f"by {found.metric}; time as a multiple of that on DRAM alone; intervals over launches",
        (7.4, 3.6),
        key=([*handles], labels),
    )
    _draw(figure.subplots(), found)
    return figure


def _draw(axes: Axes, found: SlowdownPrediction) -> None:
    shares = [each.share * 100 for each in found.table]
    axes.fill_between(
        shares, [each.low for each in found.table], [each.high for each in found.table],
        color=_CURVE, alpha=0.15, linewidth=0, zorder=1,
    )  # fmt: skip
    axes.plot(shares, [each.factor for each in found.table], color=_CURVE, zorder=2)
    axes.axhline(1.0, color=style.FAINT, linewidth=1, zorder=0)
    for each in found.measured:
        style.draw_estimate(axes, each.share * 100, _estimate(each), _MEASURED, "o")
    if found.check is not None:
        share = found.check.measured.share * 100
        style.draw_estimate(axes, share, _estimate(found.check.measured), _LEFT_OUT, "D")
    axes.set_xlim(-3, 103)
    axes.set_xlabel("pages on slow memory [%]")
    axes.set_ylabel("slowdown")
    axes.grid(visible=True, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _estimate(found: Slowdown) -> Estimate:
    return Estimate(found.factor, found.low, found.high)
