"""The slowdown of a program at every share of slow memory, from a few runs, checked by one left out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from hmexp.errors import MeasurementError
from hmexp.program.slowdown import MeasuredTime, Slowdown, SlowdownCurve
from hmexp.report.study.program import ProgramReading, primary, readings_of
from hmexp.report.study.program_verdict import unjudged, unproven
from hmexp.report.study.results import StudyResults

#: A prediction that is off by more is poor.
POOR: Final = 0.10
_SHARES: Final = tuple(round(share, 2) for share in np.linspace(0.0, 1.0, 21).tolist())


@dataclass(frozen=True)
class LeftOut:
    """The ratio that was left out: predicted, and measured.

    Parameters
    ----------
    pattern : str
        The ratio's pattern.
    predicted, measured : Slowdown
        Its slowdown.
    """

    pattern: str
    predicted: Slowdown
    measured: Slowdown

    @property
    def error(self) -> float:
        """How far the prediction is off, as a part of what was measured."""
        return self.predicted.factor / self.measured.factor - 1

    @property
    def is_poor(self) -> bool:
        """Whether it is off by more than `POOR`."""
        return abs(self.error) > POOR

    @property
    def is_within_noise(self) -> bool:
        """Whether the intervals of both overlap."""
        return self.predicted.low <= self.measured.high and self.measured.low <= self.predicted.high


@dataclass(frozen=True)
class SlowdownPrediction:
    """What a few runs say of every ratio.

    Parameters
    ----------
    metric : str
        The metric, with its unit.
    curve : SlowdownCurve
        The slowdown at every share.
    measured : tuple of Slowdown
        The shares that it is made of.
    check : LeftOut or None
        The share that was left out.
    """

    metric: str
    curve: SlowdownCurve
    measured: tuple[Slowdown, ...]
    check: LeftOut | None

    @property
    def table(self) -> tuple[Slowdown, ...]:
        """The slowdown at shares in steps of 5 %."""
        return tuple(self.curve.at(share) for share in _SHARES)


def predict_slowdown(study: StudyResults) -> SlowdownPrediction:
    """Make the prediction of a run of `hmexp predict`.

    Raises
    ------
    MeasurementError
        If the program on DRAM alone, or every ratio with slow memory, was not measured.
    """
    readings = readings_of(study)
    if not readings:
        raise MeasurementError("no point was measured: there is nothing to predict from")
    left_out = study.run.parameters.get("check")
    own = primary(readings)
    times = {str(reading.point.pattern): _time(reading) for reading in own}
    alone = next((time for time in times.values() if time.share == 0.0), None)
    if alone is None:
        raise MeasurementError("the program on DRAM alone was not measured: there is nothing to compare with")
    used = [time for pattern, time in times.items() if time.share > 0 and pattern != left_out]
    curve = SlowdownCurve(alone, sorted(used, key=lambda time: time.share))
    check = None
    if str(left_out) in times:
        time = times[str(left_out)]
        check = LeftOut(str(left_out), curve.at(time.share), _slowdown(time, alone))
    metric = own[0].metric
    measured = tuple(_slowdown(time, alone) for time in curve.measured)
    return SlowdownPrediction(f"{metric.name} [{metric.unit}]", curve, measured, check)


def say_prediction(study: StudyResults) -> list[str]:
    """The prediction in sentences; where it is poor, that comes first."""
    try:
        found = predict_slowdown(study)
    except MeasurementError as error:
        return [f"No prediction: {error.message}."]
    sentences = _say_check(found)
    why_not = unjudged(study, readings_of(study))
    if why_not is not None:
        sentences.insert(0, why_not)
    worst = max(found.table, key=lambda each: each.high - each.low)
    if worst.high - worst.low > 2 * POOR * worst.factor:
        sentences.append(
            f"At {worst.share:.0%} slow memory the interval is ±{(worst.high - worst.low) / 2:.2f}: more "
            "launches narrow it."
        )
    if found.curve.terms < 3:
        sentences.append(
            f"The curve is a polynomial of degree {found.curve.terms}, because only {found.curve.terms} "
            "ratios with slow memory were measured."
        )
    return [*sentences, *unproven(readings_of(study))]


def prediction_frame(study: StudyResults) -> pd.DataFrame:
    """Make a row for each share of slow memory: predicted, and measured where it was."""
    columns = ["slow_share", "source", "slowdown", "ci_low", "ci_high"]
    try:
        found = predict_slowdown(study)
    except MeasurementError:
        return pd.DataFrame([], columns=columns).set_index(["slow_share", "source"])
    rows = [(each.share, "predicted", each.factor, each.low, each.high) for each in found.table]
    rows += [(each.share, "measured", each.factor, each.low, each.high) for each in found.measured]
    if found.check is not None:
        for source, each in (("predicted", found.check.predicted), ("left out", found.check.measured)):
            rows.append((each.share, source, each.factor, each.low, each.high))
    return pd.DataFrame(sorted(rows), columns=columns).set_index(["slow_share", "source"])


def _say_check(found: SlowdownPrediction) -> list[str]:
    check = found.check
    if check is None:
        return ["The prediction is not checked: no ratio was left out, or it was not measured."]
    noise = (
        "the intervals of both overlap"
        if check.is_within_noise
        else "that is more than their intervals allow"
    )
    text = (
        f"Pattern {check.pattern} was left out to check: predicted {_say(check.predicted)} times the time on "
        f"DRAM alone, measured {_say(check.measured)}: {_signed(check.error)}; {noise}."
    )
    if check.is_poor:
        poor = (
            f"The prediction is poor: it is off by more than {POOR:.0%} at a ratio that was left out. "
            "Measure the ratio that you want rather than predict it."
        )
        return [poor, text]
    return [text]


def _say(found: Slowdown) -> str:
    return f"{found.factor:.3f} [{found.low:.3f}, {found.high:.3f}]"


def _time(reading: ProgramReading) -> MeasuredTime:
    """What a program takes: the metric itself, or its inverse where more is better."""
    metric = reading.metric
    if min(metric.samples) <= 0 or reading.dram_share is None:
        raise MeasurementError(f"{metric.name} is not above 0 in every launch: there is no multiple of it")
    reach = math.inf
    if metric.ci_low is not None and metric.ci_high is not None:
        reach = math.log(metric.ci_high / metric.ci_low) / 2
    median = metric.median if metric.better == "lower" else 1 / metric.median
    return MeasuredTime(1.0 - reading.dram_share, median, reach)


def _slowdown(time: MeasuredTime, alone: MeasuredTime) -> Slowdown:
    factor = time.median / alone.median
    reach = math.exp(min(math.hypot(time.reach, alone.reach), 50.0))
    return Slowdown(time.share, factor, factor / reach, factor * reach)


def _signed(part: float) -> str:
    # What rounds to zero has no sign of its own.
    return f"{round(part, 3) + 0.0:+.1%}"
