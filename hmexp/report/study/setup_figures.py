"""The figures of the study of placers: which mechanism, and why not one mapping for each run of pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from hmexp.measure.setup import mappings_needed
from hmexp.pattern import Pattern
from hmexp.report.figures import style
from hmexp.report.run.numbers import digits, percent
from hmexp.report.study.results import StudyResults
from hmexp.report.study.setup_costs import (
    FAR_BYTES,
    SHARED_STAGE,
    STAGES,
    CountedMappings,
    SetupCosts,
    costs_of,
    counted_mappings,
    mapping_limit,
)
from hmexp.units import MIB, format_size

_ROW_INCHES: Final = 0.34
_PAGE_TABLES: Final = "page tables"
_SMALLEST: Final = 0.005


@style.styled()
def setup_costs(study: StudyResults) -> Figure:
    """Draw time, mappings and kernel memory of each placer."""
    costs = [cost for cost in costs_of(study) if cost.why_not is None]
    pages = max((cost.pages for cost in costs), default=0)
    caches = sorted({name for c in costs for name, n in c.slab.items() if n > (c.resolution_bytes or 0)})
    handles: list[Artist] = [Patch(color=_cache_colour(0))]
    handles += [Patch(color=_cache_colour(n + 1)) for n in range(len(caches))]
    left_out = [f"{c.placer}: {c.why_not}" for c in costs_of(study) if c.why_not is not None]
    figure = style.framed(
        study.title,
        "What each placer costs",
        f"pattern {study.run.pattern}, {pages:,} pages a region, fresh processes; time beside a plain "
        f"anonymous mapping populated in turn with it" + _say_left_out(left_out),
        (10.0, max(1.6, _ROW_INCHES * len(costs) + 0.9)),
        key=(handles, [f"kernel memory: {_PAGE_TABLES}", *(f"slab {name}" for name in caches)]),
    )
    if not costs:
        style.say_nothing(figure.subplots(), "No placer was measured.")
        return figure
    panels = figure.subplots(1, 3, sharey=True)
    _draw_times(panels[0], costs)
    _draw_mappings(panels[1], costs)
    _draw_memory(panels[2], costs, caches)
    panels[0].set_yticks(range(len(costs)), [cost.placer for cost in costs])
    panels[0].set_ylim(len(costs) - 0.4, -0.6)
    return figure


def _say_left_out(reasons: Sequence[str]) -> str:
    # "weighted: placer weighted cannot work here: why" says it twice.
    lines = (re.sub(r": placer \w+ cannot work here: ", ": ", reason.splitlines()[0]) for reason in reasons)
    return "".join(f". Not measured: {line}" for line in lines)


def _draw_times(axes: Axes, costs: Sequence[SetupCosts]) -> None:
    axes.set_title("time, × plain mapping")
    for row, cost in enumerate(costs):
        if cost.ratio is None:
            continue
        low, high = cost.ratio.median - cost.ratio.shown[0], cost.ratio.shown[1] - cost.ratio.median
        axes.errorbar(
            [cost.ratio.median], [row], xerr=[[max(0, low)], [max(0, high)]], fmt="o", color=style.INK,
            capsize=3, markersize=5,
        )  # fmt: skip
        assert cost.ns_per_page is not None
        axes.annotate(
            f"{digits(cost.ratio.median)} ×  ({digits(cost.ns_per_page.median)} ns/page)",
            (cost.ratio.shown[1], row), xytext=(7, 0), textcoords="offset points", va="center", size=8,
            color=style.MUTED,
        )  # fmt: skip
    axes.axvline(1, color=style.FAINT, linewidth=1, zorder=1)
    widest = max((cost.ratio.shown[1] for cost in costs if cost.ratio is not None), default=1.0)
    axes.set_xlim(0, max(1.2, widest) * 1.9)
    axes.set_xlabel("median over launches, 95 % interval")
    _plain(axes)


def _draw_mappings(axes: Axes, costs: Sequence[SetupCosts]) -> None:
    axes.set_title("mappings (VMAs) of one region")
    counts = [cost.mappings or 0 for cost in costs]
    axes.barh(range(len(costs)), counts, left=0.5, height=0.5, color=style.SERIES_COLOURS[5])
    for row, count in enumerate(counts):
        axes.annotate(
            f"{count:,}", (count + 0.5, row), xytext=(4, 0), textcoords="offset points", va="center", size=8
        )
    axes.set_xscale("log")
    axes.set_xlim(0.5, max(10, *counts) * 12)
    axes.xaxis.set_major_formatter(FuncFormatter(_count_tick))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("mappings (log)")
    _plain(axes)


def _draw_memory(axes: Axes, costs: Sequence[SetupCosts], caches: Sequence[str]) -> None:
    axes.set_title("kernel memory")
    ends = np.zeros(len(costs))
    parts = [[cost.page_tables_bytes or 0.0 for cost in costs]]
    parts += [[_above(cost, name) for cost in costs] for name in caches]
    for number, values in enumerate(parts):
        axes.barh(range(len(costs)), values, left=ends, height=0.5, color=_cache_colour(number))
        ends += np.asarray(values)
    for row, (cost, end) in enumerate(zip(costs, ends, strict=True)):
        axes.annotate(
            f"{digits(float(end))} ± {digits(cost.resolution_bytes, 2)}", (float(end), row), xytext=(4, 0),
            textcoords="offset points", va="center", size=8,
        )  # fmt: skip
    axes.set_xlim(0, max(10.0, float(ends.max())) * 1.45)
    axes.set_xlabel("bytes per page (± what slab counts resolve)")
    _plain(axes)


def _above(cost: SetupCosts, cache: str) -> float:
    found = cost.slab.get(cache, 0.0)
    return found if found > (cost.resolution_bytes or 0) else 0.0


def _cache_colour(number: int) -> str:
    return style.MUTED if number == 0 else style.SERIES_COLOURS[(number - 1) % len(style.SERIES_COLOURS)]


def _plain(axes: Axes) -> None:
    axes.grid(visible=True, axis="x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


@style.styled()
def misplacement(study: StudyResults) -> Figure:
    """Draw the share of misplaced pages of each placer, placed and after what programs do to pages."""
    costs = [cost for cost in costs_of(study) if cost.misplaced]
    one = " One node: no page could be on a wrong one." if study.run.one_node else ""
    nothing = "none possible" if study.run.one_node else "none"
    stages = list(STAGES)
    figure = style.framed(
        study.title,
        "Where the pages are, and whether that lasts",
        f"share of pages on another node than the pattern {study.run.pattern} says, or on none.{one}",
        (8.8, max(1.5, 0.36 * len(costs) + 0.7)),
    )
    axes = figure.subplots()
    if not costs:
        style.say_nothing(axes, "No placement was recorded.")
        return figure
    for row, cost in enumerate(costs):
        for column, stage in enumerate(stages):
            share = cost.misplaced.get(stage)
            face = style.PAPER if share is None else style.lighter(style.BAD, 1 - 0.85 * share)
            if share == 0 and study.run.one_node:
                face = style.lighter(style.MUTED, 0.85)
            elif share == 0:
                face = style.lighter(style.KIND_COLOURS["cxl"], 0.75)
            axes.add_patch(_cell(column, row, face))
            wording = "not measured" if share is None else nothing if share == 0 else _percent(share)
            if cost.shared and stage == SHARED_STAGE:
                wording += "\n(shared, no copies)"
            colour = style.MUTED if share is None else style.INK
            axes.text(column, row, wording, ha="center", va="center", size=8, color=colour)
    axes.set(xlim=(-0.5, len(stages) - 0.5), ylim=(len(costs) - 0.5, -0.5))
    axes.set_xticks(range(len(stages)), stages)
    axes.set_yticks(range(len(costs)), [_promise(cost) for cost in costs])
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def _percent(share: float) -> str:
    return percent(share) if share >= _SMALLEST else f"{share * 100:.2g} %"


def _promise(cost: SetupCosts) -> str:
    return cost.placer if cost.exact_order else f"{cost.placer} (ratio only)"


def _cell(column: float, row: float, colour: str) -> Rectangle:
    return Rectangle((column - 0.48, row - 0.45), 0.96, 0.9, facecolor=colour, edgecolor="none")


@style.styled()
def mappings_against_size(study: StudyResults) -> Figure:
    """Draw mappings of a region against its size, and where the kernel refuses."""
    counted = counted_mappings(study)
    limit = mapping_limit(study)
    granules = sorted({c.granule_bytes for c in counted} or {4096, 65536, 2 * MIB})
    figure = style.framed(
        study.title,
        "Mappings against the size of a region, one for each run of pages (mbind)",
        f"two nodes in turn. Lines: one mapping for each granule; dashed: extrapolated beyond what was "
        f"counted. The limit of a process is {limit:,} (vm.max_map_count)" + _one_node_words(study),
        (8.8, 3.9),
        key=_mapping_key(granules, counted),
    )
    axes = figure.subplots()
    for number, granule in enumerate(granules):
        _draw_granule(axes, granule, style.SERIES_COLOURS[number % len(style.SERIES_COLOURS)], counted)
    axes.axhline(limit, color=style.BAD, linewidth=1.2)
    axes.annotate(
        f"limit {limit:,}", (8 * MIB, limit), xytext=(4, 4), textcoords="offset points", ha="left",
        size=8, color=style.BAD,
    )  # fmt: skip
    axes.set(xscale="log", yscale="log", xlim=(8 * MIB, FAR_BYTES * 2), ylim=(0.6, 2e9))
    sizes = [(16 * MIB) << shift for shift in range(0, 17, 2)]
    axes.xaxis.set_major_locator(FixedLocator(sizes))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(_size_tick()))
    axes.yaxis.set_major_formatter(FuncFormatter(_count_tick))
    axes.set_xlabel("size of the region")
    axes.set_ylabel("mappings (VMAs)")
    axes.grid(visible=True)
    return figure


def _one_node_words(study: StudyResults) -> str:
    if not study.run.one_node:
        return ""
    return ". One node here: its mappings are equal, and the kernel merges them; the lines are the formula"


def _count_tick(value: float, _: object) -> str:
    return f"{value:,.0f}"


def _size_tick() -> Callable[[float, object], str]:
    return lambda value, _: format_size(int(value))


def _draw_granule(axes: Axes, granule: int, colour: str, counted: Sequence[CountedMappings]) -> None:
    pattern = Pattern((0, 1), granule)
    own = [c for c in counted if c.granule_bytes == granule]
    held = [c for c in own if c.refused is None]
    edge = max((c.size_bytes for c in held), default=0)
    inside = [s for s in np.geomspace(8 * MIB, max(edge, 8 * MIB), 30) if s <= edge]
    beyond = np.geomspace(max(edge, 8 * MIB), FAR_BYTES, 60)
    for sizes, look in ((inside, "-"), (beyond, "--")):
        axes.plot(
            sizes,
            [mappings_needed(pattern, int(s)) for s in sizes],
            look,
            color=colour,
            linewidth=1.3,
            zorder=2,
        )
    far = mappings_needed(pattern, FAR_BYTES)
    axes.annotate(
        f"{far:,}", (FAR_BYTES, far), xytext=(-4, 5), textcoords="offset points", ha="right", size=8,
        color=colour,
    )  # fmt: skip
    axes.plot(
        [c.size_bytes for c in held], [c.counted for c in held], "o", color=colour, markersize=5, zorder=4
    )
    refused = [c for c in own if c.refused is not None]
    axes.plot(
        [c.size_bytes for c in refused], [c.counted for c in refused], "X", color=style.BAD, markersize=8,
        zorder=5,
    )  # fmt: skip


def _mapping_key(granules: Sequence[int], counted: Sequence[CountedMappings]) -> style.Key:
    handles: list[Artist] = []
    labels = []
    for number, granule in enumerate(granules):
        colour = style.SERIES_COLOURS[number % len(style.SERIES_COLOURS)]
        handles.append(Line2D([], [], color=colour))
        labels.append(f"granule {format_size(granule)}")
    marks = (
        ("counted, touching no page", "o", style.INK, any(c.refused is None for c in counted)),
        ("refused (ENOMEM)", "X", style.BAD, any(c.refused is not None for c in counted)),
    )
    for label, marker, colour, there in marks:
        if there:
            handles.append(Line2D([], [], color=colour, marker=marker, linestyle="none"))
            labels.append(label)
    return handles, labels
