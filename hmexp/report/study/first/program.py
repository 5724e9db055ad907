"""The first page of a sweep over a program: may it live on hybrid memory, and with how little DRAM?"""

from __future__ import annotations

from collections.abc import Sequence

from hmexp.report.model.first_page import MARKS, AnswerLine, Css, FirstPage, Kept, worst_mark
from hmexp.report.model.trust import Ground
from hmexp.report.run.numbers import digits, interval
from hmexp.report.run.point import Estimate
from hmexp.report.study.first.common import cannot_say, cell_of, keeping, said_of, trust
from hmexp.report.study.program import ProgramReading, primary, readings_of, say_pattern
from hmexp.report.study.program_verdict import KEEP, say_reading, say_smallest, unjudged, unproven
from hmexp.report.study.results import StudyResults


def program_page(study: StudyResults, title: str, keep: float = KEEP) -> FirstPage:
    """Say whether the program may live on hybrid memory, and with how little DRAM.

    Parameters
    ----------
    study : StudyResults
        The sweep.
    title : str
        What the program is called.
    keep : float
        Part of the speed on DRAM alone that a ratio is to keep.
    """
    readings = readings_of(study)
    question = (
        f"Does {title} keep at least {keep:.0%} of its speed on DRAM alone with a part of its memory slow, "
        "and with how little DRAM?"
    )
    grounds = _trust(study, readings)
    why_not = unjudged(study, readings)
    if why_not is not None:
        return cannot_say(study, question, why_not.removeprefix("No verdict: "), *grounds)
    own = [each for each in primary(readings) if each.speed is not None]
    found = [each for each in own if not each.is_baseline]
    css, verdict, why, shown = _decide(found, keep)
    return FirstPage(
        question,
        said_of(study, verdict),
        why,
        css,
        grounds,
        cards_head="" if shown is None else f"What {say_reading(shown)} keeps of DRAM alone",
        cards=() if shown is None else _cards(shown, readings, keep),
        table_head="Every ratio and way against the need",
        row_head="DRAM:slow",
        caption="A row per ratio and way; the speed is kept, not kept or inconclusive",
        fact_heads=(f"{own[0].metric.name} [{own[0].metric.unit}]", "launches") if own else (),
        heads=(f"speed of DRAM alone ≥ {keep:.0%}",),
        lines=tuple(_line(each, keep, chosen=css == "good" and each is shown) for each in own),
        legend=(MARKS, "Shares of the speed on DRAM alone have an interval that covers both."),
    )


def _decide(found: Sequence[ProgramReading], keep: float) -> tuple[Css, str, str, ProgramReading | None]:
    judged = [each for each in found if each.has_interval]
    good = [each for each in judged if each.speed is not None and each.speed.low >= keep]
    if good:
        best = min(good, key=lambda each: each.dram_share if each.dram_share is not None else 1.0)
        return "good", f"Yes: set {say_reading(best)}.", say_smallest(found, keep), best
    if not judged:
        why = "Each point has one launch: nothing is known of how launches differ."
        return "warn", "Cannot say.", why, None
    unsure = [each for each in judged if each.speed is not None and each.speed.high >= keep]
    if unsure:
        why = f"The interval of {say_reading(unsure[0])} spans {keep:.0%}: more launches narrow it."
        return "warn", "Cannot say.", why, unsure[0]
    closest = max(judged, key=lambda each: each.speed.median if each.speed is not None else 0.0)
    return (
        "bad",
        "No: keep this program on DRAM.",
        f"No measured ratio keeps {keep:.0%} of the speed.",
        closest,
    )


def _line(reading: ProgramReading, keep: float, *, chosen: bool) -> AnswerLine:
    speed = reading.speed if reading.has_interval or reading.is_baseline else None
    one = "" if reading.speed is None else f"{reading.speed.median:.1%}, not judged: one launch"
    cell = cell_of("speed", keeping(keep), speed, reason=one)
    metric = reading.metric
    shown = digits(metric.median)
    if metric.ci_low is not None and metric.ci_high is not None:
        shown += f" {interval(Estimate(metric.median, metric.ci_low, metric.ci_high))}"
    return AnswerLine(
        f"{reading.ratio or 'no pattern'} by {reading.way}",
        say_pattern(reading.point),
        worst_mark((cell,)),
        (cell,),
        (shown, str(len(metric.samples))),
        chosen,
    )


def _cards(shown: ProgramReading, readings: Sequence[ProgramReading], keep: float) -> tuple[Kept, ...]:
    """The speed, then every metric of the ratio as it is."""
    cards = [cell_of("speed", keeping(keep), shown.speed)]
    for each in readings:
        if each.record.point_id != shown.record.point_id:
            continue
        metric = each.metric
        low, high = metric.ci_low, metric.ci_high
        known = low is not None and high is not None
        text = interval(Estimate(metric.median, low or 0.0, high or 0.0)) if known else ""
        note = "" if each.of_dram is None else f"{each.of_dram.median:.3f} × that on DRAM alone"
        cards.append(Kept(metric.name, f"{digits(metric.median)} {metric.unit}", text, note=note))
    return tuple(cards)


def _trust(study: StudyResults, readings: Sequence[ProgramReading]) -> tuple[Ground, ...]:
    unread = unproven(readings)
    text = "the pages were looked at before and after where the way promises them"
    placed = Ground("bad", "Not proven", unread[0].rstrip(".")) if unread else Ground("good", "Placed", text)
    launches = [len(reading.launches) for reading in primary(readings)] if readings else []
    return trust(study, [placed], launches, "a program was run and timed on real memory")
