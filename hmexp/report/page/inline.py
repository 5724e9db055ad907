"""A run shown in a notebook: small HTML and pictures that any front end displays."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from hmexp.report.figures import gallery as figures
from hmexp.report.model.advice import advise
from hmexp.report.model.overview import Cell, overview
from hmexp.report.page.inline_html import Html
from hmexp.report.run.results import Results

_DPI = 110


@dataclass(frozen=True)
class Picture:
    """A figure as PNG: unlike SVG, it is shown in notebooks that are not trusted, too."""

    stem: str
    png: bytes = field(repr=False)

    def _repr_png_(self) -> bytes:
        return self.png


def show(run_dir: Path) -> tuple[Html | Picture, ...]:
    """Return what a notebook shows of a run: ``for part in show(run_dir): display(part)``.

    Returns
    -------
    tuple
        The status with its labels, the table of all patterns, the figures, and the advice.
    """
    results = Results.load(run_dir)
    drawn = figures.all_figures(results)
    pictures = [Picture(stem, figures.png_bytes(figure, _DPI)) for stem, figure in drawn.items()]
    return (status(results), table(results), *pictures, words(results))


def status(results: Results) -> Html:
    """Say what the run is: emulated or not, how much of it is measured, what failed."""
    lines = [f"{results.name}: {len(results.ok)} points measured"]
    lines[0] += f", {len(results.not_ok)} failed or skipped" if results.not_ok else ""
    lines[0] += f", {results.unfinished} not measured yet" if results.unfinished else ""
    lines += results.labels
    lines += [f"{p.status}: {p.pattern} {p.operation}: {p.why}" for p in results.not_ok]
    first, *rest = lines
    body = f"<b>{escape(first)}</b>" + "".join(f"<br><b>{escape(line)}</b>" for line in rest)
    return Html(f"<p>{body}</p>", "\n".join(lines))


def table(results: Results) -> Html:
    """Make the table of all patterns, one column per operation."""
    view = overview(results)
    heads = [f"DRAM:{view.slow_name}", "pattern", *(["region"] if view.has_regions else []), *view.columns]
    rows = [
        [ratio, pattern, *([region] if view.has_regions else []), *map(_cell, cells)]
        for ratio, pattern, region, cells in view.rows
    ]
    label = " · ".join(results.labels)
    caption = f"<caption><b>{escape(label)}</b></caption>" if label else ""
    head = "".join(f"<th style='text-align:left'>{escape(text)}</th>" for text in heads)
    body = "".join(
        "<tr>" + "".join(f"<td style='text-align:left'>{escape(text)}</td>" for text in row) + "</tr>"
        for row in rows
    )
    html = f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    lines = [label] if label else []
    return Html(html, "\n".join([*lines, *("  ".join(row) for row in [heads, *rows])]))


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return "not in this sweep"
    if cell.failed:
        return f"{cell.value}: {cell.detail}"
    return f"{cell.value} {cell.detail}" + (f", {cell.relation}" if cell.relation else "")


def words(results: Results) -> Html:
    """Write the advice."""
    advice = advise(results)
    preface = [text for text in (advice.refused, *advice.cautions, advice.preface) if text]
    items = [*advice.sentences, *advice.missing]
    html = "".join(f"<p><b>{escape(text)}</b></p>" for text in preface)
    html += "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in items) + "</ul>" if items else ""
    return Html(html or "<p>Nothing can be advised from this run.</p>", "\n".join([*preface, *items]))
