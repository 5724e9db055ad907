"""What the pages of studies over a program add: metrics, ways, every launch."""

from __future__ import annotations

from typing import Final

import msgspec

from hmexp.report.page.study import PageParts, PageTable
from hmexp.report.run.numbers import MISSING, digits
from hmexp.report.study.first.prediction import prediction_page
from hmexp.report.study.first.program import program_page
from hmexp.report.study.first.redis import redis_page
from hmexp.report.study.prediction import say_prediction
from hmexp.report.study.program import ProgramReading, readings_of, say_pattern
from hmexp.report.study.program_verdict import verdicts as say_verdicts
from hmexp.report.study.redis_verdict import redis_verdicts
from hmexp.report.study.results import StudyResults
from hmexp.store.program_points import ProgramLaunch, ProgramPoint
from hmexp.store.program_records import PlacementSample
from hmexp.store.records import PointRecord

_HEADS: Final = (
    ("metric", False), ("way", False), ("pattern", False), ("DRAM:slow", False), ("median", True),
    ("95 % interval", True), ("of all DRAM", True), ("interval", True), ("launches", True),
    ("client CPU", True), ("elsewhere", True),
)  # fmt: skip
_LAUNCH_HEADS: Final = ("point", "launch", "metrics", "steps [s]", "pages before", "pages after", "end")


_METRICS: Final = (
    "Median over launches with its 95 % interval; * marks what others are compared with. “Of all DRAM” is "
    "the "
    "multiple of the same program with all its memory on DRAM (way {way}); its interval covers both. "
    "“Elsewhere” is the largest part of the pages that was not in its place when hmexp looked last."
)


def program_parts(study: StudyResults) -> PageParts:
    """What the page of a sweep over a program, a prediction or a Redis adds: metrics and every launch.

    Parameters
    ----------
    study : StudyResults
        The study.
    """
    readings = readings_of(study)
    points = [record.parameters for record in study.records if isinstance(record.parameters, ProgramPoint)]
    measured = {reading.record.point_id: reading for reading in readings}
    title = points[0].definition.title if points else "a program"
    if study.name == "redis":
        first, verdicts = redis_page(study), redis_verdicts(study)
    elif study.name == "predict":
        first, verdicts = prediction_page(study, title), say_prediction(study)
    else:
        first, verdicts = program_page(study, title), say_verdicts(study)
    way = next((each.way_taken for each in readings if each.is_baseline), MISSING)
    launches = tuple(row for reading in measured.values() for row in _launch_rows(reading))
    tables = (
        PageTable("Metrics", _HEADS, tuple(map(_cells, readings)), _METRICS.format(way=way)),
        PageTable("Every launch", tuple((head, False) for head in _LAUNCH_HEADS), launches),
    )
    return PageParts(
        first,
        title="" if study.name == "redis" else title,
        verdicts=tuple(verdicts),
        tables=tables if readings else (),
        ways=tuple(
            sorted({launch.run.way: launch.run.why for r in readings for launch in r.launches}.items())
        ),
        workload=msgspec.json.format(msgspec.json.encode(points[0].definition), indent=2).decode()
        if points
        else "",
        names={record.point_id: say_point(record) for record in study.records},
    )


def say_point(record: PointRecord) -> str:
    """A program's point, for people."""
    point = record.parameters
    if not isinstance(point, ProgramPoint):
        return record.kind
    return f"{point.workload} on {say_pattern(point)} by {point.way}"


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
    end = run.signal or ("end not recorded" if run.status is None else f"status {run.status}")
    return f"{end}{cpu}{moved}"
