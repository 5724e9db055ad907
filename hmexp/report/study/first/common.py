"""What the first pages of studies have in common: cells against a limit, and grounds to trust them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from hmexp.measure.need import Requirement
from hmexp.report.model.decision_words import say_interval, say_median
from hmexp.report.model.first_page import FirstPage, Kept
from hmexp.report.model.trust import Ground, gravest_first, machine_ground
from hmexp.report.run.point import Estimate
from hmexp.report.study.results import StudyResults
from hmexp.store.validity import is_slowed_in_lab

#: Launches below which an interval is very wide.
_FEW: Final = 3


def keeping(keep: float) -> Requirement:
    """That a speed is at least this part of that on DRAM alone."""
    return Requirement("read", keep, "x")


def growing(most: float) -> Requirement:
    """That a time is at most this multiple of that on DRAM alone."""
    return Requirement("latency", most, "x")


def limit_of(need: Requirement) -> str:
    """The limit with its sense, in two decimals at most: `≤ 1.11 ×`."""
    return f"≤ {need.limit:.3g} ×" if need.is_latency else f"≥ {need.limit * 100:.3g} %"


def cell_of(
    name: str,
    need: Requirement,
    value: Estimate | None,
    *,
    required: bool = True,
    where: str = "",
    reason: str = "",
    note: str = "no need given",
) -> Kept:
    """Hold a multiple of DRAM against a limit.

    Parameters
    ----------
    name : str
        What it is of.
    need : Requirement
        The limit; where none is required, whether more is better.
    value : Estimate or None
        The multiple.
    required : bool
        Whether the limit counts.
    where, reason, note : str
        As in `Kept`.
    """
    if value is None:
        return Kept(name, mark="not measured" if required else None, limit=limit_of(need), reason=reason)
    return Kept(
        name,
        say_median(value, need),
        say_interval(value, need),
        need.judge(value.low, value.high) if required else None,
        limit_of(need) if required else "",
        where,
        note="" if required else note,
    )


def cannot_say(study: StudyResults, question: str, why: str, *grounds: Ground) -> FirstPage:
    """The page of a run that does not answer: why, and how far it can be trusted."""
    return FirstPage(question, "Cannot say.", sentence(why), "warn", grounds or trust(study))


def sentence(text: str) -> str:
    """Begin with a capital, end with a full stop."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def trust(
    study: StudyResults, more: Iterable[Ground] = (), launches: Sequence[int] = (), real: str = ""
) -> tuple[Ground, ...]:
    """Say what the speeds are of, what is missing, and how many launches there are; then `more`.

    Parameters
    ----------
    study : StudyResults
        The run.
    more : iterable of Ground
        What only this kind of study can say.
    launches : sequence of int
        Launches of each point; none of a study that does not repeat them.
    real : str
        What is said of real memory.
    """
    planned = max(study.run.points or 0, len(study.records))
    measured = study.measured_count
    complete = measured == planned
    text = f"all {measured:,} points of the plan were measured"
    if not complete:
        text = (
            f"{measured:,} of {planned:,} points of the plan were measured: what is missing decides nothing"
        )
    found = [machine_ground(study.title, real)]
    found.append(Ground("good" if complete else "bad", "Complete" if complete else "Incomplete", text))
    found += more
    if launches:
        least = min(launches)
        text = f"{least} launch{'es' if least > 1 else ''} of each point, at least"
        text += "" if least > 1 else ": nothing is known of how launches differ"
        found.append(Ground("good" if least >= _FEW else "warn", "Noise", text))
    return gravest_first(found)


def said_of(study: StudyResults, text: str) -> str:
    """A verdict that says so if what was measured is a model."""
    if not (study.title.emulated or is_slowed_in_lab(study.run.timing_note)):
        return text
    head, colon, rest = text.partition(":")
    end = "." if head.endswith(".") else ""
    return f"{head.removesuffix('.')}, on the emulated machine{end}{colon}{rest}"


def join(parts: Sequence[str]) -> str:
    """Words in a row: `a, b and c`."""
    every = [part for part in parts if part]
    return " and ".join([", ".join(every[:-1]), every[-1]] if len(every) > 1 else every)
