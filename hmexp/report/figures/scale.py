"""Scales that a person can read: one outlier does not flatten a panel, and thousands are set apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, ScalarFormatter

from hmexp.report.figures import style
from hmexp.report.run.numbers import digits

#: A value is an outlier if it is so many times the next one below it,
_GAP: Final = 4.0
#: and no more than this part of all values lie above the gap.
_PART: Final = 0.1
_ROOM: Final = 1.15


def clip_limit(values: Iterable[float]) -> float | None:
    """Where a scale should end so that outliers do not flatten the rest; None if there are none."""
    ordered = sorted(value for value in values if value > 0)
    most = max(1, int(len(ordered) * _PART))
    for above in range(1, most + 1):
        if above >= len(ordered):
            break
        inner, outer = ordered[-above - 1], ordered[-above]
        if outer > _GAP * inner:
            return inner * _ROOM
    return None


def clip(
    axes: Axes, values: Sequence[float], unit: str, axis: Literal["x", "y"] = "y", least: float = 0.0
) -> None:
    """End the scale of a panel before its outliers, if it has any, and say how many are beyond.

    Parameters
    ----------
    axes : Axes
        The panel, with everything drawn.
    values : sequence of float
        Everything that is drawn along the axis [unit].
    unit : str
        Of the values, for the note.
    axis : str
        ``x`` or ``y``.
    least : float
        The highest of the curves, which stays in sight unless it is an outlier itself [unit].
    """
    limit = clip_limit(values)
    if limit is None:
        return
    if least < _GAP * limit:
        limit = max(limit, least * _ROOM)
    (axes.set_xlim if axis == "x" else axes.set_ylim)(0, limit)
    beyond = [value for value in values if value > limit]
    plural = "s" if len(beyond) > 1 else ""
    mark = "▸" if axis == "x" else "▴"
    axes.set_title(
        f"{mark} clipped: {len(beyond)} value{plural} beyond, up to {digits(max(beyond))} {unit}",
        loc="right", size=8, color=style.BAD, weight="normal", pad=-9,
    )  # fmt: skip


def group_thousands(figure: Figure) -> None:
    """Write the numbers of all axes in full, with separators: 12,000 and not 1.2e4."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if type(axis.get_major_formatter()) is ScalarFormatter:
                axis.set_major_formatter(FuncFormatter(_say))


def _say(value: float, _: int | None) -> str:
    return f"{round(value, 9):,.10g}".replace("-", "−")
