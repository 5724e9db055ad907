"""The figures of families of curves: latency against bandwidth, and the best pattern at each mix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hmexp.report.figures import style
from hmexp.report.run.numbers import digits
from hmexp.report.run.results import Results
from hmexp.report.study.curves import DrawnFamily, best_patterns, families_of
from hmexp.report.study.results import StudyResults
from hmexp.store.parameters import CurvePoint
from hmexp.store.records import RunRecord
from hmexp.units import format_size

#: A program's traffic and its share of reads [GB/s, %].
Position = tuple[float, float]
#: From writes to reads: as far apart in grey as in colour.
_COLOURS: Final = "viridis"
_TITLES: Final = {
    "nt": "non-temporal stores",
    "regular": "regular stores",
    "unknown": "stores as in the file",
}


def _colour(read_percent: float) -> Any:
    # The yellow end is too light on white.
    return mpl.colormaps[_COLOURS](0.9 * read_percent / 100)


def _method(study: StudyResults) -> str:
    asked = next((r.parameters for r in study.records if isinstance(r.parameters, CurvePoint)), None)
    if asked is None:
        return ""
    return (
        f"{format_size(asked.size_bytes)} region, {len(asked.delays_ns)} loads by {asked.threads} "
        f"thread{'s'[: asked.threads > 1]}; medians over launches"
    )


def family_figures(study: StudyResults) -> dict[str, Figure]:
    """Draw the family of each pattern, by the stem of the file's name."""
    families = families_of(study)
    every = {}
    for number, pattern in enumerate(dict.fromkeys(family.pattern for family in families)):
        same = [family for family in families if family.pattern == pattern]
        stem = f"curves-{number}-{pattern.replace(',', '_')[:40]}"
        every[stem] = draw_families(
            study.title,
            f"Pattern {pattern}: latency against bandwidth",
            f"{_method(study)}; rings: knees, with 95 % intervals",
            same,
        )
    return every


def draw_file(families: Sequence[DrawnFamily], source: str, at: Position | None = None) -> Figure:
    """Draw curves that were read from a file.

    Parameters
    ----------
    families : sequence of DrawnFamily
        The curves.
    source : str
        Where they are from: a line below the title.
    at : tuple of float, optional
        A program's traffic and its share of reads.
    """
    nobody = Results(RunRecord(name="", plan=""), ())
    return draw_families(nobody, "Latency against bandwidth", source, families, at)


@style.styled()
def draw_families(
    run: Results, title: str, subtitle: str, families: Sequence[DrawnFamily], at: Position | None = None
) -> Figure:
    """Draw a panel for each family, a curve for each share of reads.

    Parameters
    ----------
    run : Results
        What labels the figure must carry.
    title, subtitle : str
        Two lines at the top.
    families : sequence of DrawnFamily
        Side by side.
    at : tuple of float, optional
        A program's traffic and its share of reads.
    """
    shares = sorted({curve.read_percent for family in families for curve in family.curves})
    width = max(6.8, 4.6 * len(families))
    figure = style.framed(run, title, subtitle, (width, 3.8), key=_key(shares))
    if not families:
        style.say_nothing(figure.subplots(), "No curve was measured.")
        return figure
    panels = figure.subplots(1, len(families), squeeze=False, sharey=True)[0]
    for axes, family in zip(panels, families, strict=True):
        axes.set_title(_TITLES.get(family.stores, family.stores))
        axes.set_xlabel("bandwidth of all traffic, GB/s")
        axes.grid(visible=True, which="major")
        _draw(axes, family)
        if at is not None:
            _mark(axes, family, at)
    panels[0].set_ylabel("ns per dependent load")
    panels[0].set_ylim(bottom=0)
    return figure


def _draw(axes: Axes, family: DrawnFamily) -> None:
    for curve in family.curves:
        colour = _colour(curve.read_percent)
        axes.plot(
            curve.bandwidth_gbps, curve.latency_ns, color=colour, marker="o", markersize=2.2, linewidth=1.1,
            zorder=2,
        )  # fmt: skip
        knee = curve.knee
        if knee.saturated and knee.load_gbps is not None and knee.latency_ns is not None:
            style.mark_knee(axes, (knee.load_gbps, knee.latency_ns), knee.interval, colour, 8)
    axes.set_xlim(left=0)


def _mark(axes: Axes, family: DrawnFamily, at: Position) -> None:
    gbps, share = at[0], at[1] / 100
    found = family.to_family()
    if gbps > found.peak_gbps(share):
        return
    latency = found.latency_ns(share, gbps)
    axes.plot([gbps], [latency], marker="*", color=style.BAD, markersize=11, zorder=4)
    axes.annotate(
        f"the program: {digits(latency)} ns",
        (gbps, latency),
        xytext=(7, 7),
        textcoords="offset points",
        size=8,
    )


def _key(shares: Iterable[float]) -> style.Key:
    handles: list[Artist] = []
    labels = []
    for share in shares:
        handles.append(Line2D([], [], color=_colour(share), linewidth=2))
        labels.append(f"{share:g} % reads")
    return handles, labels


@style.styled()
def best_ratio(study: StudyResults) -> Figure:
    """Draw the peak of every pattern against the share of reads; the best one of each has a ring."""
    families = families_of(study)
    patterns = list(dict.fromkeys(family.pattern for family in families))
    kinds = list(dict.fromkeys(family.stores for family in families))
    handles: list[Artist] = [Line2D([], [], **_look(number), markersize=5) for number in range(len(patterns))]
    figure = style.framed(
        study.title,
        "The best pattern against the share of reads",
        f"highest bandwidth of each pattern, lowest to highest launch; rings: the best; {_method(study)}",
        (max(6.8, 4.6 * len(kinds)), 3.4),
        key=(handles, [f"pattern {pattern}" for pattern in patterns]),
    )
    if not families:
        style.say_nothing(figure.subplots(), "No curve was measured.")
        return figure
    panels = figure.subplots(1, len(kinds), squeeze=False, sharey=True)[0]
    best = {(each.stores, each.read_percent): each for each in best_patterns(families)}
    for axes, stores in zip(panels, kinds, strict=True):
        axes.set_title(_TITLES.get(stores, stores))
        axes.set_xlabel("share of reads, %")
        axes.grid(visible=True, which="major", axis="y")
        for family in (each for each in families if each.stores == stores):
            _draw_peaks(axes, family, patterns.index(family.pattern))
        for (kind, share), each in best.items():
            if kind == stores:
                ring: Mapping[str, Any] = {"markeredgecolor": style.INK, "markeredgewidth": 1.0}
                axes.plot([share], [each.peak_gbps], "o", color="none", markersize=10, zorder=4, **ring)
    panels[0].set_ylabel("peak, GB/s of all traffic")
    panels[0].set_ylim(bottom=0)
    return figure


def _look(number: int) -> dict[str, Any]:
    return {
        "color": style.SERIES_COLOURS[number % len(style.SERIES_COLOURS)],
        "marker": style.SERIES_MARKERS[number % len(style.SERIES_MARKERS)],
    }


def _draw_peaks(axes: Axes, family: DrawnFamily, number: int) -> None:
    x = [curve.read_percent for curve in family.curves]
    y = np.asarray([curve.peak_gbps for curve in family.curves])
    ends = np.asarray([curve.peak_interval for curve in family.curves])
    errors = [y - ends[:, 0], ends[:, 1] - y]
    axes.errorbar(x, y, yerr=errors, linewidth=1.2, markersize=4, capsize=2, zorder=2, **_look(number))
