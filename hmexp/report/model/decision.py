"""Which ratio to set: each ratio against each need, and the cheapest that keeps them all.

A ratio is judged by the worst of its points: it keeps a need if it does so with every number of threads, size
and granule that was measured, by the whole 95 % interval. What an interval spans is inconclusive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal

from hmexp.measure.need import Outcome, Requirement
from hmexp.measure.quantity import is_loaded
from hmexp.report.model.advice import baseline
from hmexp.report.model.needs import measured, require_measured, usual_needs
from hmexp.report.model.prices import Prices
from hmexp.report.model.question import Question, question_of
from hmexp.report.run.point import Estimate, Point
from hmexp.report.run.results import Results
from hmexp.report.run.wording import say_series

Mark = Literal["kept", "not kept", "inconclusive", "not measured"]
Verdict = Literal["yes", "no", "cannot say"]
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


@dataclass(frozen=True)
class Decision:
    """The verdict on a question, and what it rests on."""

    question: Question
    columns: tuple[Criterion, ...]
    rows: tuple[JudgedRatio, ...]
    verdict: Verdict
    chosen: JudgedRatio | None
    #: Why nothing can be said of the run as a whole.
    why_not: str | None = None

    @property
    def needs(self) -> tuple[Requirement, ...]:
        """What is required."""
        return tuple(column.need for column in self.columns if column.required)

    @cached_property
    def mixed(self) -> tuple[JudgedRatio, ...]:
        """The ratios with slow memory, from the cheapest up."""
        return tuple(sorted((row for row in self.rows if row.share < 1), key=self.cost))

    @property
    def dram(self) -> JudgedRatio | None:
        """All DRAM."""
        return next((row for row in self.rows if row.share == 1), None)

    @property
    def open_rows(self) -> tuple[JudgedRatio, ...]:
        """Ratios that may keep all needs, and are cheaper than the one that is chosen."""
        limit = float("inf") if self.chosen is None else self.cost(self.chosen)
        return tuple(
            r for r in self.mixed if r.mark in ("inconclusive", "not measured") and self.cost(r) < limit
        )

    @property
    def shown(self) -> JudgedRatio | None:
        """The ratio that the page speaks of: the chosen one, or the one that comes closest."""
        if self.chosen is not None:
            return self.chosen
        return max(self.mixed, key=_closeness, default=None)

    def cost(self, row: JudgedRatio) -> float:
        """Price per GiB, or the DRAM share where no price is given."""
        prices = self.question.prices
        return row.share if prices is None else prices.of(row.share)


def _closeness(row: JudgedRatio) -> tuple[int, float]:
    """How many needs are kept, then how far the worst is from its limit."""
    pairs = [(a, c.need) for a, c in zip(row.answers, row.columns, strict=True) if c.required]
    kept = sum(a.mark == "kept" for a, _ in pairs)
    margins = [_margin(need, answer.value) for answer, need in pairs if answer.value is not None]
    return kept, min(margins, default=0.0)


def _margin(need: Requirement, value: Estimate) -> float:
    quotient = value.median / need.limit
    return 1 / quotient if need.is_latency and quotient > 0 else quotient


def decide(results: Results, question: Question | None = None) -> Decision:
    """Answer a question from a run.

    Parameters
    ----------
    results : Results
        The whole run, not an excerpt.
    question : Question, optional
        What is needed, and prices.

    Raises
    ------
    ParameterError
        If a need is of an operation that the run has no point of.
    """
    asked = question_of(results.run, question)
    planned = dict.fromkeys(p.operation for p in results.points if p.operation)
    # A search leaves out what cannot change its answer, perhaps all points that a need is for.
    own = () if results.run.search is None else results.run.search.needs
    require_measured([need for need in asked.needs if str(need) not in own], tuple(planned))
    needs = asked.needs or usual_needs(results.ok, asked.keep)
    columns = (*(Criterion(need, True) for need in needs), *_further(needs, results))  # noqa: FBT003
    if not needs:
        return Decision(asked, (), (), "cannot say", None, _why_nothing(results))
    rows = _rows(results, columns)
    found = Decision(asked, columns, rows, "cannot say", None)
    why = _why_not(found, results)
    if why is not None:
        return Decision(asked, columns, rows, "cannot say", None, why)
    kept = [row for row in found.mixed if row.mark == "kept" and _saves(row, asked.prices)]
    if kept:
        return Decision(asked, columns, rows, "yes", kept[0])
    if any(row.mark != "not kept" and _saves(row, asked.prices) for row in found.mixed):
        return found
    return Decision(asked, columns, rows, "no", None)


def _saves(row: JudgedRatio, prices: Prices | None) -> bool:
    return prices is None or prices.of(row.share) < prices.dram


def _why_not(found: Decision, results: Results) -> str | None:
    """Why nothing can be said of a run as a whole; None if something can."""
    if not results.timing_valid:
        return "the run is functional only: its pages are real, its timings mean nothing"
    if not results.ok:
        return _why_nothing(results)
    if not found.mixed:
        return "the run has no ratio with slow memory"
    if all(need.unit == "x" for need in found.needs) and not any(p.share == 1 for p in results.ok):
        return "all DRAM was not measured: how a ratio compares with it is unknown"
    return None


def _why_nothing(results: Results) -> str:
    if results.ok:
        return "no bandwidth was measured, and no need was given for what was"
    return "no point was measured"


def _further(needs: Sequence[Requirement], results: Results) -> tuple[Criterion, ...]:
    """What was measured and is not needed: shown beside the needs, without a mark."""
    rest = [op for op in results.operations if not any(need.holds(op) for need in needs)]
    return tuple(Criterion(Requirement(op, 1.0, "x"), False) for op in rest if not is_loaded(op))  # noqa: FBT003


def _rows(results: Results, columns: tuple[Criterion, ...]) -> tuple[JudgedRatio, ...]:
    asked = [p for p in results.points if p.operation and p.ratio is not None]
    shares = {p.pattern: (p.ratio or "", _share(p)) for p in asked}
    rows = []
    for pattern, (ratio, share) in shares.items():
        mine = [p for p in asked if p.pattern == pattern]
        # All DRAM may be there only to be compared with.
        answers = tuple(_answer([p for p in mine if c.need.holds(p.operation)], c, results) for c in columns)
        rows.append(JudgedRatio(ratio, pattern, share, answers, columns))
    return tuple(sorted(rows, key=lambda row: (-row.share, row.pattern)))


def _share(point: Point) -> float:
    """By the pattern: a point that failed may have no share of its own."""
    if point.dram_share is not None and point.dram_share in (0.0, 1.0):
        return point.dram_share
    fast, slow = (int(part) for part in (point.ratio or "0:1").split(":"))
    return fast / (fast + slow)


def _answer(points: Sequence[Point], column: Criterion, results: Results) -> Answer:
    """The worst of a ratio's points for one need."""
    unit = column.need.unit
    if not points:
        reason = "not in this run" if results.run.search is None else "left out by the search"
        return Answer("not measured" if column.required else None, None, unit, reason=reason)
    names = results.varying(results.select(points[0].operation, ok_only=False))
    answers = [_single(point, column, results, names) for point in points]
    if any(point.operation != points[0].operation for point in points):
        answers = [_named(answer, point) for answer, point in zip(answers, points, strict=True)]
    return min(answers, key=lambda answer: _badness(answer, column.need))


def _named(answer: Answer, point: Point) -> Answer:
    where = ", ".join(filter(None, (point.operation.replace("_", " "), answer.where)))
    return Answer(answer.mark, answer.value, answer.unit, where, answer.reason)


def _single(point: Point, column: Criterion, results: Results, names: Sequence[str]) -> Answer:
    need, where = column.need, say_series(point.series, names)
    if not point.ok:
        mark: Mark | None = "not measured" if column.required else None
        return Answer(mark, None, need.unit, where, f"{point.status}: {point.why}")
    if not results.timing_valid:
        mark = "not measured" if column.required else None
        return Answer(mark, None, need.unit, where, "timings mean nothing")
    value = measured(need, point, baseline(results.peers(point)))
    if value is None:
        mark = "not measured" if column.required else None
        return Answer(mark, None, need.unit, where, "all DRAM was not measured")
    outcome: Outcome = need.judge(value.low, value.high)
    return Answer(outcome if column.required else None, value, need.unit, where)


def _badness(answer: Answer, need: Requirement) -> tuple[int, float]:
    rank = 3 if answer.mark is None else _WORST[answer.mark]
    return rank, _margin(need, answer.value) if answer.value is not None else -1.0
