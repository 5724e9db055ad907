"""Each ratio against each need.

A ratio is judged by the worst of its points: it keeps a need if it does so with every number of threads, size
and granule that was measured, by the whole 95 % interval. What an interval spans is inconclusive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from hmexp.measure.need import Outcome, Requirement
from hmexp.report.model.advice import baseline
from hmexp.report.model.needs import measured
from hmexp.report.run.point import Estimate, Point
from hmexp.report.run.results import Results
from hmexp.report.run.wording import say_series

Mark = Literal["kept", "not kept", "inconclusive", "not measured"]
_WORST: Final[dict[Mark, int]] = {"not kept": 0, "not measured": 1, "inconclusive": 2, "kept": 3}


@dataclass(frozen=True)
class Answer:
    """What one ratio does for one need, or for an operation of which nothing is needed.

    Parameters
    ----------
    mark : str or None
        None if nothing is needed.
    value : Estimate or None
        Of the worst point: a multiple of all DRAM's, or in `unit`.
    unit : str
        ``x``, ``GB/s`` or ``ns``.
    where : str
        Parameters of that point, where they vary.
    reason : str
        Why there is no value.
    """

    mark: Mark | None
    value: Estimate | None
    unit: str
    where: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Criterion:
    """A need, or an operation of which nothing is needed but that is worth knowing."""

    need: Requirement
    required: bool


@dataclass(frozen=True)
class JudgedRatio:
    """A ratio: one pattern, with an answer for each column."""

    ratio: str
    pattern: str
    share: float
    answers: tuple[Answer, ...]
    columns: tuple[Criterion, ...] = field(repr=False, default=())

    @property
    def required(self) -> tuple[Answer, ...]:
        """The answers to needs."""
        return tuple(a for a, c in zip(self.answers, self.columns, strict=True) if c.required)

    @property
    def mark(self) -> Mark:
        """Over all needs: kept only if each is."""
        return min((a.mark for a in self.required if a.mark is not None), key=_WORST.__getitem__)


def margin(need: Requirement, value: Estimate) -> float:
    """How far a value is from a limit, as a quotient: above 1 it is on the right side."""
    quotient = value.median / need.limit
    return 1 / quotient if need.is_latency and quotient > 0 else quotient


def judge(results: Results, columns: tuple[Criterion, ...]) -> tuple[JudgedRatio, ...]:
    """Judge every ratio that was asked for, from all DRAM down."""
    asked = [p for p in results.points if p.operation and p.ratio is not None]
    shares = {p.pattern: (p.ratio or "", _share(p)) for p in asked}
    names = {op: results.varying(results.select(op, ok_only=False)) for op in results.operations}
    mine: dict[str, list[Point]] = {}
    for point in asked:
        mine.setdefault(point.pattern, []).append(point)
    rows = []
    for pattern, (ratio, share) in shares.items():
        # All DRAM may be there only to be compared with.
        held = ([p for p in mine[pattern] if c.need.holds(p.operation)] for c in columns)
        answers = tuple(_answer(p, c, results, names) for p, c in zip(held, columns, strict=True))
        rows.append(JudgedRatio(ratio, pattern, share, answers, columns))
    return tuple(sorted(rows, key=lambda row: (-row.share, row.pattern)))


def _share(point: Point) -> float:
    """By the pattern: a point that failed may have no share of its own."""
    if point.dram_share is not None and point.dram_share in (0.0, 1.0):
        return point.dram_share
    fast, slow = (int(part) for part in (point.ratio or "0:1").split(":"))
    return fast / (fast + slow)


def _answer(
    points: Sequence[Point], column: Criterion, results: Results, names: Mapping[str, Sequence[str]]
) -> Answer:
    """The worst of a ratio's points for one need; `names` are what tells points of an operation apart."""
    unit = column.need.unit
    if not points:
        reason = "not in this run" if results.run.search is None else "left out by the search"
        return Answer("not measured" if column.required else None, None, unit, reason=reason)
    worst, answer = min(
        ((point, _single(point, column, results)) for point in points),
        key=lambda pair: _badness(pair[1], column.need),
    )
    where = say_series(worst.series, names[points[0].operation])
    if any(point.operation != points[0].operation for point in points):
        where = ", ".join(filter(None, (worst.operation.replace("_", " "), where)))
    return Answer(answer.mark, answer.value, answer.unit, where, answer.reason)


def _single(point: Point, column: Criterion, results: Results) -> Answer:
    need = column.need
    if not point.ok:
        mark: Mark | None = "not measured" if column.required else None
        return Answer(mark, None, need.unit, reason=f"{point.status}: {point.why}")
    if not results.timing_valid:
        mark = "not measured" if column.required else None
        return Answer(mark, None, need.unit, reason="timings mean nothing")
    value = measured(need, point, baseline(results.peers(point)))
    if value is None:
        mark = "not measured" if column.required else None
        return Answer(mark, None, need.unit, reason="all DRAM was not measured")
    outcome: Outcome = need.judge(value.low, value.high)
    return Answer(outcome if column.required else None, value, need.unit)


def _badness(answer: Answer, need: Requirement) -> tuple[int, float]:
    rank = 3 if answer.mark is None else _WORST[answer.mark]
    return rank, margin(need, answer.value) if answer.value is not None else -1.0
