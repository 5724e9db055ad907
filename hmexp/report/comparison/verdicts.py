"""Two runs, point by point: faster, slower, no difference beyond the noise, or not comparable and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from hmexp.report.comparison.bridging import bridge
from hmexp.report.comparison.captured import held_against, profile_as_it_stands
from hmexp.report.comparison.machine_state import differences
from hmexp.report.comparison.options import ComparisonOptions
from hmexp.report.comparison.outcome import VERDICTS, Compared, Comparison
from hmexp.report.comparison.reading import Reading
from hmexp.report.comparison.readings import StoredRun, match, why_not_comparable
from hmexp.report.comparison.variation import (
    LaunchNoise,
    chance,
    discoveries,
    launch_noise,
    quantile,
    standard_error,
)

CONFIDENCE: Final = 0.95


def compare(a: Path, b: Path, options: ComparisonOptions | None = None) -> Comparison:
    """Compare run B with run A.

    Parameters
    ----------
    a, b : Path
        Run directories.
    options : ComparisonOptions, optional
        How.

    Raises
    ------
    StoreError
        If a run cannot be read.
    """
    return compare_runs(StoredRun.load(a), StoredRun.load(b), options or ComparisonOptions())


def compare_with_each(a: Path, others: Sequence[Path], options: ComparisonOptions) -> list[Comparison]:
    """Compare several runs with run A; the false verdicts that are allowed are shared among them.

    Parameters
    ----------
    a : Path
        Run directory to compare with.
    others : sequence of Path
        Run directories to judge.
    options : ComparisonOptions
        How.

    Raises
    ------
    StoreError
        If a run cannot be read.
    """
    first = StoredRun.load(a)
    each = replace(options, false_discoveries=options.false_discoveries / len(others))
    return [compare_runs(first, StoredRun.load(other), each) for other in others]


def compare_runs(a: StoredRun, b: StoredRun, options: ComparisonOptions) -> Comparison:
    """Compare two runs that were read already; see `compare`."""
    profile = profile_as_it_stands(b) if options.of_profile else None
    left_out = ("threads",) if options.of_profile else ()
    matched = match(a, b, by_ratio=options.by_ratio, left_out=left_out)
    noise = launch_noise((*a.readings, *b.readings), (a.run, b.run), options.launch_noise)
    tested: list[Compared] = []
    refused: list[Compared] = []
    for first, other in matched.pairs:
        one = first if profile is None else held_against(profile, first, other)
        why = why_not_comparable(one, other, of_model=options.of_model, of_profile=options.of_profile)
        if why is not None:
            refused.append(Compared(one, other, "not comparable", why))
        else:
            tested.append(_quotient(one, other, noise[one.unit or ""], options))
    held = discoveries([point.chance or 0.0 for point in tested], options.false_discoveries)
    judged = [
        _judge(point, options.least) if true else point for point, true in zip(tested, held, strict=True)
    ]
    points = sorted((*judged, *refused), key=_order)
    return Comparison(a, b, options, tuple(points), matched, noise, differences(a.run, b.run))


def _quotient(a: Reading, b: Reading, noise: LaunchNoise, options: ComparisonOptions) -> Compared:
    difference = math.log((b.median or 1.0) / (a.median or 1.0))
    difference -= math.log(bridge(a, b))
    if options.of_model or options.of_profile:
        difference -= math.log((b.model or 1.0) / (a.model or 1.0))
    error = math.hypot(standard_error(a, noise), standard_error(b, noise))
    # Without any error, not a single sample differs from another: then any difference is one.
    p = chance(difference / error, noise.freedom) if error > 0 else float(not difference)
    reach = quantile(CONFIDENCE, noise.freedom) * error
    low, middle, high = (math.exp(difference + shift) for shift in (-reach, 0.0, reach))
    return Compared(a, b, "no difference", None, middle, low, high, p)


def _judge(point: Compared, least: float) -> Compared:
    quotient = point.quotient or 1.0
    if quotient == 1.0 or abs(math.log(quotient)) <= math.log1p(least):
        return point
    # More GB/s is faster, more ns is slower; of a program, its workload says which.
    faster = (quotient > 1) != point.a.less_is_better
    return replace(point, verdict="faster" if faster else "slower")


def _order(point: Compared) -> tuple[int, float, str, str]:
    size = abs(math.log(point.quotient)) if point.quotient else 0.0
    return (VERDICTS.index(point.verdict), -size, str(point.a), point.a.point_id)
