"""The figure of a fleet: every host's deviation from the middle of all, by operation."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Final

import numpy as np
from matplotlib.figure import Figure

from hmexp.report.figures import style
from hmexp.report.fleet.outliers import Deviation, OddHost
from hmexp.report.fleet.reading import Fleet
from hmexp.report.run.wording import say_operation

STEM: Final = "fleet"
CAPTION: Final = (
    "Each dot is a host: how much better (right) or worse (left) it is than the middle of all hosts in one "
    "operation, the median over all that was measured of it. Hosts that stand out are named."
)
_NAMED: Final = 8
_WIDTH: Final = 9.5


@style.styled()
def draw_hosts(
    fleet: Fleet, deviations: Mapping[str, Mapping[str, Deviation]], odd: tuple[OddHost, ...]
) -> Figure:
    """Draw the deviations of all hosts, in percent."""
    rows = fleet.operations
    labels = [line for label in fleet.labels for line in textwrap.wrap(label, 90)]
    figure = Figure(figsize=(_WIDTH, 1.5 + 0.75 * len(rows) + 0.2 * len(labels)), layout="constrained")
    axes = figure.subplots()
    axes.set_title("\n".join(["Hosts against the middle of all", *labels]))
    named = {each.host.name for each in odd[:_NAMED]}
    spread = np.random.default_rng(0)
    for row, operation in enumerate(rows):
        found = {name: by[operation] for name, by in deviations.items() if operation in by}
        y = row + spread.uniform(-0.18, 0.18, len(found))
        x = np.array([each.part * 100 for each in found.values()])
        out = np.array([each.out for each in found.values()], dtype=bool)
        axes.plot(x[~out], y[~out], "o", color=style.KIND_COLOURS["dram"], markersize=4, alpha=0.6)
        axes.plot(x[out], y[out], "D", color=style.BAD, markersize=5)
        for name, left, height in zip(found, x, y, strict=True):
            if name in named and found[name].out:
                axes.annotate(name, (left, height), xytext=(5, 4), textcoords="offset points", size=8)
    axes.axvline(0, color=style.MUTED, linewidth=0.9)
    axes.set_yticks(range(len(rows)), [say_operation(operation) for operation in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel("better than the middle of all [%]")
    axes.grid(visible=True, axis="x")
    return figure
