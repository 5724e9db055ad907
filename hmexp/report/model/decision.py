"""Which ratio to set: the cheapest that keeps every need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from hmexp.measure.need import Requirement
from hmexp.measure.quantity import is_loaded
from hmexp.report.model.judgement import Criterion, JudgedRatio, judge, margin
from hmexp.report.model.needs import require_measured, usual_needs
from hmexp.report.model.prices import Prices
from hmexp.report.model.question import Question, question_of
from hmexp.report.run.results import Results

Verdict = Literal["yes", "no", "cannot say"]


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
    margins = [margin(need, answer.value) for answer, need in pairs if answer.value is not None]
    return kept, min(margins, default=0.0)


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
    rows = judge(results, columns)
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
