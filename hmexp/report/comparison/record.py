"""A comparison as `hmexp compare --json` prints it."""

from __future__ import annotations

import math
from typing import Final

import msgspec

from hmexp.report.comparison.outcome import Compared, Comparison, Verdict
from hmexp.report.comparison.reading import Reading
from hmexp.report.comparison.readings import StoredRun
from hmexp.report.comparison.variation import LaunchNoise
from hmexp.store.schema import Fact

#: It grows when a field changes its meaning; a new field alone does not change it.
FORMAT: Final = 1


class RunSummary(msgspec.Struct, frozen=True):
    """One of the two runs."""

    name: str
    points: int


class NoiseSummary(msgspec.Struct, frozen=True):
    """Noise from launch to launch [natural logarithm]."""

    deviation: float
    degrees_of_freedom: float | None
    source: str


class DifferenceRecord(msgspec.Struct, frozen=True):
    """A fact that the runs do not share."""

    name: str
    a: str
    b: str


class ComparedRecord(msgspec.Struct, frozen=True):
    """A point in both runs; medians in its unit, `quotient` and its interval are B / A."""

    a: str
    b: str
    parameters: dict[str, Fact]
    ratio: str | None
    unit: str | None
    median_a: float | None
    median_b: float | None
    quotient: float | None
    ci_low: float | None
    ci_high: float | None
    chance: float | None
    verdict: Verdict
    why: str | None


class ComparisonRecord(msgspec.Struct, frozen=True):
    """A whole comparison."""

    format: int
    a: RunSummary
    b: RunSummary
    labels: tuple[str, ...]
    summary: tuple[str, ...]
    counts: dict[str, int]
    false_discovery_rate: float
    least_difference: float
    of_model: bool
    of_profile: bool
    launch_noise: dict[str, NoiseSummary]
    differences: tuple[DifferenceRecord, ...]
    points: tuple[ComparedRecord, ...]
    only_a: tuple[dict[str, Fact], ...]
    only_b: tuple[dict[str, Fact], ...]
    #: How many points of A and of B match each other, and what they are.
    ambiguous: tuple[tuple[int, int, dict[str, Fact]], ...]


def record_of(comparison: Comparison) -> ComparisonRecord:
    """Make the record of a comparison."""
    matched, options = comparison.matched, comparison.options
    return ComparisonRecord(
        format=FORMAT,
        a=_run(comparison.a),
        b=_run(comparison.b),
        labels=comparison.labels,
        summary=comparison.summary,
        counts=comparison.counts,
        false_discovery_rate=options.false_discoveries,
        least_difference=options.least,
        of_model=options.of_model,
        of_profile=options.of_profile,
        launch_noise={unit: _noise(noise) for unit, noise in comparison.noise.items()},
        differences=tuple(DifferenceRecord(one.name, one.a, one.b) for one in comparison.differences),
        points=tuple(map(_point, comparison.points)),
        only_a=_parameters(matched.only_a),
        only_b=_parameters(matched.only_b),
        ambiguous=tuple((len(in_a), len(in_b), in_a[0].parameters) for in_a, in_b in matched.ambiguous),
    )


def _run(run: StoredRun) -> RunSummary:
    return RunSummary(run.name, len(run.readings))


def _noise(noise: LaunchNoise) -> NoiseSummary:
    known = math.isfinite(noise.freedom)
    return NoiseSummary(noise.deviation, noise.freedom if known else None, noise.source)


def _parameters(readings: tuple[Reading, ...]) -> tuple[dict[str, Fact], ...]:
    return tuple(reading.parameters for reading in readings)


def _point(point: Compared) -> ComparedRecord:
    return ComparedRecord(
        a=point.a.point_id,
        b=point.b.point_id,
        parameters=point.a.parameters,
        ratio=point.a.ratio,
        unit=point.a.unit,
        median_a=point.a.median,
        median_b=point.b.median,
        quotient=point.quotient,
        ci_low=point.low,
        ci_high=point.high,
        chance=point.chance,
        verdict=point.verdict,
        why=point.why,
    )
