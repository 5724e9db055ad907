"""Figures for a terminal, of plain text."""

from __future__ import annotations

from collections.abc import Sequence

WIDTH, HEIGHT = 64, 16


def draw_curve(
    across: Sequence[float],
    up: Sequence[float],
    across_label: str,
    up_label: str,
    marked: int | None = None,
    width: int = WIDTH,
    height: int = HEIGHT,
) -> str:
    """Draw points of a curve.

    Parameters
    ----------
    across, up : sequence of float
        The points.
    across_label, up_label : str
        What they are, with the unit.
    marked : int, optional
        A point to draw as ``K`` and not as ``*``.
    width, height : int
        Of the field of points [characters].
    """
    right = max([*across, 0.0]) or 1.0
    top = max([*up, 0.0]) or 1.0
    field = [[" "] * width for _ in range(height)]
    order = sorted(range(len(across)), key=lambda i: i == marked)  # the marked one lies on top
    for i in order:
        column = round(across[i] / right * (width - 1))
        row = height - 1 - round(up[i] / top * (height - 1))
        field[row][column] = "K" if i == marked else "*"
    lines = [up_label]
    for row, cells in enumerate(field):
        value = top * (height - 1 - row) / (height - 1)
        tick = f"{value:>9.4g} " if row % 5 == 0 or row == height - 1 else " " * 10
        lines.append(f"{tick}|{''.join(cells).rstrip()}")
    lines.append(" " * 10 + "+" + "-" * width)
    left, end = "0", f"{right:.4g}"
    gap = " " * max(1, width - len(left) - len(end) - len(across_label))
    half = len(gap) // 2
    lines.append(" " * 11 + left + gap[:half] + across_label + gap[half:] + end)
    return "\n".join(lines)
