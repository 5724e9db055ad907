"""The first page of the study of a Redis: may it live on hybrid memory, and with how little DRAM?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from hmexp.report.model.first_page import MARKS, AnswerLine, Css, FirstPage, Kept, worst_mark
from hmexp.report.model.trust import Ground
from hmexp.report.run.point import Estimate
from hmexp.report.study.first.common import (
    cannot_say,
    cell_of,
    growing,
    join,
    keeping,
    said_of,
    trust,
)
from hmexp.report.study.program import readings_of
from hmexp.report.study.program_verdict import KEEP, unproven
from hmexp.report.study.redis import LATENCIES, RedisCell, cells_of
from hmexp.report.study.redis_verdict import LITTLE, MUCH, unjudged_redis
from hmexp.report.study.results import StudyResults
from hmexp.units import format_size

_HEADS: Final = {"throughput": "throughput", "p50": "p50", "p99": "p99", "p99_9": "p99.9"}
_DECIDING: Final = ("throughput", "p99")


def redis_page(study: StudyResults, keep: float = KEEP) -> FirstPage:
    """Answer by the cells that read much, in the terms of hmexp's reason for being.

    Parameters
    ----------
    study : StudyResults
        The study.
    keep : float
        Part of the throughput that must be kept; the p99 may grow by its inverse.
    """
    question = (
        f"Does a Redis of {MUCH} % reads or more keep at least {keep:.0%} of its throughput on DRAM alone, "
        f"and a p99 of at most {1 / keep:.2f} times the p99 there, with a part of its memory slow, and with "
        "how little DRAM?"
    )
    cells = cells_of(study)
    grounds = trust(
        study,
        _grounds(study, cells),
        [_launches(cell) for cell in cells],
        "a Redis was run and timed on real memory",
    )
    reading = [cell for cell in cells if cell.read_percent >= MUCH and not cell.is_baseline]
    why_not = unjudged_redis(study)
    if why_not is None and not reading:
        why_not = f"nothing with {MUCH} % of reads or more was measured on slow memory"
    if why_not is not None:
        return cannot_say(study, question, why_not.removeprefix("No verdict: "), *grounds)
    lines = [_line(ratio, cells, keep) for ratio in dict.fromkeys(c.ratio for c in reading)]
    shares = {cell.ratio: cell.dram_share for cell in reading}
    lines.sort(key=lambda line: -shares[line.ratio])
    verdict, why, css, shown = _decide(lines, shares, keep)
    return FirstPage(
        question,
        said_of(study, verdict),
        why,
        css,
        grounds,
        cards_head=f"What DRAM:slow {shown.ratio} does to this Redis, beside all DRAM",
        cards=shown.cells,
        table_head="Every ratio against what a Redis needs",
        row_head="DRAM:slow",
        caption="A row per ratio, a column per quantity: kept, not kept or inconclusive",
        heads=tuple(cell.name + (f" {cell.limit}" if cell.limit else "") for cell in lines[0].cells),
        lines=tuple(_choose(line, shown, css) for line in lines),
        legend=(
            MARKS,
            (
                f"Throughput and latencies are the worst of all sizes of values and shares of reads from "
                f"{MUCH} % "
                "on; intervals are over launches, with their spread pooled."
            ),
        ),
    )


def _decide(
    lines: Sequence[AnswerLine], shares: dict[str, float], keep: float
) -> tuple[str, str, Css, AnswerLine]:
    cheapest = sorted(lines, key=lambda line: shares[line.ratio])
    held = [line for line in cheapest if line.mark == "kept"]
    unsure = [line for line in cheapest if line.mark in ("inconclusive", "not measured")]
    if held:
        best = held[0]
        why = (
            f"Slow memory may replace {1 - shares[best.ratio]:.0%} of the memory of this Redis: no measured "
            "ratio with less DRAM keeps both for certain."
        )
        less = [line.ratio for line in unsure if shares[line.ratio] < shares[best.ratio]]
        why += f" {join(less)} may keep both, too: more launches narrow the intervals." if less else ""
        return f"Yes: set DRAM:slow {best.ratio}.", why, "good", best
    if unsure:
        first = unsure[0]
        open_cell = next(cell for cell in first.cells if cell.mark in ("inconclusive", "not measured"))
        doubt = (
            f"the interval of its {open_cell.name} spans the limit: more launches narrow it"
            if open_cell.mark == "inconclusive"
            else f"its {open_cell.name} has no number: {open_cell.reason}"
        )
        return "Cannot say.", f"DRAM:slow {first.ratio} may keep both, but {doubt}.", "warn", first
    closest = lines[0]
    missed = [
        f"{cell.name} is {cell.value} {cell.interval}, where {cell.limit} is needed"
        for cell in closest.cells
        if cell.mark == "not kept"
    ]
    why = f"The ratio with the most DRAM, {closest.ratio}, does not keep {keep:.0%}: {join(missed)}."
    return "No: keep this Redis on DRAM.", why, "bad", closest


def _line(ratio: str, cells: Sequence[RedisCell], keep: float) -> AnswerLine:
    mine = [cell for cell in cells if cell.ratio == ratio]
    reading = [cell for cell in mine if cell.read_percent >= MUCH]
    writing = [cell for cell in mine if cell.read_percent <= LITTLE]
    found = [_worst(metric, reading, keep) for metric in ("throughput", "p99", "p50", "p99_9")]
    if writing:
        control = _worst("throughput", writing, keep, required=False)
        found.append(
            Kept(
                f"throughput, {LITTLE} % reads or fewer", control.value, control.interval,
                where=control.where, reason=control.reason, note="control: no need",
            )
        )  # fmt: skip
    return AnswerLine(ratio, mine[0].pattern, worst_mark(tuple(found)), tuple(found))


def _worst(metric: str, cells: Iterable[RedisCell], keep: float, *, required: bool | None = None) -> Kept:
    """The worst of some cells; what is not valid has no value, and is worse than any."""
    more = metric == "throughput"
    need = keeping(keep) if more else growing(1 / keep)
    required = metric in _DECIDING if required is None else required
    every = [(_valid(cell, metric), cell) for cell in cells]
    bad: Callable[[Estimate], float] = (lambda e: -e.median) if more else (lambda e: e.median)
    value, worst = max(every, key=lambda pair: float("inf") if pair[0] is None else bad(pair[0]))
    where = f"{format_size(worst.value_bytes)} values, {worst.read_percent} % reads"
    reason = worst.invalid.get(metric, "too few launches" if metric in worst.readings else "not measured")
    name = _HEADS[metric]
    return cell_of(name, need, value, required=required, where=where, reason=f"{where}: {reason}")


def _valid(cell: RedisCell, metric: str) -> Estimate | None:
    return None if metric in cell.invalid else cell.beside.get(metric)


def _choose(line: AnswerLine, shown: AnswerLine, css: str) -> AnswerLine:
    return AnswerLine(line.ratio, line.pattern, line.mark, line.cells, chosen=line is shown and css == "good")


def _launches(cell: RedisCell) -> int:
    return len(next(iter(cell.readings.values())).metric.samples)


def _grounds(study: StudyResults, cells: Sequence[RedisCell]) -> list[Ground]:
    unread = unproven(readings_of(study))
    found = [
        Ground("bad", "Not proven", unread[0].rstrip("."))
        if unread
        else Ground("good", "Placed", "the pages were looked at before and after each window")
    ]
    wrong = [why for cell in cells for why in cell.invalid.values()]
    if wrong:
        found.append(Ground("warn", "Client", f"{len(wrong)} values are not valid: {wrong[0]}"))
    missing = [name for name in LATENCIES if cells and name not in cells[0].readings]
    if missing:
        found.append(Ground("warn", "Latency", f"{join(missing)} was not measured"))
    return found
