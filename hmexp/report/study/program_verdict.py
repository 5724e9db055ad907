"""What a sweep over a program says in words: for each ratio, whether the program may live on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hmexp.report.study.program import ProgramReading, primary, readings_of
from hmexp.report.study.results import StudyResults
from hmexp.store.validity import is_slowed_in_lab

#: Part of the speed on DRAM alone that a ratio is to keep.
KEEP: Final = 0.9
_KNOWN_SLOW: Final = ("nvm", "cxl")


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
    return [
        *say_slowed(study),
        *found,
        say_smallest(primary(readings), keep),
        *_cautions(study),
        *unproven(readings),
    ]


def say_slowed(study: StudyResults) -> list[str]:
    """The sentence on a node that the lab slows: what is judged is the emulator's delay, and no hardware."""
    note = study.run.timing_note
    return [f"{note}."] if note is not None and is_slowed_in_lab(note) else []


def unjudged(study: StudyResults, readings: Sequence[ProgramReading]) -> str | None:
    """Why this sweep says nothing of hybrid memory; None if it does."""
    if not study.title.timing_valid and not is_slowed_in_lab(study.run.timing_note):
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


def say_smallest(readings: Sequence[ProgramReading], keep: float) -> str:
    """The sentence on the smallest part of DRAM that is enough."""
    good = [
        reading
        for reading in readings
        if reading.has_interval and reading.speed is not None and reading.speed.low >= keep
        and reading.dram_share is not None and not reading.is_baseline
    ]  # fmt: skip
    if not good:
        return f"No ratio surely keeps {keep:.0%} of the speed on DRAM alone: keep this program on DRAM."
    best = min(good, key=lambda reading: reading.dram_share or 0.0)
    return (
        f"With {best.dram_share:.0%} of its memory on DRAM ({say_reading(best)}) the program keeps at "
        f"least {keep:.0%} of its speed; that is the least DRAM of what was measured."
    )


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
