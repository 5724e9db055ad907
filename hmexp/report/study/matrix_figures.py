"""The heat map of a matrix: a panel for each operation, a row for each initiator, a column for each node."""

from __future__ import annotations

from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hmexp.machine.matrix.portrait import say_quantity
from hmexp.machine.matrix.value import Matrix
from hmexp.measure.quantity import is_latency
from hmexp.report.figures import style
from hmexp.report.study.matrix import matrix_of
from hmexp.report.study.results import StudyResults

#: Blue to yellow, evenly from dark to light; of a latency the other way round, so that light is good.
_COLOURS: Final = {False: "cividis", True: "cividis_r"}
_CELL_INCHES: Final = (1.35, 0.5)
_MOST_COLUMNS: Final = 3
#: Where the colours are light enough for dark ink.
_LIGHT: Final = 0.55


@style.styled()
def heat_map(study: StudyResults) -> Figure:
    """Draw every operation's cells with their intervals; light is good."""
    matrix = matrix_of(study)
    operations = matrix.operations
    columns = max(1, min(_MOST_COLUMNS, len(operations)))
    rows = max(1, -(-len(operations) // columns))
    width = max(6.8, columns * (_CELL_INCHES[0] * max(1, len(matrix.targets)) + 0.9))
    height = rows * (_CELL_INCHES[1] * max(1, len(matrix.initiators)) + 0.95)
    subtitle = "median and 95 % interval over launches; light is good, each panel has its own scale"
    if matrix.missing:
        subtitle += f"; not measured: {len(matrix.missing)}"
    figure = style.framed(study.title, "Every node from every node", subtitle, (width, height))
    flat = [axes for row in figure.subplots(rows, columns, squeeze=False) for axes in row]
    if not operations:
        style.say_nothing(flat[0], "No cell was measured.")
    for axes, operation in zip(flat, operations, strict=False):
        axes.set_title(say_quantity(operation))
        _draw(axes, matrix, operation)
    for axes in flat[max(1, len(operations)) :]:
        axes.set_axis_off()
    return figure


def _draw(axes: Axes, matrix: Matrix, operation: str) -> None:
    values = np.full((len(matrix.initiators), len(matrix.targets)), np.nan)
    cells = [cell for cell in matrix.cells if cell.operation == operation]
    for cell in cells:
        values[matrix.initiators.index(cell.initiator), matrix.targets.index(cell.node)] = cell.median
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    # A scale of its own begins at a third of the best: cells that are alike look alike.
    low, high = min(low, high / 3), max(high, low * 3) if is_latency(operation) else high
    axes.imshow(values, cmap=_COLOURS[is_latency(operation)], vmin=low, vmax=high, aspect="auto")
    for cell in cells:
        part = (cell.median - low) / (high - low) if high > low else 1.0
        bright = 1 - part if is_latency(operation) else part
        places = 0 if cell.median >= 1000 else 1 if cell.median >= 100 else 2
        axes.text(
            matrix.targets.index(cell.node),
            matrix.initiators.index(cell.initiator),
            f"{cell.median:.{places}f}\n[{cell.low:.{places}f}, {cell.high:.{places}f}]",
            ha="center",
            va="center",
            color=style.INK if bright > _LIGHT else style.PAPER,
            size=8,
            linespacing=1.15,
        )
    axes.set_xticks(range(len(matrix.targets)), [f"{node}\n{matrix.kind(node)}" for node in matrix.targets])
    axes.set_yticks(range(len(matrix.initiators)), [str(node) for node in matrix.initiators])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("memory of node")
    axes.set_ylabel("CPUs of node")
