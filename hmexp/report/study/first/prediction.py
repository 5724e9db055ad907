"""The first page of a prediction: up to which share of slow memory a program keeps its speed."""

from __future__ import annotations

from typing import Final

from hmexp.errors import MeasurementError
from hmexp.program.slowdown import Slowdown
from hmexp.report.model.first_page import AnswerLine, FirstPage, Kept
from hmexp.report.model.trust import Ground
from hmexp.report.run.point import Estimate
from hmexp.report.study.first.common import cannot_say, cell_of, growing, said_of, trust
from hmexp.report.study.prediction import POOR, SlowdownPrediction, predict_slowdown
from hmexp.report.study.program import primary, readings_of
from hmexp.report.study.program_verdict import KEEP, unjudged, unproven
from hmexp.report.study.results import StudyResults

#: Shares of slow memory that have a row: every second of the table's.
_STEP: Final = 2
_LEGEND: Final = (
    (
        "Kept: the whole 95 % interval of the predicted slowdown is within the limit. Not kept: none of it "
        "is. Inconclusive: it spans the limit."
    ),
    "The predicted curve goes through what was measured; the ratio that was left out checks it.",
)


def prediction_page(study: StudyResults, title: str, keep: float = KEEP) -> FirstPage:
    """Answer from the predicted curve; say nothing where it is poor.

    Parameters
    ----------
    study : StudyResults
        A run of `hmexp predict`.
    title : str
        What the program is called.
    keep : float
        Part of the speed on DRAM alone that is to be kept.
    """
    question = (
        f"Up to which share of slow memory does {title} keep at least {keep:.0%} of its speed on DRAM alone, "
        "as a few runs predict it?"
    )
    readings = readings_of(study)
    launches = [len(reading.launches) for reading in primary(readings)] if readings else []
    real = "a program was run and timed on real memory"
    try:
        found = predict_slowdown(study)
    except MeasurementError as error:
        return cannot_say(study, question, error.message, *trust(study, launches=launches, real=real))
    grounds = trust(study, _grounds(study, found), launches, real)
    why_not = unjudged(study, readings)
    if why_not is not None:
        return cannot_say(study, question, why_not.removeprefix("No verdict: "), *grounds)
    if found.check is not None and found.check.is_poor:
        why = (
            f"the prediction is off by {found.check.error:+.0%} at the ratio that was left out to check it, "
            f"more than {POOR:.0%}: measure the ratio that you want (hmexp program)"
        )
        return cannot_say(study, question, why, *grounds)
    rows = [each for each in found.table if each.share > 0][_STEP - 1 :: _STEP]
    lines = [_line(each, found, keep) for each in rows]
    best = _best(lines)
    verdict, why = _decide(lines, best)
    shown = lines[0] if best is None else best
    return FirstPage(
        question,
        said_of(study, verdict),
        why,
        "good" if best is not None else "bad" if lines[0].mark == "not kept" else "warn",
        grounds,
        cards_head=f"With {shown.ratio} of the memory slow",
        cards=_cards(shown, found, keep),
        table_head="The slowdown at every share of slow memory",
        row_head="slow memory",
        caption="A row per share of slow memory; the predicted slowdown is kept, not kept or inconclusive",
        heads=(f"slowdown, predicted ≤ {1 / keep:.3g} ×", "slowdown, measured"),
        lines=tuple(AnswerLine(line.ratio, "", line.mark, line.cells, chosen=line is best) for line in lines),
        legend=_LEGEND,
        badge="up to here",
    )


def _best(lines: list[AnswerLine]) -> AnswerLine | None:
    """The largest share that is kept, with all below it."""
    best = None
    for line in lines:
        if line.mark != "kept":
            break
        best = line
    return best


def _decide(lines: list[AnswerLine], best: AnswerLine | None) -> tuple[str, str]:
    if best is not None:
        after = lines[lines.index(best) + 1 :]
        why = "Every share that was looked at is kept."
        if after:
            cell = after[0].cells[0]
            why = f"At {after[0].ratio} the predicted slowdown is {cell.value} {cell.interval}: {cell.mark}."
        return f"Yes, as predicted: up to {best.ratio} of its memory may be slow.", why
    cell = lines[0].cells[0]
    said = f"With {lines[0].ratio} of it slow the predicted slowdown is {cell.value} {cell.interval}"
    if lines[0].mark == "not kept":
        return "No: keep this program on DRAM.", f"{said}, where {cell.limit} is needed."
    return "Cannot say.", f"{said}, which spans {cell.limit}: more launches narrow it."


def _line(each: Slowdown, found: SlowdownPrediction, keep: float) -> AnswerLine:
    need = growing(1 / keep)
    predicted = cell_of("slowdown, predicted", need, _estimate(each))
    seen = [one for one in found.measured if abs(one.share - each.share) < 0.005]
    measured = (
        cell_of("slowdown, measured", need, _estimate(seen[0]), required=False)
        if seen
        else Kept("slowdown, measured", reason="not measured")
    )
    return AnswerLine(f"{each.share * 100:.0f} %", "", predicted.mark, (predicted, measured))


def _cards(shown: AnswerLine, found: SlowdownPrediction, keep: float) -> tuple[Kept, ...]:
    need = growing(1 / keep)
    alone = found.table[-1]
    cards = [
        shown.cells[0],
        cell_of("all memory slow, predicted", need, _estimate(alone), required=False),
    ]
    if found.check is not None:
        name = f"left out to check: {found.check.pattern}"
        note = f"predicted: {found.check.error:+.1%}"
        cards.append(cell_of(name, need, _estimate(found.check.measured), required=False, note=note))
    return tuple(cards)


def _estimate(found: Slowdown) -> Estimate:
    return Estimate(found.factor, found.low, found.high)


def _grounds(study: StudyResults, found: SlowdownPrediction) -> list[Ground]:
    unread = unproven(readings_of(study))
    grounds = [Ground("bad", "Not proven", unread[0].rstrip("."))] if unread else []
    check = found.check
    if check is None:
        text = "no ratio was left out, or it was not measured: nothing says how good the prediction is"
        return [*grounds, Ground("warn", "Not checked", text)]
    text = (
        f"at pattern {check.pattern}, which the curve does not know, it is {check.error:+.1%} off; the "
        f"intervals " + ("overlap" if check.is_within_noise else "do not overlap")
    )
    if check.is_poor:
        return [*grounds, Ground("bad", "Poor", text)]
    return [*grounds, Ground("good" if check.is_within_noise else "warn", "Checked", text)]
