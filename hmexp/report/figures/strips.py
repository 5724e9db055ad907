"""Placement strips: what a pattern asked for, and where the pages were found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from hmexp.report.figures import style
from hmexp.report.run.point import Point, short_pattern
from hmexp.report.run.results import Results
from hmexp.report.run.wording import say_series
from hmexp.store.evidence import PlacementRecord

_ABSENT: Final = -1
#: As many as a sheet of paper holds with text of 8 points; the page's table has all of them.
_MOST_STRIPS: Final = 9
_STRIP_INCHES: Final = 0.56
#: How much lighter the second, third, ... node of a kind is drawn.
_LIGHTER: Final = 0.3


@dataclass
class Strip:
    """One placement as it was seen; points that saw the very same one share it."""

    pattern: str
    parameters: str
    asked: tuple[int, ...]
    found: tuple[int, ...]
    ok: bool
    pages: int | None
    misplaced: int | None
    absent: int | None
    summary: str
    seen: dict[str, list[str]] = field(default_factory=dict)  # operation -> "before", "after"

    @property
    def short(self) -> str:
        """The pattern, shortened for people."""
        return short_pattern(self.pattern)

    @property
    def who(self) -> str:
        """Which operations' proofs saw it, and when."""
        parts = []
        for operation, when in self.seen.items():
            both = {"before", "after"} <= set(when)
            parts.append(operation if both else f"{operation} ({' and '.join(dict.fromkeys(when))})")
        return ", ".join(parts)

    @property
    def verdict(self) -> str:
        """What the proof said, in a few words."""
        if self.ok:
            return f"✓ {self.pages:,} pages, none misplaced" if self.pages is not None else "✓ proven"
        counted = ((self.misplaced, "misplaced"), (self.absent, "absent"))
        counts = [f"{n:,} {what}" for n, what in counted if n]
        return f"✗ {' and '.join(counts) or 'not proven'} of {self.pages or 0:,} pages"


def strips_of(results: Results) -> list[Strip]:
    """Gather every distinct placement of a run, failed proofs first, then by pattern."""
    names = results.varying([p for p in results.points if p.record.proof is not None])
    names = tuple(n for n in names if n not in ("samples", "sample_seconds", "threads", "access", "cpu_node"))
    strips: dict[tuple[Any, ...], Strip] = {}
    for point in results.points:
        for when in ("before", "after"):
            part: PlacementRecord | None = getattr(point.record.proof, when, None)
            if part is None or not any(part.strip):
                continue
            strip = _strip(point, part, say_series(point.series, names))
            key = (strip.pattern, strip.parameters, strip.asked, strip.found, strip.ok, strip.misplaced)
            strips.setdefault(key, strip).seen.setdefault(point.operation, []).append(when)
    shares = {p.pattern: p.dram_share or 0.0 for p in results.points}
    return sorted(strips.values(), key=lambda s: (s.ok, -shares[s.pattern], s.pattern, s.parameters))


def _strip(point: Point, part: PlacementRecord, parameters: str) -> Strip:
    return Strip(
        pattern=point.pattern,
        parameters=parameters,
        asked=part.strip[0],
        found=part.strip[1],
        ok=part.ok,
        pages=part.pages,
        misplaced=part.misplaced,
        absent=part.absent,
        summary=part.summary,
    )


@style.styled()
def placement_strips(results: Results) -> Figure:
    """Draw, for each pattern, the nodes asked for and the nodes that the pages were found on."""
    every = strips_of(results)
    strips = every[:_MOST_STRIPS]
    backing = results.backing
    held = ", ".join(
        f"node {node} is emulated: its pages are on node {real}" for node, real in sorted(backing.items())
    )
    subtitle = "the first granules of the region, 96 at most, before and after the samples"
    subtitle += f"; {held}" if held else ""
    if len(every) > len(strips):
        subtitle += f"; {len(every) - len(strips)} more placements are not drawn"
    size = (9.8, max(1.2, _STRIP_INCHES * len(strips) + 0.45))
    nodes = sorted({node for strip in strips for node in strip.asked + strip.found})
    colours = node_colours(results, nodes)
    handles: list[Artist] = [Patch(color=colours[node]) for node in nodes]
    key = (handles, [_node_name(node, results) for node in nodes])
    figure = style.framed(results, "Placement: pattern asked, pages found", subtitle, size, key=key)
    axes = figure.subplots()
    if not strips:
        style.say_nothing(axes, "No placement was recorded.")
        return figure
    for number, strip in enumerate(strips):
        _draw_strip(axes, strip, -float(number), colours, backing)
    axes.set(xlim=(0, 1), ylim=(-len(strips) + 0.35, 0.55), xticks=[])
    axes.set_yticks([-n for n in range(len(strips))], [_name(strip) for strip in strips])
    axes.tick_params(axis="y", length=0, pad=34)
    axes.spines[:].set_visible(False)
    return figure


def _draw_strip(axes: Axes, strip: Strip, y: float, colours: dict[int, str], backing: dict[int, int]) -> None:
    nodes = sorted(colours)
    colour_map = ListedColormap([colours[node] for node in nodes])
    # A page that is where an emulated node has its pages has that node's colour: all is well with it.
    found = tuple(
        asked if backing.get(asked, asked) == node else node
        for asked, node in zip(strip.asked, strip.found, strict=False)
    )
    for name, row, bottom in (("asked", strip.asked, y + 0.02), ("found", found, y - 0.27)):
        indices = np.searchsorted(nodes, row)[np.newaxis, :]
        axes.imshow(
            indices, cmap=colour_map, vmin=-0.5, vmax=len(nodes) - 0.5, aspect="auto",
            interpolation="nearest", extent=(0, 1, bottom, bottom + 0.25), zorder=2,
        )  # fmt: skip
        axes.annotate(
            name, (0, bottom + 0.125), xytext=(-4, 0), textcoords="offset points", ha="right", va="center",
            size=8, color=style.MUTED, annotation_clip=False,
        )  # fmt: skip
    pairs = enumerate(zip(strip.asked, strip.found, strict=False))
    wrong = [n for n, (asked, found) in pairs if backing.get(asked, asked) != found]
    places = (np.array(wrong) + 0.5) / len(strip.found)
    axes.plot(places, np.full(len(wrong), y - 0.34), "^", color=style.BAD, markersize=3.5, markeredgewidth=0)
    colour = style.MUTED if strip.ok else style.BAD
    axes.annotate(
        f"{strip.verdict}\n{strip.who}", (1, y), xytext=(8, 0), textcoords="offset points", va="center",
        size=8, color=colour, annotation_clip=False,
    )  # fmt: skip


def node_colours(results: Results, nodes: Sequence[int]) -> dict[int, str]:
    """Colour nodes by kind; a second node of a kind is lighter."""
    seen: dict[str, int] = {}
    colours = {}
    for node in nodes:
        kind = results.kinds.get(node, "unknown")
        order = seen.setdefault(kind, 0)
        seen[kind] += 1
        base = style.KIND_COLOURS.get(kind, style.KIND_COLOURS["unknown"])
        colours[node] = style.BAD if node == _ABSENT else style.lighter(base, min(0.75, order * _LIGHTER))
    return colours


def _node_name(node: int, results: Results) -> str:
    if node == _ABSENT:
        return "page absent"
    kind = results.kinds.get(node, "unknown")
    name = f"node {node} ({kind if kind == 'unknown' else kind.upper()})"
    return f"{name}, emulated on node {results.backing[node]}" if node in results.backing else name


def _name(strip: Strip) -> str:
    return f"{strip.short}\n{strip.parameters}" if strip.parameters else strip.short
