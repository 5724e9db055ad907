"""One file that says what a study has found: its `report.html`."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import numpy as np
import pandas as pd
from markupsafe import Markup

from hmexp.report.figures import gallery as figures
from hmexp.report.model.first_page import FirstPage
from hmexp.report.page.html import flatten
from hmexp.report.page.study_words import CAPTIONS, COMMANDS, METHODS, TITLES
from hmexp.report.page.templates import render_template
from hmexp.report.run.numbers import MISSING, digits
from hmexp.report.study.results import StudyResults
from hmexp.store.records import PointRecord
from hmexp.store.validity import FUNCTIONAL_ONLY, LAB_PLUGIN
from hmexp.units import format_size

_MOST_FAILURES: Final = 100
#: Beside those that name a row: what a sheet has room for.
_MOST_COLUMNS: Final = 7


@dataclass(frozen=True)
class PageTable:
    """A table of the page.

    Parameters
    ----------
    title : str
        Its heading.
    heads : tuple
        Heads of columns, and whether they are numbers.
    rows : tuple
        Cells as text.
    note : str
        A sentence below.
    """

    title: str
    heads: tuple[tuple[str, bool], ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class PageParts:
    """What a kind of study adds to its page.

    Parameters
    ----------
    first : FirstPage
        The answer.
    title : str
        The heading; empty for the kind's own.
    verdicts : tuple of str
        Each ratio in words.
    tables : tuple of PageTable
        Tables of its own, before those of its files.
    ways : tuple of pair of str
        How the memory got where it was.
    workload : str
        What was run.
    """

    first: FirstPage
    title: str = ""
    verdicts: tuple[str, ...] = ()
    tables: tuple[PageTable, ...] = ()
    ways: tuple[tuple[str, str], ...] = ()
    workload: str = ""
    names: Mapping[str, str] = field(default_factory=dict)


def render_study(
    study: StudyResults, parts: PageParts, svgs: Mapping[str, str], frames: Mapping[str, pd.DataFrame]
) -> str:
    """Make the page.

    Parameters
    ----------
    study : StudyResults
        The study.
    parts : PageParts
        What its kind adds.
    svgs : mapping of str to str
        The text of each figure's SVG file, by stem.
    frames : mapping of str to DataFrame
        The tables that are files, too, by stem.
    """
    planned = max(study.run.points or 0, len(study.records))
    ok = study.measured_count
    return render_template(
        "study.html.j2",
        run=study.run,
        title=parts.title or TITLES.get(study.name, study.name),
        first=parts.first,
        labels=study.labels,
        functional_only=FUNCTIONAL_ONLY,
        lab_plugin=LAB_PLUGIN,
        counts={"planned": planned, "ok": ok, "unfinished": planned - len(study.records)},
        verdicts=parts.verdicts,
        figures=[_figure(stem, svg, study) for stem, svg in svgs.items()] if ok else [],
        tables=[*parts.tables, *(table for stem, frame in frames.items() for table in _tables(stem, frame))],
        ways=parts.ways,
        failed=[_failure(record, parts.names) for record in study.not_ok[:_MOST_FAILURES]],
        method=METHODS.get(study.name, ""),
        command=command_of(study),
        workload=parts.workload,
        facts=_facts(study),
    )


def _figure(stem: str, svg: str, study: StudyResults) -> dict[str, Any]:
    caption = next((text for name, text in CAPTIONS.items() if stem.startswith(name)), "")
    spoken = ". ".join([stem.replace("_", " "), *study.labels, caption])
    # Safe: matplotlib escapes the text it draws, and inline_svg escapes the description.
    return {"stem": stem, "caption": caption, "svg": Markup(figures.inline_svg(svg, stem, spoken))}


def _tables(stem: str, frame: pd.DataFrame) -> list[PageTable]:
    """A table of a file; one that is wider than a sheet in parts, each with the columns that name a row."""
    keys = [name for name in frame.index.names if name is not None]
    flat = frame.reset_index() if keys else frame
    keys = keys or list(flat.columns[:1])
    rest = [name for name in flat.columns if name not in keys]
    parts = [rest[start : start + _MOST_COLUMNS] for start in range(0, len(rest), _MOST_COLUMNS)]
    title = stem.replace("_", " ").capitalize()
    found = []
    for number, names in enumerate(parts if len(frame) else (), 1):
        part = flat[[*keys, *names]]
        heads = tuple((str(name).replace("_", " "), _is_numeric(part[name])) for name in part)
        rows = tuple(tuple(map(_cell, row)) for row in part.itertuples(index=False))
        count = f", part {number} of {len(parts)}" if len(parts) > 1 else ""
        note = f"With every digit: {stem}.csv." if number == len(parts) else ""
        found.append(PageTable(f"{title}{count}", heads, rows, note))
    return found


def _is_numeric(column: pd.Series[Any]) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _cell(value: object) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float):
        return digits(value, 4)
    return f"{value:,}" if isinstance(value, int) else str(value)


def _failure(record: PointRecord, names: Mapping[str, str]) -> tuple[str, str, str]:
    given = msgspec.to_builtins(record.parameters)
    shown = ("placer", "behaviour", "pattern", "operation", "read_percent", "stores", "cpu_node")
    words = " ".join(f"{name} {given[name]}" for name in shown if name in given)
    what = names.get(record.point_id) or words or record.kind
    return what, record.status, record.reason or "no reason recorded"


def command_of(study: StudyResults) -> str:
    """The command that measures the same again."""
    words = ["hmexp", *COMMANDS.get(study.name, (study.name,))]
    given = dict(study.run.parameters)
    program = shlex.split(str(given.pop("command", "none") or "none"))
    if study.name == "predict":
        # One way for all.
        given.pop("ways", None)
    if study.name == "program":
        words.append(str(given.pop("workload", "")))
    for name, value in given.items():
        if name in ("results", "run") or value is None or (name == "workload" and value == "none"):
            continue
        values: Sequence[object] = list(value) if isinstance(value, list | tuple) else [value]
        words += [f"--{name.replace('_', '-')}", *map(str, values)]
    return shlex.join([*words, "--", *program] if program != ["none"] else words)


def _facts(study: StudyResults) -> Iterable[tuple[str, str]]:
    found: dict[str, Any] = msgspec.to_builtins(study.run.provenance) or {}
    nodes = [(f"node {n.id}", f"{n.kind}, {format_size(n.total_bytes or 0)}") for n in study.run.nodes]
    return [*nodes, *flatten(found)]
