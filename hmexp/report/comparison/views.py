"""A comparison as a person reads it: a table for the terminal, and a page that opens offline."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final

import jinja2

from hmexp.report.comparison.outcome import VERDICTS, Compared, Comparison, shown
from hmexp.report.run.numbers import MISSING, digits
from hmexp.report.run.point import short_pattern
from hmexp.store.files import make_folder, write_atomically

#: Rows, and differences, that a person would read.
MOST_ROWS: Final = 40
MOST_PAGE_ROWS: Final = 1000
_HEADS: Final = ("verdict", "operation", "ratio", "pattern", "parameters", "A", "B", "B / A", "95 % interval")
_NUMBERS: Final = frozenset({5, 6, 7})
_BAR_WIDTH: Final = 180
_MARK: Final = {"slower": "-", "faster": "+", "no difference": " ", "not comparable": "?"}


def terminal(comparison: Comparison, most: int | None = MOST_ROWS) -> str:
    """Write the comparison for a terminal.

    Parameters
    ----------
    comparison : Comparison
        What was found.
    most : int or None
        Rows of the table; None is all of them.
    """
    lines = [f"A: {comparison.a.name}", f"B: {comparison.b.name}", *comparison.labels, ""]
    points, hidden = shown(comparison.points, len(comparison.points) if most is None else most)
    rows = [_cells(point, comparison.varying) for point in points]
    used = [n for n in range(len(_HEADS)) if any(row[n] for row in rows)]
    widths = {n: max(len(_HEADS[n]), *(len(row[n]) for row in rows)) for n in used}
    if rows:
        lines += [_line(row, widths) for row in (_HEADS, *rows)]
    if hidden:
        lines.append(f"and {hidden} more, most of them without a difference (--all shows them)")
    why: dict[str, int] = {}
    for point in comparison.points:
        if point.why is not None:
            why[point.why] = why.get(point.why, 0) + 1
    messages, more = list(why.items())[:MOST_ROWS], len(why) - MOST_ROWS
    lines += ["", "Not comparable:", *(f"  {count} x {text}" for text, count in messages)] if why else []
    lines += [f"  and {more} more reasons"] if more > 0 else []
    if comparison.differences:
        lines += ["", "The runs differ in:"]
        lines += [f"  {d.name}: {d.a} -> {d.b}" for d in comparison.differences[:MOST_ROWS]]
        more = len(comparison.differences) - MOST_ROWS
        lines += [f"  and {more} more"] if more > 0 else []
    return "\n".join([*lines, "", *comparison.summary])


def overview(comparisons: Sequence[Comparison]) -> str:
    """Write the outcome of several comparisons with the same run, a line for each."""
    heads = ("against " + comparisons[0].a.name, *VERDICTS)
    rows = [(c.b.name, *(str(c.counts[verdict]) for verdict in VERDICTS)) for c in comparisons]
    widths = [max(len(row[n]) for row in (heads, *rows)) for n in range(len(heads))]
    sides = [str.ljust, *[str.rjust] * len(VERDICTS)]
    return "\n".join(
        "  ".join(side(cell, width) for side, cell, width in zip(sides, row, widths, strict=True))
        for row in (heads, *rows)
    )


def _line(cells: Iterable[str], widths: dict[int, int]) -> str:
    every = list(cells)
    parts = [every[n].rjust(width) if n in _NUMBERS else every[n].ljust(width) for n, width in widths.items()]
    return "  ".join(parts).rstrip()


def _cells(point: Compared, varying: Iterable[str]) -> tuple[str, ...]:
    a, b = point.a, point.b
    return (
        f"{_MARK[point.verdict]} {point.verdict}",
        str(a.parameters["operation"]),
        a.ratio or "",
        short_pattern(str(a.parameters["pattern"])),
        a.describe(varying),
        f"{digits(a.median)} {a.unit}" if a.median is not None else MISSING,
        f"{digits(b.median)} {b.unit}" if b.median is not None else MISSING,
        f"{point.quotient:.3f}" if point.quotient is not None else MISSING,
        f"[{point.low:.3f}, {point.high:.3f}]" if point.low is not None and point.high is not None else "",
    )


def write_page(comparison: Comparison, path: Path) -> Path:
    """Write the comparison as one HTML file that fetches nothing.

    Raises
    ------
    StoreError
        If the file cannot be written.
    """
    make_folder(path.parent, parents=True)
    return write_atomically(path, page(comparison))


def page(comparison: Comparison) -> str:
    """Make the page."""
    source = (
        resources.files("hmexp.report.comparison").joinpath("compare.html.j2").read_text(encoding="utf-8")
    )
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    points, hidden = shown(comparison.points, MOST_PAGE_ROWS)
    reach = _reach(points)
    css, verdict = say_verdict(comparison)
    return environment.from_string(source).render(
        comparison=comparison,
        css=css,
        verdict=verdict,
        rows=[(point, _cells(point, comparison.varying), _bar(point, reach)) for point in points],
        hidden=hidden,
        heads=_HEADS[1:],
        reach_percent=f"{math.expm1(reach) * 100:.3g}",
        bar_width=_BAR_WIDTH,
    )


def say_verdict(comparison: Comparison) -> tuple[str, str]:
    """The answer in a sentence, and how it looks: `bad`, `good` or `open`."""
    counts = comparison.counts
    told = counts["slower"] + counts["faster"]
    if not comparison.compared:
        return "open", "Cannot say: no point could be compared."
    of = f"{comparison.compared} points that could be compared"
    if not told:
        unsure = " Of points that are missing or failed nothing is known." if comparison.incomplete else ""
        return "open" if unsure else "good", f"No: nothing beyond the noise in {of}.{unsure}"
    parts = [f"{counts[what]} are {what} in B" for what in ("slower", "faster") if counts[what]]
    return "bad" if counts["slower"] else "good", f"Yes: of {of}, {' and '.join(parts)}."


def _reach(points: Iterable[Compared]) -> float:
    """How far the axis of quotients reaches to both sides [natural logarithm]."""
    ends = [abs(math.log(end)) for p in points for end in (p.low, p.high) if end]
    # One wild interval must not press all others into a line.
    return min(max([0.02, *sorted(ends)[: max(1, math.ceil(len(ends) * 0.95))]]), math.log(4))


def _bar(point: Compared, reach: float) -> dict[str, Any] | None:
    if point.quotient is None or point.low is None or point.high is None:
        return None

    def x(quotient: float) -> float:
        inside = max(-1.0, min(1.0, math.log(quotient) / reach))
        return round((_BAR_WIDTH / 2) * (1 + 0.94 * inside), 1)

    return {"low": x(point.low), "middle": x(point.quotient), "high": x(point.high)}
