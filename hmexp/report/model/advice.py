"""Which ratio to take, in words: only what was measured, each with its interval.

A relation of two points has the interval that follows from theirs: ``[low / high of the other,
high / low of the other]``. That is wider than a joint 95 % interval, so a claim made from it is safe.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from hmexp.measure.quantity import is_latency
from hmexp.measure.statistics import TOO_FEW
from hmexp.report.figures.loaded_latency import knees
from hmexp.report.model.predictions import predict
from hmexp.report.run.numbers import digits, interval, percent, signed, with_unit
from hmexp.report.run.point import Estimate, Point, short_pattern
from hmexp.report.run.results import Results
from hmexp.report.run.wording import say_series

KEEP: Final = 0.9
#: Farther from a known truth than this, an emulated point is doubtful.
TRUTH_LIMIT: Final = 0.10
#: A 95 % interval wider than this share of its median is called unstable.
SPREAD_LIMIT: Final = 0.10
_MOST_NAMES: Final = 6


@dataclass(frozen=True)
class Advice:
    """What a run advises, or why it does not."""

    refused: str | None
    preface: str | None
    sentences: tuple[str, ...]
    missing: tuple[str, ...]
    #: Why the numbers themselves should not be relied on: spread, or a known truth that was missed.
    cautions: tuple[str, ...] = ()


def advise(results: Results) -> Advice:
    """Advise from the measured points of a run.

    Refuses if any timing is marked not valid. Ratios that were not measured are never spoken of.
    """
    if not results.timing_valid:
        note = results.run.timing_note
        return Advice(
            "No advice: this run is functional only, its timings are not valid"
            f"{f' ({note})' if note else ''}. The placement proofs hold, the speeds mean nothing.",
            None, (), (),
        )  # fmt: skip
    sentences: list[str] = []
    missing = _missing_points(results)
    for operation in results.operations:
        points = results.select(operation)
        if not points:
            if operation in {p.operation for p in results.points}:
                missing.append(f"No {operation} point was measured: there is no advice for {operation}.")
            continue
        varying = results.varying(points)
        for series in dict.fromkeys(p.series for p in points):
            group = [p for p in points if p.series == series]
            where = say_series(series, varying)
            say = _latency if is_latency(operation) else _bandwidth
            said, lacking = say(group, results, f" ({where})" if where else "")
            sentences += said
            sentences += knees(group)
            missing += lacking
    preface = _preface(results) if sentences else None
    return Advice(None, preface, tuple(sentences), tuple(missing), tuple(cautions(results)))


def _preface(results: Results) -> str | None:
    if not results.emulated:
        return None
    nodes = ", ".join(str(node) for node in sorted(results.backing)) or "?"
    return (
        f"Emulated: the speed of node {nodes} is a software model on ordinary DRAM. These sentences say what "
        "the modelled machine would do; do not base a purchase on them."
    )


def cautions(results: Results) -> Iterable[str]:
    """Say what makes this run's numbers doubtful as a whole."""
    predictions = predict(results)
    if results.emulated:
        known = [p for p in results.ok if p.point_id in predictions]
        off = [p for p in known if abs(p.value.median / predictions[p.point_id].value - 1) > TRUTH_LIMIT]
        if off:
            yield (
                f"The measurements do not match the emulated model: {len(off)} of {len(known)} points are "
                f"more than {percent(TRUTH_LIMIT)} from the profile's own curve ({_list(off)}). Most often "
                "another program kept the machine busy, or samples are too short: repeat "
                "on a quiet machine first."
            )
    disturbed = [p for p in results.ok if p.disturbed]
    if disturbed:
        counted = Counter(mark for p in disturbed for marks in p.flags for mark in marks)
        named = ", ".join(f"{mark} {count}" for mark, count in counted.most_common())
        yield (
            f"{sum(p.disturbed for p in disturbed)} of {sum(len(p.samples) for p in results.ok)} samples "
            f"were disturbed ({named}): they are marked in figures and tables, and all are kept."
        )
    wide = [p for p in results.ok if p.value.high - p.value.low > SPREAD_LIMIT * p.value.median]
    if wide:
        yield (
            f"Unstable: the 95 % interval of {len(wide)} of {len(results.ok)} points is wider than "
            f"{percent(SPREAD_LIMIT)} of its median ({_list(wide)}). "
            "More or longer samples help, and a quiet machine."
        )


def _list(points: Sequence[Point]) -> str:
    names = [f"{p.operation} {p.ratio}" for p in points[:_MOST_NAMES]]
    return ", ".join(names) + (f" and {len(points) - _MOST_NAMES} more" if len(points) > _MOST_NAMES else "")


def _missing_points(results: Results) -> list[str]:
    missing = []
    if results.unfinished:
        missing.append(f"{results.unfinished} points of the plan are not measured yet.")
    if results.not_ok:
        names = dict.fromkeys(f"{short_pattern(p.pattern)} {p.operation}" for p in results.not_ok)
        missing.append(f"Not considered, because they failed or were skipped: {'; '.join(names)}.")
    return missing


def _bandwidth(group: Sequence[Point], results: Results, where: str) -> tuple[list[str], list[str]]:
    operation = group[0].operation
    base = baseline(group)
    said = []
    asked = [p for p in group if not p.added]
    best = max(asked or group, key=lambda p: p.value.median)
    if len(asked) > 1:
        relation = f", {_times(best, base)} all DRAM" if base is not None and best is not base else ""
        text = (
            f"Best measured ratio for {operation}{where}: {_name(best, results)} with "
            f"{with_unit(best)} {interval(best.value)}{relation}."
        )
        rivals = [p for p in asked if p is not best and p.value.high >= best.value.low]
        if rivals:
            text += f" Its interval overlaps that of {_names(rivals, group)}: they are statistically "
            text += "indistinguishable."
        said.append(text)
    if base is None:
        lacking = f"No all-DRAM {operation} point{where}: how a ratio compares with DRAM is unknown."
        return said, [lacking]
    mixed = [p for p in group if p.share < 1]
    if not mixed:
        return said, [f"Only all-DRAM {operation} points{where}: there is no ratio to compare."]
    kept = [p for p in mixed if relative(p, base).low >= KEEP]
    lost = [p for p in mixed if relative(p, base).high < KEEP]
    unsure = [p for p in mixed if p not in kept and p not in lost]
    start = f"At least {percent(KEEP)} of all-DRAM {operation} bandwidth{where}"
    if kept:
        least = min(kept, key=lambda p: p.share)
        text = f"{start} is kept by {_parts(kept, base, group)}; least DRAM: {_name(least, results)}."
    else:
        text = f"{start}: no measured ratio keeps it."
    if unsure:
        text += f" Inconclusive, for the interval spans {percent(KEEP)}: {_parts(unsure, base, group)}."
    if lost:
        text += f" Not kept by {_parts(lost, base, group)}."
    return [*said, text], []


def _latency(group: Sequence[Point], _: Results, where: str) -> tuple[list[str], list[str]]:
    base = baseline(group)
    if base is None:
        values = "; ".join(f"{_short(p, group)} {with_unit(p)} {interval(p.value)}" for p in group)
        return [f"{_call(group)}{where}: {values}."], [
            f"No all-DRAM {group[0].operation} point{where}: the added latency of a ratio is unknown."
        ]
    costs = []
    for point in sorted((p for p in group if p.share < 1), key=lambda p: -p.share):
        low, high = point.value.low - base.value.high, point.value.high - base.value.low
        extra = signed(point.value.median - base.value.median, 0)
        costs.append(
            f"{_short(point, group)} {extra} ns [{signed(low, 0)}, {signed(high, 0)}] "
            f"({digits(relative(point, base).median)}×)"
        )
    if not costs:
        return [], [f"Only all-DRAM {group[0].operation} points{where}: there is no ratio to compare."]
    start = f"{_call(group)}{where} is {with_unit(base)} {interval(base.value)} all in DRAM"
    return [f"{start}; added latency: {'; '.join(costs)}."], []


def _call(group: Sequence[Point]) -> str:
    operation = group[0].operation
    return "Latency" if operation == "latency" else f"Latency ({operation})"


def baseline(group: Sequence[Point]) -> Point | None:
    """Return the all-DRAM point that others are compared with: the best one if there are several."""
    every = [p for p in group if p.share == 1 and not p.added] or [p for p in group if p.share == 1]
    if not every:
        return None
    better = min if is_latency(every[0].operation) else max
    return better(every, key=lambda p: p.value.median)


def relative(point: Point, base: Point) -> Estimate:
    """Divide a point by another: as its record does, or with the widest interval that theirs allow."""
    known, top, bottom = point.record.of_dram, point.value, base.value
    if known is not None and known.rounds is not None and point.record.baseline_id == base.point_id:
        return Estimate(known.median, known.ci_low, known.ci_high)
    if bottom.low <= 0 or top.low <= 0:
        return Estimate(top.median / bottom.median, 0.0, float("inf"))
    return Estimate(top.median / bottom.median, top.low / bottom.high, top.high / bottom.low)


def _times(point: Point, base: Point) -> str:
    ratio = relative(point, base)
    bounds = f"({TOO_FEW})" if ratio.says_nothing else f"[{digits(ratio.low)}, {digits(ratio.high)}]"
    return f"{digits(ratio.median)}× {bounds}"


def _parts(points: Sequence[Point], base: Point, group: Sequence[Point]) -> str:
    parts = []
    for point in sorted(points, key=lambda p: -p.share):
        ratio = relative(point, base)
        bounds = f"[{ratio.low * 100:.1f}, {ratio.high * 100:.1f}]"
        bounds = f"({TOO_FEW})" if ratio.says_nothing else bounds
        parts.append(f"{_short(point, group)} ({percent(ratio.median)} {bounds})")
    return ", ".join(parts)


def _names(points: Sequence[Point], group: Sequence[Point]) -> str:
    return ", ".join(_short(p, group) for p in points)


def _short(point: Point, group: Sequence[Point]) -> str:
    # The same ratio in another order is another point: then its pattern must be said.
    alike = sum(p.ratio == point.ratio for p in group)
    text = point.ratio or "?"
    return f"{text} (pattern {short_pattern(point.pattern)})" if alike > 1 else text


def _name(point: Point, results: Results) -> str:
    if point.share == 1:
        return f"all DRAM (pattern {short_pattern(point.pattern)})"
    if point.share == 0:
        return f"all {results.slow_name} (pattern {short_pattern(point.pattern)})"
    return f"DRAM:{results.slow_name} {point.ratio} (pattern {short_pattern(point.pattern)})"
