"""One point over many runs: its number in each, and where its level changed beyond the noise."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from hmexp.report.comparison.bridging import bridge
from hmexp.report.comparison.reading import Key, Reading
from hmexp.report.comparison.readings import StoredRun, why_not_comparable
from hmexp.report.comparison.shift import LEAST_VALUES, find_shifts, strongest_shift
from hmexp.report.comparison.variation import discoveries

#: How often a point without a change may be said to have one.
CHANCE: Final = 0.05


@dataclass(frozen=True)
class RunValue:
    """A point in one run.

    Parameters
    ----------
    run : str
        Name of the run.
    started : str
        When it began.
    value : float
        Median, or for emulated nodes that as a multiple of what they must show.
    change : float or None
        The new level over the old one, if a new level begins here.
    """

    run: str
    started: str
    value: float
    change: float | None = None


@dataclass(frozen=True)
class Trend:
    """A point over runs.

    Parameters
    ----------
    reading : Reading
        The point, as the newest run has it.
    unit : str
        Of the values.
    steps : tuple of RunValue
        The runs in which it can be compared, the oldest first.
    left_out : mapping of str to str
        Why it cannot be compared in other runs.
    chance : float
        p-value of its clearest change; 1 if there are too few runs.
    """

    reading: Reading
    unit: str
    steps: tuple[RunValue, ...]
    left_out: Mapping[str, str]
    chance: float

    @property
    def changed(self) -> bool:
        """True if a new level begins somewhere."""
        return any(step.change is not None for step in self.steps)

    @property
    def enough(self) -> bool:
        """True if there are enough runs for a change to be found."""
        return len(self.steps) >= LEAST_VALUES

    def is_worse(self, step: RunValue) -> bool:
        """True if the level that begins there is slower than the one before."""
        return step.change is not None and (step.change > 1) == self.reading.less_is_better


def find_trends(runs: Sequence[StoredRun], wanted: Mapping[str, str]) -> list[Trend]:
    """Follow points over runs.

    The values of a run are its medians: runs differ from one another by more than launches within one do, so
    the run is what is counted. Over all points the rate of false discoveries is controlled.

    Parameters
    ----------
    runs : sequence of StoredRun
        In any order.
    wanted : mapping of str to str
        Which points, by the values of some of their parameters; ``ratio`` is one, too.
    """
    ordered = sorted(runs, key=lambda run: (run.run.started, run.name))
    series: dict[Key, list[tuple[StoredRun, Reading]]] = {}
    for run in ordered:
        for reading in run.readings:
            if _is_wanted(reading, wanted):
                series.setdefault(reading.key(), []).append((run, reading))
    rows = [_collect(found) for found in series.values()]
    clearest = [strongest_shift([math.log(value) for _, _, value in row[1]])[1] for row in rows]
    held = discoveries(clearest, CHANCE) if rows else []
    return [
        _trend(newest, values, left_out, p, shifted=shifted)
        for (newest, values, left_out), p, shifted in zip(rows, clearest, held, strict=True)
    ]


def _is_wanted(reading: Reading, wanted: Mapping[str, str]) -> bool:
    values: dict[str, Any] = {**reading.parameters, "ratio": reading.ratio}
    return all(str(values.get(name)) == value for name, value in wanted.items())


def _collect(
    found: Sequence[tuple[StoredRun, Reading]],
) -> tuple[Reading, list[tuple[str, str, float]], dict[str, str]]:
    """The values of a point that can be compared with its newest one, and why others cannot."""
    usable = [reading for _, reading in found if reading.status == "ok" and reading.median]
    newest = usable[-1] if usable else found[-1][1]
    values, left_out = [], {}
    for run, reading in found:
        why = why_not_comparable(newest, reading, of_model=newest.emulated) or _other_machine(
            run, found[-1][0]
        )
        if why is None and reading.median is not None:
            scale = reading.model if newest.emulated and reading.model else 1.0
            values.append((run.name, run.run.started, reading.median / scale / bridge(newest, reading)))
        else:
            text = re.sub(r"\bA\b", "the newest run", why or "B has no median")
            left_out[run.name] = re.sub(r"\bB\b", "it", text)
    return newest, values, left_out


def _other_machine(run: StoredRun, newest: StoredRun) -> str | None:
    mine, other = (
        None if each.run.provenance is None else each.run.provenance.cpu_model for each in (run, newest)
    )
    return None if mine == other else f"measured on another CPU: {mine or 'not recorded'}"


def _trend(
    newest: Reading,
    values: Sequence[tuple[str, str, float]],
    left_out: Mapping[str, str],
    p: float,
    *,
    shifted: bool,
) -> Trend:
    logs = [math.log(value) for _, _, value in values]
    starts = find_shifts(logs, CHANCE) if shifted else []
    edges = [0, *starts, len(logs)]
    means = [math.fsum(logs[a:b]) / (b - a) for a, b in pairwise(edges) if b > a]
    changes = {at: math.exp(means[n + 1] - means[n]) for n, at in enumerate(starts)}
    steps = tuple(RunValue(*value, changes.get(number)) for number, value in enumerate(values))
    unit = "of its model" if newest.emulated else newest.unit or ""
    return Trend(newest, unit, steps, left_out, p)
