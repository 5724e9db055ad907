"""The figures of the study of a Redis: beside all DRAM, latency as it is, and what a dump costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hmexp.report.figures import style
from hmexp.report.run.point import Estimate
from hmexp.report.study.redis import LATENCIES, RedisCell, by_requests, cells_of, dumps_of
from hmexp.report.study.results import StudyResults
from hmexp.units import format_size

_PANEL_INCHES: Final = (4.6, 3.0)
_NOTHING: Final = "Nothing was measured."


@style.styled()
def redis_beside_dram(study: StudyResults) -> Figure:
    """Draw throughput and p99 of each ratio as multiples of all DRAM's, a series for each share of reads."""
    cells = cells_of(study)
    sizes = list(dict.fromkeys(cell.value_bytes for cell in cells))
    reads = list(dict.fromkeys(cell.read_percent for cell in cells))
    by_share = sorted(cells, key=lambda cell: -cell.dram_share)
    ratios = list(dict.fromkeys(cell.ratio for cell in by_share))
    figure = style.framed(
        study.title,
        "A Redis beside the same in DRAM",
        f"multiples of all DRAM, median and 95 % interval over launches{_say_failed(study)}",
        (2 * _PANEL_INCHES[0], max(1, len(sizes)) * _PANEL_INCHES[1]),
        key=_reads_key(reads),
    )
    rows = figure.subplots(max(1, len(sizes)), 2, squeeze=False)
    if not cells:
        style.say_nothing(rows[0][0], _NOTHING)
        rows[0][1].set_axis_off()
        return figure
    for row, size in zip(rows, sizes, strict=True):
        for axes, metric in zip(row, ("throughput", "p99"), strict=True):
            better = "more is better" if metric == "throughput" else "less is better"
            axes.set_title(f"{metric}, values of {format_size(size)}; {better}")
            axes.axhline(1.0, color=style.FAINT, linewidth=1.2, zorder=1)
            for number, share in enumerate(reads):
                mine = [c for c in cells if c.value_bytes == size and c.read_percent == share]
                _draw_beside(axes, mine, ratios, metric, number)
            _ratio_axis(axes, ratios)
            axes.set_ylim(bottom=0)
    return figure


@style.styled()
def redis_latency(study: StudyResults) -> Figure:
    """Draw p50, p99 and p99.9 of each ratio at the set rate, a panel for each size and share of reads."""
    groups = by_requests(cells_of(study))
    columns = max(1, len({reads for _, reads in groups}))
    count = max(1, -(-len(groups) // columns))
    handles: list[Artist] = [
        Line2D([], [], color=_colour(n), marker=style.SERIES_MARKERS[n]) for n in range(len(LATENCIES))
    ]
    figure = style.framed(
        study.title,
        "Latency of a Redis at a set rate",
        f"from when each request was due [us]; median over launches{_say_failed(study)}",
        (max(6.8, columns * 2.9), count * _PANEL_INCHES[1]),
        key=(handles, [name.replace("_", ".") for name in LATENCIES]),
    )
    flat = [axes for row in figure.subplots(count, columns, squeeze=False, sharey="row") for axes in row]
    if not groups:
        style.say_nothing(flat[0], _NOTHING)
    for axes, ((size, reads), cells) in zip(flat, groups.items(), strict=False):
        axes.set_title(f"{format_size(size)}, {reads} % reads")
        axes.set_yscale("log")
        for number, name in enumerate(LATENCIES):
            known = [
                (place, cell.readings[name]) for place, cell in enumerate(cells) if name in cell.readings
            ]
            axes.plot(
                [place for place, _ in known],
                [reading.metric.median for _, reading in known],
                color=_colour(number),
                marker=style.SERIES_MARKERS[number],
            )
        _ratio_axis(axes, [cell.ratio for cell in cells])
    for axes in flat[max(1, len(groups)) :]:
        axes.set_axis_off()
    return figure


@style.styled()
def redis_metric(study: StudyResults, metric: str, value_bytes: int) -> Figure:
    """Draw one metric as it is, for one size of values: a series for each share of reads.

    Parameters
    ----------
    study : StudyResults
        The study.
    metric : str
        Its name, such as `throughput` or `p99`.
    value_bytes : int
        Size of the values [bytes].
    """
    cells = [cell for cell in cells_of(study) if cell.value_bytes == value_bytes]
    ratios = list(dict.fromkeys(cell.ratio for cell in sorted(cells, key=lambda cell: -cell.dram_share)))
    reads = list(dict.fromkeys(cell.read_percent for cell in cells))
    known = [cell.readings[metric] for cell in cells if metric in cell.readings]
    figure = style.framed(
        study.title,
        f"{metric.replace('_', '.')} of a Redis",
        f"values of {format_size(value_bytes)}; each launch a dot, their median a line",
        (7.2, 3.6),
        key=_reads_key(reads),
    )
    axes = figure.subplots()
    if not known:
        style.say_nothing(axes, _NOTHING)
        return figure
    axes.set_ylabel(known[0].metric.unit)
    for number, share in enumerate(reads):
        mine = [cell for cell in cells if cell.read_percent == share and metric in cell.readings]
        places = [ratios.index(cell.ratio) for cell in mine]
        medians = [cell.readings[metric].metric.median for cell in mine]
        marker = style.SERIES_MARKERS[number % len(style.SERIES_MARKERS)]
        axes.plot(places, medians, color=_colour(number), marker=marker)
        for place, cell in zip(places, mine, strict=True):
            samples = cell.readings[metric].metric.samples
            axes.plot([place] * len(samples), samples, ".", color=_colour(number), markersize=3, alpha=0.6)
    _ratio_axis(axes, ratios)
    axes.set_ylim(bottom=0)
    return figure


@style.styled()
def redis_dumps(study: StudyResults) -> Figure:
    """Draw what a BGSAVE costs at each ratio: the fork, copied memory, and the p99 meanwhile."""
    dumps = dumps_of(study)
    panels = ("fork", "copied", "dump", "p99")
    figure = style.framed(
        study.title,
        "BGSAVE under writes",
        f"the fork, memory copied on write, the whole dump, the p99 meanwhile{_say_failed(study)}",
        (style.PAGE_INCHES, _PANEL_INCHES[1]),
    )
    for axes, name in zip(figure.subplots(1, len(panels)), panels, strict=True):
        if not dumps:
            style.say_nothing(axes, "No dump was measured.")
            continue
        readings = [each[name] for each in dumps if name in each]
        axes.set_title(f"{name} [{readings[0].metric.unit}]")
        labels = [
            f"{reading.ratio}, {format_size(int(reading.point.definition.parameters['value_bytes']))}"
            for reading in readings
        ]
        places = range(len(readings))
        axes.barh(places, [reading.metric.median for reading in readings], color=style.SERIES_COLOURS[0])
        axes.set_yticks(places, labels)
        axes.invert_yaxis()
    return figure


def _draw_beside(
    axes: Axes, cells: Sequence[RedisCell], ratios: Sequence[str], metric: str, number: int
) -> None:
    places, middles, below, above = [], [], [], []
    for cell in cells:
        reading = cell.readings.get(metric)
        if reading is None or reading.of_dram is None:
            continue
        # Without an interval only a dot: one launch, or all DRAM itself.
        shown = cell.beside.get(metric, Estimate(*[reading.of_dram.median] * 3))
        places.append(ratios.index(cell.ratio))
        middles.append(shown.median)
        below.append(shown.median - shown.shown[0])
        above.append(shown.shown[1] - shown.median)
    axes.errorbar(
        places, middles, yerr=[below, above], color=_colour(number), capsize=2.5,
        marker=style.SERIES_MARKERS[number % len(style.SERIES_MARKERS)],
    )  # fmt: skip


def _ratio_axis(axes: Axes, ratios: Sequence[str]) -> None:
    axes.set_xticks(range(len(ratios)), ratios)
    axes.set_xlim(-0.4, len(ratios) - 0.6)
    axes.set_xlabel("DRAM:slow")


def _reads_key(reads: Sequence[int]) -> style.Key:
    handles: list[Artist] = [
        Line2D([], [], color=_colour(n), marker=style.SERIES_MARKERS[n % len(style.SERIES_MARKERS)])
        for n in range(len(reads))
    ]
    return handles, [f"{share} % reads" for share in reads]


def _colour(number: int) -> str:
    return style.SERIES_COLOURS[number % len(style.SERIES_COLOURS)]


def _say_failed(study: StudyResults) -> str:
    return f"; failed or skipped: {len(study.not_ok)}" if study.not_ok else ""
