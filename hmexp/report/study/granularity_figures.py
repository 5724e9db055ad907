"""The figures of the study of granularity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, NullLocator

from hmexp.report.figures import style
from hmexp.report.run.numbers import digits
from hmexp.report.run.point import Estimate
from hmexp.report.run.wording import say_parameter
from hmexp.report.study.granularity import BAND, PAGES, Granule, granules_of
from hmexp.report.study.results import StudyResults
from hmexp.store.parameters import GranulePoint
from hmexp.store.results import Windows
from hmexp.units import format_size

_COLOURS: Final = {False: style.KIND_COLOURS["dram"], True: style.KIND_COLOURS["nvm"]}


@style.styled()
def granularity(study: StudyResults) -> Figure:
    """Draw bandwidth and latency against the granule, with the band of the windows."""
    pattern = str(study.run.pattern)
    points = [g for g in granules_of(study) if g.pattern == pattern]
    failed = "".join(f". Not drawn: {r.parameters.granule_bytes} bytes: {r.reason}" for r in study.not_ok)
    figure = style.framed(
        study.title,
        f"Granularity of pattern {pattern}",
        f"{_say_method(study)}latency within windows{failed}",
        (9.8, 3.5),
        key=_key(points),
    )
    if not points:
        style.say_nothing(figure.subplots(), "No granule was measured.")
        return figure
    left, right = figure.subplots(1, 2)
    window = _window_bytes(study)
    for axes, name, unit in ((left, "Bandwidth", "GB/s of payload"), (right, "Latency", "ns per load")):
        axes.set_title(name)
        axes.set_ylabel(unit)
        for huge in (False, True):
            _draw(axes, [g for g in points if g.huge == huge], name)
        _granule_axis(axes, points)
        axes.set_ylim(0, axes.get_ylim()[1] * 1.05)
        if window is not None:
            _name_window(axes, window)
    return figure


def _say_method(study: StudyResults) -> str:
    asked = next((r.parameters for r in study.records if isinstance(r.parameters, GranulePoint)), None)
    if asked is None:
        return ""
    return (
        f"{format_size(asked.size_bytes)} region, windows of {format_size(asked.window_bytes)} along it, "
        f"{asked.operation} by {say_parameter('threads', asked.threads)}; "
    )


def _window_bytes(study: StudyResults) -> int | None:
    return next((point.window_bytes for point, _, _ in study.measured(GranulePoint, Windows)), None)


def _draw(axes: Axes, points: Sequence[Granule], name: str) -> None:
    """Draw the granules of one size of pages."""
    if not points:
        return
    huge = points[0].huge
    colour = _COLOURS[huge]
    spreads = [g.bandwidth if name == "Bandwidth" else g.latency for g in points]
    # Beside each other where both kinds of pages are at one granule.
    x = np.array([g.granule_bytes for g in points]) * (1.12 if huge else 1.0)
    low, high = [s.low for s in spreads], [s.high for s in spreads]
    if len(points) > 1:
        axes.fill_between(x, low, high, color=colour, alpha=0.16, linewidth=0, zorder=1)
    axes.vlines(x, low, high, color=colour, alpha=0.55, linewidth=2.5, zorder=2)
    middles = [s.whole.median if name == "Bandwidth" else float(np.mean(s.windows)) for s in spreads]
    axes.plot(x, middles, "-", color=colour, linewidth=1.4, zorder=3)
    for at, middle, spread in zip(x, middles, spreads, strict=True):
        estimate = spread.whole if name == "Bandwidth" else Estimate(middle, middle, middle)
        style.draw_estimate(axes, float(at), estimate, colour, "s" if huge else "o")


def _granule_axis(axes: Axes, points: Sequence[Granule]) -> None:
    granules = sorted({g.granule_bytes for g in points})
    axes.set_xscale("log", base=2)
    shown = granules[:: -(-len(granules) // 8)]
    axes.xaxis.set_major_locator(FixedLocator(shown))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([format_size(granule) for granule in shown])
    axes.set_xlim(granules[0] / 1.7, granules[-1] * 1.7)
    axes.set_xlabel("granule (log)")
    axes.grid(visible=True, axis="y")


def _name_window(axes: Axes, window_bytes: int) -> None:
    low, high = axes.get_xlim()
    if not low < window_bytes < high:
        return
    axes.axvline(window_bytes, color=style.FAINT, linewidth=1, zorder=0)
    axes.annotate(
        "a window", (window_bytes, 0), xycoords=("data", "axes fraction"), xytext=(3, 3),
        textcoords="offset points", size=8, color=style.MUTED, rotation=90, va="bottom",
    )  # fmt: skip


def _key(points: Sequence[Granule]) -> style.Key:
    handles: list[Artist] = []
    labels = []
    for huge in sorted({g.huge for g in points}):
        marker = "s" if huge else "o"
        handles.append(Line2D([], [], color=_COLOURS[huge], marker=marker, markersize=5))
        labels.append(f"{PAGES[huge]}: mean")
    handles.append(Patch(color=style.FAINT))
    labels.append(f"{BAND[0]:.0f} to {BAND[1]:.0f} % of the windows")
    return handles, labels


@style.styled()
def translation_cost(study: StudyResults) -> Figure:
    """Draw what small pages cost on one DRAM node, beside pages of 2 MiB: the price of a fine grain."""
    dram = str(study.run.dram_node)
    points = [g for g in granules_of(study) if g.pattern == dram and not g.emulated]
    figure = style.framed(
        # These points are of real memory, whatever the others are of.
        StudyResults(msgspec.structs.replace(study.run, emulation=None), ()).title,
        "What the TLB costs: small pages beside pages of 2 MiB",
        f"the same region on node {dram} alone, real memory, not emulated; a granule under 2 MiB has small "
        f"pages only",
        (8.8, 0.5 * 3 + 0.9),
    )
    if len({g.huge for g in points}) < len(PAGES):
        style.say_nothing(figure.subplots(), "Both kinds of pages were not measured.")
        return figure
    panels = figure.subplots(1, 3)
    titles = ("Bandwidth [GB/s]", "Latency over all [ns]", "… in windows, 5–95 % [ns]")
    for axes, title in zip(panels, titles, strict=True):
        values = {g.huge: _pick(g, title) for g in points}
        rows = [False, True]
        axes.barh(
            [0, 1], [values[huge].median for huge in rows], height=0.55, color=[_COLOURS[h] for h in rows]
        )
        for row, huge in enumerate(rows):
            estimate = values[huge]
            low, high = estimate.shown
            error = [[max(0.0, estimate.median - low)], [max(0.0, high - estimate.median)]]
            axes.errorbar([estimate.median], [row], xerr=error, fmt="none", ecolor=style.INK, capsize=3)
            axes.annotate(
                digits(estimate.median), (high, row), xytext=(6, 0), textcoords="offset points",
                va="center", size=8,
            )  # fmt: skip
        axes.set_title(title)
        axes.set_xlim(0, max(v.shown[1] for v in values.values()) * 1.3)
        axes.set_ylim(1.6, -0.6)
        axes.set_yticks([0, 1], [PAGES[huge] for huge in rows] if axes is panels[0] else ["", ""])
        axes.tick_params(axis="y", length=0)
        ratio = values[False].median / values[True].median
        axes.set_xlabel(f"small pages: {digits(ratio)} × 2 MiB pages")
    return figure


def _pick(point: Granule, title: str) -> Estimate:
    if title.startswith("Bandwidth"):
        return point.bandwidth.whole
    if "windows" in title:
        spread = point.latency
        return Estimate(spread.middle, spread.low, spread.high)
    return point.latency.whole
