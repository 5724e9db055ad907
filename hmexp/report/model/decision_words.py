"""A decision in words: the question, the verdict and why, what the ratio keeps and costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from hmexp.measure.need import Requirement
from hmexp.measure.statistics import TOO_FEW
from hmexp.report.model.decision import Decision
from hmexp.report.model.judgement import Answer, JudgedRatio
from hmexp.report.model.needs import name_of
from hmexp.report.run.numbers import digits
from hmexp.report.run.point import Estimate, short_pattern
from hmexp.report.run.results import Results
from hmexp.units import GIB, format_size

_MOST_NAMES: Final = 3


def say_question(decision: Decision, results: Results) -> str:
    """The question in a sentence."""
    asked = decision.question
    prices, capacity = asked.prices, asked.capacity_bytes
    ratio = f"ratio of DRAM to {results.slow_name} pages"
    subject = (
        f"Which is the cheapest {ratio} that" if prices is not None else f"Which {ratio} with the least DRAM"
    )
    text = f"{subject} keeps {_join(_grouped(decision.needs), '; ') or 'what all DRAM does'}"
    if capacity is not None:
        text += f", for {say_size(capacity)} of memory"
    if prices is not None:
        text += f", at {prices.say(prices.dram)} per GiB of DRAM and {prices.say(prices.slow)} of "
        text += "slow memory" if results.slow_name == "slow" else results.slow_name
    return text + "?"


def _grouped(needs: Sequence[Requirement]) -> list[str]:
    """Needs with the same limit in one phrase."""
    groups: dict[tuple[bool, float, str], list[str]] = {}
    for need in needs:
        groups.setdefault((need.is_latency, need.limit, need.unit), []).append(name_of(need.of))
    said = []
    for (latency, limit, unit), names in groups.items():
        what = _join(names) + ("" if latency else " bandwidth")
        sense = "at most" if latency else "at least"
        if unit != "x":
            said.append(f"{sense} {limit:g} {unit} of {what}")
        elif latency:
            said.append(f"{sense} {limit:g} times all DRAM’s {what}")
        else:
            said.append(f"{sense} {limit * 100:g} % of all DRAM’s {what}")
    return said


def say_verdict(decision: Decision, results: Results) -> tuple[str, str]:
    """The verdict, and why, in a sentence or two each."""
    return {"yes": _say_yes, "no": _say_no, "cannot say": _say_nothing}[decision.verdict](decision, results)


def _emulated(results: Results) -> str:
    return ", on the emulated machine" if results.emulated else ""


def _say_yes(decision: Decision, results: Results) -> tuple[str, str]:
    row = decision.chosen
    assert row is not None
    best = "is the cheapest" if decision.question.prices is not None else "has the least DRAM"
    why = f"It {best} of the measured ratios that keep every need with their whole 95 % interval."
    if decision.open_rows:
        names = _join([name_row(r, results) for r in decision.open_rows[:_MOST_NAMES]])
        why += f" {names} would take less DRAM, but {_doubt(decision.open_rows[0], decision)}."
    return f"Yes{_emulated(results)}: set {name_row(row, results)}.", why


def _say_no(decision: Decision, results: Results) -> tuple[str, str]:
    prices, row = decision.question.prices, decision.shown
    if prices is not None and prices.slow >= prices.dram:
        return (
            "No: stay with all DRAM.",
            f"At these prices {results.slow_name} memory costs no less than DRAM: no ratio saves anything.",
        )
    dram = decision.dram
    stay = " Stay with all DRAM." if dram is not None and dram.mark == "kept" else ""
    if dram is not None and dram.mark == "not kept":
        stay = " Nor does all DRAM."
    assert row is not None
    missed = [
        f"{name_of(c.need.of)} is {say_answer(a, c.need)}, where {c.need.limit_text} is needed"
        for a, c in zip(row.answers, row.columns, strict=True)
        if a.mark == "not kept"
    ]
    why = f"The closest is {name_row(row, results)}: {_join(missed)}."
    return f"No{_emulated(results)}: no measured ratio keeps every need.{stay}", why


def _say_nothing(decision: Decision, results: Results) -> tuple[str, str]:
    if decision.why_not is not None:
        return "Cannot say.", f"{decision.why_not[0].upper()}{decision.why_not[1:]}."
    row = decision.open_rows[0]
    more = len(decision.open_rows) - 1
    others = f" The same is true of {more} other ratio{'s' if more > 1 else ''}." if more else ""
    name = name_row(row, results)
    remedy = (
        "More launches make intervals narrower" if row.mark == "inconclusive" else "Measure what is missing"
    )
    return "Cannot say.", (
        f"{name[0].upper()}{name[1:]} may keep every need, but {_doubt(row, decision)}; no other ratio does "
        f"for certain.{others} {remedy}."
    )


def _doubt(row: JudgedRatio, decision: Decision) -> str:
    """Why a ratio neither keeps the needs for certain, nor fails one."""
    for answer, column in zip(row.answers, decision.columns, strict=True):
        if answer.mark == "not measured":
            return f"its {name_of(column.need.of)} has no number ({answer.reason})"
    for answer, column in zip(row.answers, decision.columns, strict=True):
        if answer.mark == "inconclusive":
            value = say_answer(answer, column.need)
            return (
                f"the interval of its {name_of(column.need.of)}, {value}, spans {column.need.limit_text[2:]}"
            )
    return "not every need is decided"


def name_row(row: JudgedRatio, results: Results) -> str:
    """Name a ratio with its pattern."""
    pattern = f"(pattern {short_pattern(row.pattern)})"
    if row.share in (0.0, 1.0):
        return f"all {'DRAM' if row.share else results.slow_name} {pattern}"
    return f"DRAM:{results.slow_name} {row.ratio} {pattern}"


def say_answer(answer: Answer, need: Requirement) -> str:
    """A value with its interval: `84.4 % [84.0, 84.9]`, `1.50× [1.49, 1.51]`."""
    value = answer.value
    if value is None:
        return answer.reason or "not measured"
    return f"{say_median(value, need)} {say_interval(value, need)}"


def say_median(value: Estimate, need: Requirement) -> str:
    """A value alone."""
    if need.unit != "x":
        return f"{digits(value.median)} {need.unit}"
    return f"{value.median:.2f} ×" if need.is_latency else f"{value.median * 100:.1f} %"


def say_interval(value: Estimate, need: Requirement) -> str:
    """Its 95 % interval; none of a value that is compared with itself."""
    if value.low == value.high:
        return ""
    if value.says_nothing:
        return TOO_FEW
    if need.unit != "x":
        return f"[{digits(value.low, 4)}, {digits(value.high, 4)}]"
    if need.is_latency:
        return f"[{value.low:.3f}, {value.high:.3f}]"
    return f"[{value.low * 100:.1f}, {value.high * 100:.1f}]"


def say_money(decision: Decision, row: JudgedRatio, results: Results) -> list[str]:
    """What a ratio costs beside all DRAM; nothing without prices or a capacity."""
    prices, capacity = decision.question.prices, decision.question.capacity_bytes
    said = []
    if capacity is not None:
        fast = round(row.share * capacity)
        said.append(
            f"{say_size(capacity)} of memory: {say_size(fast)} of DRAM and {say_size(capacity - fast)} of "
            f"{results.slow_name}."
        )
    if prices is None:
        return said
    amount = 1.0 if capacity is None else capacity / GIB
    unit = " per GiB" if capacity is None else ""
    full, cost = prices.dram * amount, prices.of(row.share) * amount
    saving = 1 - cost / full
    said.append(
        f"{prices.say(cost)}{unit} instead of {prices.say(full)}: "
        + (
            f"{prices.say(full - cost)}{unit} saved, {saving * 100:.0f} %."
            if saving > 0
            else f"nothing saved, {prices.say(cost - full)}{unit} more."
        )
    )
    return said


def say_size(size_bytes: int) -> str:
    """Write a size with a space before its unit."""
    text = format_size(size_bytes)
    number = text.rstrip("BKMGTi")
    return f"{number} {text[len(number) :]}"


def _join(parts: Iterable[str], comma: str = ", ") -> str:
    every = [part for part in parts if part]
    return " and ".join([comma.join(every[:-1]), every[-1]] if len(every) > 1 else every)
