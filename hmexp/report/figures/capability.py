"""What each node can do alone: is this node usable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from matplotlib.figure import Figure

from hmexp.report.figures import style
from hmexp.report.run.numbers import MISSING, interval, with_unit
from hmexp.report.run.point import Point
from hmexp.report.run.results import Results

HEADS: Final = ("node", "kind", "idle latency", "peak read", "threads", "peak write", "threads")
_WIDTHS: Final = (0.07, 0.22, 0.18, 0.17, 0.09, 0.17, 0.08)
_ROW_INCHES: Final = 0.46


@dataclass(frozen=True)
class Capability:
    """What was measured of a node alone; None of what was not.

    Parameters
    ----------
    latency : Point or None
        The lowest idle latency.
    read, write : Point or None
        The most bandwidth, whatever the other parameters; of equal ones that of the fewest threads.
    """

    node: int
    kind: str
    latency: Point | None
    read: Point | None
    write: Point | None

    def cells(self) -> tuple[str, ...]:
        """The texts of a row, in the order of `HEADS`."""
        peaks = [text for point in (self.read, self.write) for text in (_value(point), _threads(point))]
        return (str(self.node), self.kind, _value(self.latency), *peaks)


def capabilities(results: Results) -> list[Capability]:
    """Gather what was measured of each node that was measured alone."""
    alone: dict[int, list[Point]] = {}
    for point in results.ok:
        nodes = {*point.dram_mix, *point.slow_mix}
        if len(nodes) == 1:
            alone.setdefault(nodes.pop(), []).append(point)
    return [_capability(node, points, results) for node, points in sorted(alone.items())]


def _capability(node: int, points: list[Point], results: Results) -> Capability:
    def best(operation: str) -> Point | None:
        same = [p for p in points if p.operation == operation]
        if operation == "latency":
            return min(same, key=lambda p: p.value.median, default=None)
        return max(same, key=lambda p: (p.value.median, -(p.threads or 0)), default=None)

    kind = results.kinds.get(node, "unknown")
    kind = kind if kind == "unknown" else kind.upper()
    if node in results.backing:
        kind += f", emulated on {results.backing[node]}"
    return Capability(node, kind, best("latency"), best("read"), best("write"))


def _value(point: Point | None) -> str:
    return MISSING if point is None else f"{with_unit(point)}\n{interval(point.value)}"


def _threads(point: Point | None) -> str:
    return MISSING if point is None or point.threads is None else str(point.threads)


@style.styled()
def node_capability(results: Results) -> Figure:
    """Draw the table of what each node does alone, with 95 % intervals."""
    found = capabilities(results)
    subtitle = "each node alone, all pages on it; median with its 95 % interval, the best of all parameters"
    size = (8.6, _ROW_INCHES * (len(found) + 1) + 0.1)
    figure = style.framed(results, "What each node can do", subtitle, size)
    axes = figure.subplots()
    if not found:
        style.say_nothing(axes, "No node was measured alone.")
        return figure
    axes.set(xlim=(0, 1), ylim=(-len(found) - 0.5, 0.5))
    axes.set_axis_off()
    for number, row in enumerate([HEADS, *(node.cells() for node in found)]):
        x = 0.015
        for width, text in zip(_WIDTHS, row, strict=True):
            weight = "bold" if number == 0 else "normal"
            axes.text(x, -number, text, va="center", size=8.5, weight=weight, color=style.INK)
            x += width
        axes.axhline(-number - 0.5, color=style.FAINT, linewidth=0.8)
    return figure
