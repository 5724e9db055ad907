"""The figure of a sweep over a program: each metric beside that on DRAM alone, against the share of DRAM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hmexp.report.figures import style
from hmexp.report.study.program import ProgramReading, readings_of
from hmexp.report.study.results import StudyResults

_PANEL_INCHES: Final = (4.9, 3.1)
_MOST_COLUMNS: Final = 2
_BESIDE: Final = 1.3
_MOST_OF_MEDIAN: Final = 1.6


@style.styled()
def program_metrics(study: StudyResults) -> Figure:
    """Draw every metric as a multiple of that on DRAM alone, a series for each way."""
    readings = readings_of(study)
    metrics = list(dict.fromkeys(reading.metric.name for reading in readings))
    ways = list(dict.fromkeys(reading.way for reading in readings))
    columns = max(1, min(_MOST_COLUMNS, len(metrics)))
    rows = max(1, -(-len(metrics) // columns))
    subtitle = (
        "multiple of the same program with all its memory on DRAM; median and 95 % interval over launches"
    )
    if study.not_ok:
        subtitle += f"; failed or skipped: {len(study.not_ok)}"
    title = readings[0].point.definition.title if readings else "A program on hybrid memory"
    size = (max(6.8, columns * _PANEL_INCHES[0]), rows * _PANEL_INCHES[1])
    figure = style.framed(study.title, title, subtitle, size, key=_key(ways))
    flat = [axes for row in figure.subplots(rows, columns, squeeze=False) for axes in row]
    if not metrics:
        style.say_nothing(flat[0], "No point was measured.")
    for axes, name in zip(flat, metrics, strict=False):
        _draw(axes, [reading for reading in readings if reading.metric.name == name], ways)
    for axes in flat[max(1, len(metrics)) :]:
        axes.set_axis_off()
    return figure


def _draw(axes: Axes, readings: Sequence[ProgramReading], ways: Sequence[str]) -> None:
    metric = readings[0].metric
    arrow = "more is better" if metric.better == "higher" else "less is better"
    axes.set_title(f"{metric.name} [{metric.unit}], {arrow}")
    axes.set_ylabel("multiple of all DRAM")
    axes.axhline(1.0, color=style.FAINT, linewidth=1.2, zorder=1)
    highest = 1.0
    for number, way in enumerate(ways):
        mine = [r for r in readings if r.way == way and r.of_dram is not None and r.dram_share is not None]
        aside = (number - (len(ways) - 1) / 2) * _BESIDE
        places = [(r, (r.dram_share or 0.0) * 100 + aside) for r in mine]
        colour = style.SERIES_COLOURS[number % len(style.SERIES_COLOURS)]
        marker = style.SERIES_MARKERS[number % len(style.SERIES_MARKERS)]
        axes.plot(
            [x for _, x in places], [r.of_dram.median for r, _ in places if r.of_dram is not None], "-",
            color=colour, linewidth=1.2, alpha=0.7, zorder=2,
        )  # fmt: skip
        for reading, x in places:
            assert reading.of_dram is not None
            style.draw_estimate(axes, x, reading.of_dram, colour, marker)
            # One wide interval must not make all others a line.
            highest = max(highest, min(reading.of_dram.high, _MOST_OF_MEDIAN * reading.of_dram.median))
    _share_axis(axes, readings)
    axes.set_ylim(0, highest * 1.12)


def _share_axis(axes: Axes, readings: Sequence[ProgramReading]) -> None:
    """Make x the share of DRAM in percent, with the ratio at each."""
    ratios = {0.0: "0:1", 100.0: "1:0"}
    for reading in readings:
        if reading.dram_share is not None and reading.ratio is not None:
            ratios.setdefault(round(reading.dram_share * 100, 1), reading.ratio)
    shown: list[float] = []
    for x in sorted(ratios):
        if not shown or x - shown[-1] >= 7.5:
            shown.append(x)
    axes.set_xlim(-6, 106)
    axes.set_xticks(shown, [f"{ratios[x]}\n{x:.0f} %" for x in shown])
    axes.set_xlabel("pages DRAM:slow, and share on DRAM")
    axes.grid(visible=True, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _key(ways: Sequence[str]) -> style.Key:
    handles: list[Line2D] = []
    for number in range(len(ways)):
        colour = style.SERIES_COLOURS[number % len(style.SERIES_COLOURS)]
        marker = style.SERIES_MARKERS[number % len(style.SERIES_MARKERS)]
        handles.append(Line2D([], [], color=colour, marker=marker, markersize=5, linewidth=1.2))
    return [*handles], [f"by {way}" for way in ways]
