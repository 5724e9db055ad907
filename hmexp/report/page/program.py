"""One file that says what a sweep over a program has found: its `report.html`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

import jinja2
import msgspec
from markupsafe import Markup

from hmexp.report.figures import gallery as figures
from hmexp.report.figures import style
from hmexp.report.page.html import flatten
from hmexp.report.run.numbers import MISSING, digits
from hmexp.report.study.prediction import say_prediction
from hmexp.report.study.program import ProgramReading, readings_of, say_pattern
from hmexp.report.study.program_verdict import answer, verdicts
from hmexp.report.study.results import StudyResults
from hmexp.store.program_points import ProgramLaunch, ProgramPoint
from hmexp.store.program_records import PlacementSample
from hmexp.store.records import PointRecord

_CAPTION: Final = (
    "Each panel is a metric as a multiple of that of the same program with all its memory on DRAM, against "
    "the share of its pages on DRAM. The line at 1 is as on DRAM alone."
)
_PREDICTED: Final = (
    "The time of the program as a multiple of that on DRAM alone, against the share of its pages on slow "
    "memory: the predicted curve with its 95 % band, the ratios that it is made of, and the one left out."
)
_HEADS: Final = (
    ("metric", False), ("way", False), ("pattern", False), ("DRAM:slow", False), ("median", True),
    ("95 % interval", True), ("of all DRAM", True), ("interval", True), ("launches", True),
    ("client CPU", True), ("elsewhere", True),
)  # fmt: skip
_LAUNCH_HEADS: Final = ("point", "launch", "metrics", "steps [s]", "pages before", "pages after", "end")


@dataclass(frozen=True)
class MetricRow:
    """A row of the table of metrics."""

    cells: tuple[str, ...]
    first: bool


def render_program(study: StudyResults, svg: str) -> str:
    """Make the page.

    Parameters
    ----------
    study : StudyResults
        The sweep over a program.
    svg : str
        The text of its figure's SVG file.
    """
    source = resources.files("hmexp.report.page").joinpath("program.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    readings = readings_of(study)
    points = [record.parameters for record in study.records if isinstance(record.parameters, ProgramPoint)]
    measured = {reading.record.point_id: reading for reading in readings}
    planned = max(study.run.points or 0, len(study.records))
    caption = _PREDICTED if study.name == "predict" else _CAPTION
    title = points[0].definition.title if points else "A program on hybrid memory"
    return environment.from_string(source).render(
        run=study.run,
        title=title,
        answer=None if study.name == "predict" else answer(study, title),
        dark_figures=style.dark_properties(),
        labels=study.labels,
        planned=planned,
        unfinished=planned - len(study.records),
        ok=len(measured),
        launches=sum(len(reading.launches) for reading in measured.values()),
        failed=[(say_point(record), record.status, record.reason or "") for record in study.not_ok],
        verdicts=say_prediction(study) if study.name == "predict" else verdicts(study),
        # Safe: matplotlib escapes the text it draws, and inline_svg escapes the description.
        svg=Markup(figures.inline_svg(svg, study.name, caption)) if readings else None,
        caption=caption,
        heads=_HEADS,
        rows=_rows(readings),
        baseline_way=next((each.way_taken for each in readings if each.is_baseline), MISSING),
        ways=sorted({launch.run.way: launch.run.why for r in readings for launch in r.launches}.items()),
        launch_heads=_LAUNCH_HEADS,
        launch_rows=[row for reading in measured.values() for row in _launch_rows(reading)],
        command=_command(study),
        workload=msgspec.json.format(msgspec.json.encode(points[0].definition), indent=2).decode()
        if points
        else "",
        facts=_facts(study),
    )


def say_point(record: PointRecord) -> str:
    """A program's point, for people."""
    point = record.parameters
    if not isinstance(point, ProgramPoint):
        return record.kind
    return f"{point.workload} on {say_pattern(point)} by {point.way}"


def _rows(readings: Sequence[ProgramReading]) -> list[MetricRow]:
    rows: list[MetricRow] = []
    last = None
    for reading in readings:
        metric = reading.metric
        rows.append(MetricRow(_cells(reading), metric.name != last))
        last = metric.name
    return rows


def _cells(reading: ProgramReading) -> tuple[str, ...]:
    metric, of_dram = reading.metric, reading.of_dram
    baseline = " *" if reading.is_baseline else ""
    interval = MISSING
    if metric.ci_low is not None and metric.ci_high is not None:
        interval = f"{digits(metric.ci_low, 4)} to {digits(metric.ci_high, 4)}"
    return (
        metric.name,
        reading.way + baseline,
        say_pattern(reading.point),
        reading.ratio or MISSING,
        f"{digits(metric.median, 4)} {metric.unit}",
        interval,
        MISSING if of_dram is None else f"{of_dram.median:.3f}",
        f"{of_dram.low:.3f} to {of_dram.high:.3f}" if of_dram and reading.has_interval else MISSING,
        str(len(metric.samples)),
        _percent(reading.client_busy),
        _percent(reading.misplaced_share, 2),
    )


def _percent(value: float | None, places: int = 0) -> str:
    return MISSING if value is None else f"{value:.{places}%}"


def _launch_rows(reading: ProgramReading) -> list[tuple[str, ...]]:
    result = reading.record.result
    metrics = getattr(result, "metrics", ())
    return [
        (
            say_point(reading.record),
            str(number),
            ", ".join(f"{m.name} {digits(m.samples[number], 4)} {m.unit}" for m in metrics),
            ", ".join(f"{name} {seconds:.2f}" for name, seconds in launch.phases.items()),
            _say_placement(launch.before),
            _say_placement(launch.after),
            _say_end(launch),
        )
        for number, launch in enumerate(reading.launches)
    ]


def _say_placement(found: PlacementSample | None) -> str:
    if found is None:
        return MISSING
    nodes = ", ".join(f"node {node}: {pages}" for node, pages in sorted(found.anonymous_by_node.items()))
    return f"{nodes}; {found.misplaced} elsewhere"


def _say_end(launch: ProgramLaunch) -> str:
    run = launch.run
    cpu = "" if run.usage is None else f", CPU {run.usage.user_seconds + run.usage.system_seconds:.2f} s"
    moved = "" if run.following is None else f", moved {run.following.page_moves} pages"
    return f"{run.signal or f'status {run.status}'}{cpu}{moved}"


def _command(study: StudyResults) -> str:
    """The command that measures the same again."""
    words = ["hmexp", study.name]
    given = dict(study.run.parameters)
    program = shlex.split(str(given.pop("command", "none")))
    if study.name == "predict":
        # One way for all.
        given.pop("ways", None)
    else:
        words.append(str(given.pop("workload", "")))
    for name, value in given.items():
        if name in ("results", "run") or value is None or (name == "workload" and value == "none"):
            continue
        values = list(value) if isinstance(value, tuple) else [value]
        words += [f"--{name.replace('_', '-')}", *map(str, values)]
    return shlex.join([*words, "--", *program] if program != ["none"] else words)


def _facts(study: StudyResults) -> list[tuple[str, str]]:
    found: dict[str, Any] = msgspec.to_builtins(study.run.provenance) or {}
    nodes = {f"node {node.id}": f"{node.kind}, {node.total_bytes or 0} bytes" for node in study.run.nodes}
    return [*nodes.items(), *flatten(found)]
