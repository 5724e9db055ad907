"""What a sweep over a program says in words: for each ratio, whether the program may live on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hmexp.report.model.trust import Ground
from hmexp.report.study.program import ProgramReading, primary, readings_of
from hmexp.report.study.results import StudyResults

#: Part of the speed on DRAM alone that a ratio is to keep.
KEEP: Final = 0.9
_KNOWN_SLOW: Final = ("nvm", "cxl")
#: Launches below which an interval is very wide.
_FEW: Final = 3


def verdicts(study: StudyResults, keep: float = KEEP) -> list[str]:
    """Say for each ratio whether the program keeps its speed; or why nothing is judged.

    Parameters
    ----------
    study : StudyResults
        The sweep.
    keep : float
        Part of the speed on DRAM alone that a ratio is to keep.
    """
    readings = readings_of(study)
    why_not = unjudged(study, readings)
    if why_not is not None:
        return [why_not, *unproven(readings)]
    found = [_judge(reading, keep) for reading in primary(readings) if not reading.is_baseline]
    return [*found, *_smallest(primary(readings), keep), *_cautions(study), *unproven(readings)]


@dataclass(frozen=True)
class ProgramAnswer:
    """The first page of a sweep over a program: a question, the verdict and why.

    Parameters
    ----------
    question, verdict, why : str
        In a sentence each.
    css : str
        ``good``, ``bad`` or ``warn``.
    trust : tuple of Ground
        How far to trust it.
    """

    question: str
    verdict: str
    why: str
    css: str
    trust: tuple[Ground, ...]


def answer(study: StudyResults, title: str, keep: float = KEEP) -> ProgramAnswer:
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
    css, verdict, why = _decide(study, readings, keep)
    return ProgramAnswer(question, verdict, why, css, _grounds(study, readings))


def _decide(study: StudyResults, readings: Sequence[ProgramReading], keep: float) -> tuple[str, str, str]:
    why_not = unjudged(study, readings)
    if why_not is not None:
        return "warn", "Cannot say.", why_not.removeprefix("No verdict: ")
    found = [each for each in primary(readings) if not each.is_baseline and each.speed is not None]
    judged = [each for each in found if each.has_interval]
    smallest = _smallest(primary(readings), keep)[0]
    good = [each for each in judged if each.speed is not None and each.speed.low >= keep]
    if good:
        best = min(good, key=lambda each: each.dram_share if each.dram_share is not None else 1.0)
        return "good", f"Yes: set {say_reading(best)}.", smallest
    if not judged:
        return "warn", "Cannot say.", "Each point has one launch: nothing is known of how launches differ."
    unsure = [each for each in judged if each.speed is not None and each.speed.high >= keep]
    if unsure:
        why = f"The interval of {say_reading(unsure[0])} spans {keep:.0%}: more launches narrow it."
        return "warn", "Cannot say.", why
    return "bad", "No: keep this program on DRAM.", f"No measured ratio keeps {keep:.0%} of the speed."


def _grounds(study: StudyResults, readings: Sequence[ProgramReading]) -> tuple[Ground, ...]:
    planned, measured = max(study.run.points or 0, len(study.records)), len(study.records) - len(study.not_ok)
    valid = study.title.timing_valid
    complete = measured == planned
    launches = [len(reading.launches) for reading in primary(readings)]
    unread = unproven(readings)
    found = [
        Ground("good", "Real", "a program was run and timed on real memory")
        if valid
        else Ground("bad", "Functional only", "the placement is real, times mean nothing"),
        Ground(
            "good" if complete else "bad",
            "Complete" if complete else "Incomplete",
            f"{measured} of {planned} points were measured",
        ),
        Ground("bad", "Not proven", unread[0].rstrip("."))
        if unread
        else Ground(
            "good", "Placed", "the pages were looked at before and after where the way promises them"
        ),
    ]
    if launches:
        few = min(launches) < _FEW
        text = f"{min(launches)} launch{'es' if min(launches) > 1 else ''} of each point, at least"
        found.append(Ground("warn" if few else "good", "Noise", text))
    return tuple(found)


def unjudged(study: StudyResults, readings: Sequence[ProgramReading]) -> str | None:
    """Why this sweep says nothing of hybrid memory; None if it does."""
    if not study.title.timing_valid:
        return "No verdict: the CPU is emulated in software, so times mean nothing. The placement is real."
    if not readings:
        return "No verdict: no point was measured."
    if not study.run.slow_nodes:
        return (
            "No verdict: all memory that was used is DRAM, so this says nothing of slow memory. What the "
            "table shows is what the ways themselves cost."
        )
    if not any(reading.is_baseline for reading in readings):
        return "No verdict: the program on DRAM alone was not measured, and nothing can be compared with it."
    return None


def unproven(readings: Sequence[ProgramReading]) -> list[str]:
    """The sentence on launches of which the placement is not known in full, by the first reason."""
    reasons = [each.unread for reading in primary(readings) for each in reading.launches if each.unread]
    if not reasons:
        return []
    count = f"{len(reasons)} launch{'es' if len(reasons) > 1 else ''}"
    return [f"In {count} the placement is not proven in full: {reasons[0]}."]


def say_reading(reading: ProgramReading) -> str:
    """A reading in words: ``1:2 by follow``."""
    where = reading.ratio or "no pattern"
    return f"{where} by {reading.way}"


def _judge(reading: ProgramReading, keep: float) -> str:
    speed, name = reading.speed, say_reading(reading)
    what = f"{reading.metric.name} {reading.metric.median:.4g} {reading.metric.unit}"
    if speed is None:
        return f"{name}: {what}; a value is not above 0, and there is no multiple of it."
    if not reading.has_interval:
        return f"{name}: {what}, {speed.median:.0%} of the speed on DRAM alone. Not judged: one launch."
    verdict = (
        f"keeps at least {keep:.0%}" if speed.low >= keep
        else f"does not keep {keep:.0%}" if speed.high < keep
        else f"whether it keeps {keep:.0%} is open: more launches narrow the interval"
    )  # fmt: skip
    return (
        f"{name}: {what}, {speed.median:.1%} of the speed on DRAM alone (95 % interval {speed.low:.1%} to "
        f"{speed.high:.1%}): {verdict}."
    )


def _smallest(readings: Sequence[ProgramReading], keep: float) -> list[str]:
    """The sentence on the smallest part of DRAM that is enough."""
    good = [
        reading
        for reading in readings
        if reading.has_interval and reading.speed is not None and reading.speed.low >= keep
        and reading.dram_share is not None and not reading.is_baseline
    ]  # fmt: skip
    if not good:
        return [f"No ratio surely keeps {keep:.0%} of the speed on DRAM alone: keep this program on DRAM."]
    best = min(good, key=lambda reading: reading.dram_share or 0.0)
    return [
        (
            f"With {best.dram_share:.0%} of its memory on DRAM ({say_reading(best)}) the program keeps at "
            f"least {keep:.0%} of its speed; that is the least DRAM of what was measured."
        )
    ]


def _cautions(study: StudyResults) -> list[str]:
    kinds = {node.id: node.kind for node in study.run.nodes}
    unknown = [node for node in study.run.slow_nodes if kinds.get(node, "unknown") not in _KNOWN_SLOW]
    found = [
        f"Node {node} is {kinds.get(node, 'unknown')} memory: nothing shows that it is as slow as persistent "
        "or CXL memory, and the verdict is on this node alone."
        for node in unknown
    ]
    ways = {reading.way_taken for reading in readings_of(study)}
    if ways & {"policy", "follow"} and "node" in ways:
        found.append(
            "The ways policy and follow run the program without transparent huge pages, and on DRAM alone it "
            "has them: the difference counts as theirs. Pattern and way on DRAM alone show how large it is."
        )
    return found
