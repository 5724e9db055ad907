"""A sweep over a program as the report sees it: each metric of each point, beside that on DRAM alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, Literal

import pandas as pd

from hmexp.pattern import Pattern
from hmexp.report.run.point import Estimate
from hmexp.report.study.results import StudyResults
from hmexp.store.program_points import MetricValues, ProgramLaunch, ProgramPoint, ProgramResult
from hmexp.store.records import PointRecord

_COLUMNS: Final = (
    "workload", "way", "way_taken", "pattern", "ratio", "dram_share", "metric", "unit", "better", "launches",
    "median", "ci_low", "ci_high", "of_dram", "of_dram_low", "of_dram_high", "speed", "client_busy",
    "misplaced_share", "moved_pages", "status", "reason",
)  # fmt: skip


@dataclass(frozen=True)
class ProgramReading:
    """One metric of one point.

    Parameters
    ----------
    point : ProgramPoint
        What was measured.
    record : PointRecord
        Its record.
    metric : MetricValues
        What was read off its launches.
    launches : tuple of ProgramLaunch
        The launches.
    dram_share : float or None
        Part of the pages on DRAM: the pattern's, or where there is none, what was found.
    ratio : str or None
        DRAM:slow of the pattern.
    of_dram : Estimate or None
        The metric as a multiple of that on DRAM alone; None if that was not measured.
    has_interval : bool
        Whether `of_dram` has an interval: both have several launches.
    """

    point: ProgramPoint
    record: PointRecord
    metric: MetricValues
    launches: tuple[ProgramLaunch, ...]
    dram_share: float | None
    ratio: str | None
    of_dram: Estimate | None = None
    has_interval: bool = False

    @property
    def is_baseline(self) -> bool:
        """Whether others are compared with it."""
        return self.record.baseline_id is None

    @property
    def way_taken(self) -> str:
        """The ways that its launches took."""
        return ", ".join(dict.fromkeys(launch.run.way for launch in self.launches))

    @property
    def way(self) -> str:
        """The way that was asked for, with the one that was taken if that was left to hmexp."""
        asked = self.point.way
        return asked if asked == self.way_taken else f"{asked}: {self.way_taken}"

    @property
    def speed(self) -> Estimate | None:
        """How fast it is beside DRAM alone, whichever way is better: 1 is as fast, below is slower."""
        found = self.of_dram
        if found is None or self.metric.better == "higher":
            return found
        return Estimate(1 / found.median, 1 / found.high, 1 / found.low)

    @property
    def client_busy(self) -> float | None:
        """Part of the time of its threads that the client used a CPU; the largest of the launches."""
        return max((each.client.busy for each in self.launches if each.client is not None), default=None)

    @property
    def misplaced_share(self) -> float | None:
        """Part of the pages that were elsewhere at the end of the window; the largest of the launches."""
        last = [each.after for each in self.launches if each.after is not None and self.point.pattern]
        shares = [found.misplaced / max(1, found.in_place + found.misplaced) for found in last]
        return max(shares, default=None)

    @property
    def moved_pages(self) -> float | None:
        """Pages that following moved; the median of the launches."""
        moved = [each.run.following.page_moves for each in self.launches if each.run.following is not None]
        return median(moved) if moved else None


def readings_of(study: StudyResults) -> list[ProgramReading]:
    """Every metric of every point that was measured: by metric, way, and from all DRAM down."""
    known = {record.point_id: result for _, result, record in study.measured(ProgramPoint, ProgramResult)}
    found = [
        _read(point, result, record, number, known, study)
        for point, result, record in study.measured(ProgramPoint, ProgramResult)
        for number in range(len(result.metrics))
    ]
    order = list(dict.fromkeys(reading.metric.name for reading in found))
    return sorted(found, key=lambda r: (order.index(r.metric.name), r.way, -(r.dram_share or 0.0)))


def programs_frame(study: StudyResults) -> pd.DataFrame:
    """Make a row for each metric of each point, and one for each point without a number."""
    rows = [_row(reading) for reading in readings_of(study)]
    rows += [_failed_row(record) for record in study.not_ok if isinstance(record.parameters, ProgramPoint)]
    return pd.DataFrame(rows, columns=list(_COLUMNS)).set_index(["workload", "way", "pattern", "metric"])


def primary(readings: Sequence[ProgramReading]) -> list[ProgramReading]:
    """The readings of the metric that decides."""
    return [each for each in readings if each.metric.name == readings[0].metric.name]


def say_pattern(point: ProgramPoint) -> str:
    """The pattern of a point, for people."""
    return point.pattern or "none"


def _read(
    point: ProgramPoint,
    result: ProgramResult,
    record: PointRecord,
    number: int,
    known: Mapping[str, ProgramResult],
    study: StudyResults,
) -> ProgramReading:
    metric = result.metrics[number]
    base = known.get(record.baseline_id or record.point_id)
    of_dram, has_interval = None, False
    if base is not None and len(base.metrics) > number:
        of_dram, has_interval = _divide(metric, base.metrics[number], same=record.baseline_id is None)
    share, ratio = find_share(point, result.launches, study.run.dram_nodes)
    return ProgramReading(point, record, metric, result.launches, share, ratio, of_dram, has_interval)


def _divide(mine: MetricValues, base: MetricValues, *, same: bool) -> tuple[Estimate | None, bool]:
    """One metric as a multiple of another; the intervals of two that vary apart from each other."""
    if min(*mine.samples, *base.samples) <= 0:
        return None, False
    quotient = mine.median / base.median
    if same:
        return Estimate(1.0, 1.0, 1.0), False
    if None in (mine.ci_low, base.ci_low):
        return Estimate(quotient, quotient, quotient), False
    reach = math.exp(math.hypot(*(_reach(metric) for metric in (mine, base))))
    return Estimate(quotient, quotient / reach, quotient * reach), True


def _reach(metric: MetricValues) -> float:
    """Half the width of the interval [natural logarithm]."""
    assert metric.ci_low is not None and metric.ci_high is not None
    return math.log(metric.ci_high / metric.ci_low) / 2


def find_share(
    point: ProgramPoint, launches: Sequence[ProgramLaunch], dram: Iterable[int]
) -> tuple[float | None, str | None]:
    """The share of DRAM of a program's pages, and its ratio: the pattern's, or the share that was found."""
    dram = set(dram)
    if point.pattern is not None:
        pattern = Pattern.parse(point.pattern)
        counts = pattern.ratio()
        fast = sum(count for node, count in counts.items() if node in dram)
        slow = sum(counts.values()) - fast
        divisor = math.gcd(fast, slow)
        return pattern.share(dram), f"{fast // divisor}:{slow // divisor}"
    shares = []
    for launch in launches:
        pages = {} if launch.after is None else launch.after.anonymous_by_node
        if sum(pages.values()):
            shares.append(sum(n for node, n in pages.items() if node in dram) / sum(pages.values()))
    return (median(shares) if shares else None), None


def _row(reading: ProgramReading) -> tuple[object, ...]:
    metric, of_dram, speed = reading.metric, reading.of_dram, reading.speed
    known = of_dram if reading.has_interval else None
    return (
        reading.point.workload, reading.point.way, reading.way_taken, say_pattern(reading.point),
        reading.ratio, reading.dram_share, metric.name, metric.unit, metric.better, len(metric.samples),
        metric.median, metric.ci_low, metric.ci_high, None if of_dram is None else of_dram.median,
        None if known is None else known.low, None if known is None else known.high,
        None if speed is None else speed.median, reading.client_busy, reading.misplaced_share,
        reading.moved_pages, "ok", None,
    )  # fmt: skip


def _failed_row(record: PointRecord) -> tuple[object, ...]:
    point = record.parameters
    assert isinstance(point, ProgramPoint)
    status: Literal["ok", "failed", "skipped"] = record.status
    given = (point.workload, point.way, None, say_pattern(point))
    return (*given, *[None] * (len(_COLUMNS) - len(given) - 2), status, record.reason)
