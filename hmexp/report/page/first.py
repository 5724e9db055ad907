"""The first page of a report: a question, a verdict, what it keeps and costs, and how far to trust it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from hmexp.report.model.decision import Decision
from hmexp.report.model.decision_words import (
    name_row,
    say_interval,
    say_median,
    say_money,
    say_question,
    say_size,
    say_verdict,
)
from hmexp.report.model.judgement import Answer, Criterion, JudgedRatio
from hmexp.report.model.needs import head_of, name_of
from hmexp.report.model.trust import Ground, grounds
from hmexp.report.run.point import short_pattern
from hmexp.report.run.results import Results
from hmexp.units import GIB

#: Of a mark: a sign that needs no colour.
SIGNS: Final = {"kept": "✓", "not kept": "✗", "inconclusive": "?", "not measured": "–", None: ""}
_CLASSES: Final = {"kept": "yes", "not kept": "no", "inconclusive": "open", "not measured": "open", None: ""}
#: Rows that a person would read.
MOST_ROWS: Final = 40
#: So many to each side of the ratio that the page speaks of are printed: it stays one sheet.
_PRINTED_ASIDE: Final = 2


@dataclass(frozen=True)
class Kept:
    """What the ratio of the page keeps of one operation."""

    name: str
    value: str
    interval: str
    mark: str | None
    sign: str
    css: str
    limit: str
    where: str
    reason: str


@dataclass(frozen=True)
class AnswerLine:
    """A row of the table."""

    ratio: str
    pattern: str
    chosen: bool
    far: bool
    money: tuple[str, ...]
    mark: str
    sign: str
    css: str
    cells: tuple[Kept, ...]


@dataclass(frozen=True)
class FirstPage:
    """Everything that the first page says, as text."""

    question: str
    verdict: str
    why: str
    css: str
    subject: str
    kept: tuple[Kept, ...]
    money: tuple[str, ...]
    trust: tuple[Ground, ...]
    heads: tuple[str, ...]
    money_heads: tuple[str, ...]
    lines: tuple[AnswerLine, ...]
    hidden: int
    several: bool


def first_page(decision: Decision, results: Results) -> FirstPage:
    """Put a decision into words."""
    verdict, why = say_verdict(decision, results)
    row = None if decision.why_not is not None else decision.shown
    rows = _rows(decision)
    return FirstPage(
        question=say_question(decision, results),
        verdict=verdict,
        why=why,
        css={"yes": "good", "no": "bad", "cannot say": "warn"}[decision.verdict],
        subject="" if row is None else name_row(row, results),
        kept=() if row is None else _cells(row, decision),
        money=() if row is None else tuple(say_money(decision, row, results)),
        trust=grounds(results),
        heads=tuple(
            head_of(column.need) if column.required else name_of(column.need.of)
            for column in decision.columns
        ),
        money_heads=_money_heads(decision),
        lines=tuple(_line(row, decision, far=_is_far(row, rows, decision)) for row in rows),
        hidden=len(decision.rows) - len(rows),
        several=any(answer.where for row in rows for answer in row.answers),
    )


def _rows(decision: Decision) -> tuple[JudgedRatio, ...]:
    """All rows, or of many those that decide: around the one that the page speaks of."""
    rows = decision.rows
    if len(rows) <= MOST_ROWS or decision.shown is None:
        return rows[:MOST_ROWS]
    start = max(0, min(rows.index(decision.shown) - MOST_ROWS // 2, len(rows) - MOST_ROWS))
    return rows[start : start + MOST_ROWS]


def _cells(row: JudgedRatio, decision: Decision) -> tuple[Kept, ...]:
    return tuple(_cell(answer, column) for answer, column in zip(row.answers, decision.columns, strict=True))


def _cell(answer: Answer, column: Criterion) -> Kept:
    value, need = answer.value, column.need
    return Kept(
        name=name_of(need.of),
        value="" if value is None else say_median(value, need),
        interval="" if value is None else say_interval(value, need),
        mark=answer.mark,
        sign=SIGNS[answer.mark],
        css=_CLASSES[answer.mark],
        limit=need.limit_text if column.required else "",
        where=answer.where,
        reason=answer.reason,
    )


def _is_far(row: JudgedRatio, rows: Sequence[JudgedRatio], decision: Decision) -> bool:
    """True if a row is not printed: far from the ratio that the page speaks of, and not all DRAM."""
    middle = rows.index(decision.shown) if decision.shown in rows else 0
    least = max(0, min(middle - _PRINTED_ASIDE, len(rows) - 2 * _PRINTED_ASIDE - 1))
    return row.share < 1 and not least <= rows.index(row) <= least + 2 * _PRINTED_ASIDE


def _line(row: JudgedRatio, decision: Decision, *, far: bool) -> AnswerLine:
    mark = row.mark if any(column.required for column in decision.columns) else "not measured"
    return AnswerLine(
        ratio=row.ratio,
        pattern=short_pattern(row.pattern),
        chosen=row is decision.chosen,
        far=far,
        money=_money(row, decision),
        mark=mark,
        sign=SIGNS[mark],
        css=_CLASSES[mark],
        cells=_cells(row, decision),
    )


def _money_heads(decision: Decision) -> tuple[str, ...]:
    prices, capacity = decision.question.prices, decision.question.capacity_bytes
    heads = () if capacity is None else ("DRAM needed",)
    if prices is None:
        return heads
    return (*heads, "price per GiB" if capacity is None else f"price of {say_size(capacity)}", "saving")


def _money(row: JudgedRatio, decision: Decision) -> tuple[str, ...]:
    prices, capacity = decision.question.prices, decision.question.capacity_bytes
    cells = () if capacity is None else (say_size(round(row.share * capacity)),)
    if prices is None:
        return cells
    amount = 1.0 if capacity is None else capacity / GIB
    saving = 1 - prices.of(row.share) / prices.dram
    return (*cells, prices.say(prices.of(row.share) * amount), f"{saving * 100:.0f} %".replace("-", "−"))


def to_json(decision: Decision, results: Results) -> dict[str, Any]:
    """The decision for programs: plain numbers where there are some."""
    page, prices = first_page(decision, results), decision.question.prices
    return {
        "question": page.question,
        "verdict": decision.verdict,
        "answer": page.verdict,
        "why": page.why,
        "ratio": None if decision.chosen is None else decision.chosen.ratio,
        "pattern": None if decision.chosen is None else decision.chosen.pattern,
        "trust": [{"level": g.level, "name": g.name, "text": g.text} for g in page.trust],
        "needs": [
            {
                "of": need.of, "limit": need.limit, "unit": need.unit,
                "better": "less" if need.is_latency else "more",
            }
            for need in decision.needs
        ],
        "ratios": [
            {
                "ratio": row.ratio, "pattern": row.pattern, "dram_share": row.share, "mark": row.mark,
                "price_per_gib": None if prices is None else prices.of(row.share),
                "answers": [_answer_json(a, c) for a, c in zip(row.answers, decision.columns, strict=True)],
            }
            for row in decision.rows
        ],
    }  # fmt: skip


def _answer_json(answer: Answer, column: Criterion) -> dict[str, Any]:
    value = answer.value
    return {
        "of": column.need.of,
        "mark": answer.mark,
        "unit": answer.unit,
        "median": None if value is None else value.median,
        "ci_low": None if value is None or value.says_nothing else value.low,
        "ci_high": None if value is None or value.says_nothing else value.high,
        "where": answer.where,
        "reason": answer.reason,
    }
