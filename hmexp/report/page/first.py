"""The first page of a report: a question, a verdict, what it keeps and costs, and how far to trust it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from hmexp.report.model.decision import Decision, Verdict
from hmexp.report.model.decision_words import (
    name_row,
    say_interval,
    say_median,
    say_money,
    say_question,
    say_size,
    say_verdict,
)
from hmexp.report.model.first_page import MARKS, AnswerLine, Css, FirstPage, Kept
from hmexp.report.model.judgement import Answer, Criterion, JudgedRatio
from hmexp.report.model.needs import head_of, name_of
from hmexp.report.model.trust import grounds
from hmexp.report.run.point import short_pattern
from hmexp.report.run.results import Results
from hmexp.units import GIB

#: Rows that a person would read.
MOST_ROWS: Final = 40
#: So many to each side of the ratio that the page speaks of are printed: it stays one sheet.
_PRINTED_ASIDE: Final = 2
_CSS: Final[dict[Verdict, Css]] = {"yes": "good", "no": "bad", "cannot say": "warn"}


def first_page(decision: Decision, results: Results) -> FirstPage:
    """Put a decision into words."""
    verdict, why = say_verdict(decision, results)
    row = None if decision.why_not is not None else decision.shown
    rows = _rows(decision)
    lines = tuple(_line(row, decision, far=_is_far(row, rows, decision)) for row in rows)
    return FirstPage(
        question=say_question(decision, results),
        verdict=verdict,
        why=why,
        css=_CSS[decision.verdict],
        trust=grounds(results),
        cards_head="" if row is None else f"What {name_row(row, results)} keeps of all DRAM",
        cards=() if row is None else _cells(row, decision),
        said=() if row is None else tuple(say_money(decision, row, results)),
        table_head="Every ratio against every need",
        row_head=f"DRAM:{results.slow_name}",
        caption=". ".join(
            [
                "A row per ratio, a column per need; each is kept, not kept or inconclusive",
                *results.labels,
            ]
        ),
        fact_heads=_money_heads(decision),
        heads=tuple(
            head_of(column.need) if column.required else name_of(column.need.of)
            for column in decision.columns
        ),
        lines=lines,
        legend=tuple(_legend(decision, lines)),
    )


def _legend(decision: Decision, lines: Sequence[AnswerLine]) -> list[str]:
    found = [MARKS, "Shares of all DRAM have the widest interval that both measurements allow."]
    if any(cell.where for line in lines for cell in line.cells):
        found.append(
            "Each value is the worst of all parameters that were measured, which are named below it."
        )
    hidden = len(decision.rows) - len(lines)
    found += [f"{hidden} more ratios are in points.csv."] if hidden else []
    return [*found, "Only measured ratios are named."]


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
        limit=need.limit_text if column.required else "",
        where=answer.where,
        reason=answer.reason,
        note="no need given",
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
        mark=mark,
        cells=_cells(row, decision),
        facts=_money(row, decision),
        chosen=row is decision.chosen,
        far=far,
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
