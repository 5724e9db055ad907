"""Two runs, point by point: faster, slower, no difference beyond the noise, or not comparable and why."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

from hmexp.errors import ParameterError
from hmexp.report.comparison.machine_state import Difference, differences
from hmexp.report.comparison.readings import Match, Reading, StoredRun, match, why_not_comparable
from hmexp.report.comparison.variation import (
    LaunchNoise,
    chance,
    discoveries,
    launch_noise,
    quantile,
    standard_error,
)
from hmexp.report.run.results import Results

Verdict = Literal["slower", "faster", "no difference", "not comparable"]
#: In the order in which a reader wants them.
VERDICTS: Final[tuple[Verdict, ...]] = ("slower", "faster", "not comparable", "no difference")
#: Of the points called faster or slower, the share that may be so by chance.
FALSE_DISCOVERIES: Final = 0.05
CONFIDENCE: Final = 0.95
_FORMAT: Final = 1


@dataclass(frozen=True)
class Options:
    """How to compare.

    Parameters
    ----------
    of_model : bool
        Compare how far each is from what its emulated nodes must show, not the speeds themselves.
    by_ratio : bool
        Match patterns by their DRAM:slow ratio, not by their nodes' numbers.
    least : float
        Differences smaller than this are ignored, however certain [share, 0.01 is 1 %].
    false_discoveries : float
        Share of the verdicts faster and slower that may be false.
    launch_noise : float or None
        Standard deviation of a median from launch to launch, instead of what the records say [share].
    """

    of_model: bool = False
    by_ratio: bool = False
    least: float = 0.0
    false_discoveries: float = FALSE_DISCOVERIES
    launch_noise: float | None = None

    def __post_init__(self) -> None:
        for name in ("least", "launch_noise"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1:
                raise ParameterError(f"{name} {value!r} is not a share from 0 to below 1", "1 % is 0.01")
        if not 0 < self.false_discoveries < 1:
            raise ParameterError(
                f"false_discoveries {self.false_discoveries!r} is not between 0 and 1", "the usual is 0.05"
            )


@dataclass(frozen=True, slots=True)
class Compared:
    """One point in both runs.

    Parameters
    ----------
    a, b : Reading
        The readings.
    verdict : str
        Of `VERDICTS`; faster and slower are B's.
    why : str or None
        Why it cannot be compared.
    quotient, low, high : float or None
        B / A of the medians, with its own 95 % interval (of this point alone, not of all together).
    chance : float or None
        Two-sided p-value of no difference.
    """

    a: Reading
    b: Reading
    verdict: Verdict
    why: str | None = None
    quotient: float | None = None
    low: float | None = None
    high: float | None = None
    chance: float | None = None


@dataclass(frozen=True)
class Comparison:
    """What became of run B against run A."""

    a: StoredRun
    b: StoredRun
    options: Options
    points: tuple[Compared, ...]
    matched: Match
    noise: dict[str, LaunchNoise]
    differences: tuple[Difference, ...]

    @cached_property
    def counts(self) -> dict[str, int]:
        """Points by verdict."""
        found = Counter(point.verdict for point in self.points)
        return {verdict: found[verdict] for verdict in VERDICTS}

    @property
    def compared(self) -> int:
        """How many points were compared."""
        return len(self.points) - self.counts["not comparable"]

    @property
    def labels(self) -> tuple[str, ...]:
        """What must be written above every number of this comparison."""
        told: dict[str, list[str]] = {}
        for name, run in (("A", self.a), ("B", self.b)):
            for label in Results(run.run, ()).labels:
                told.setdefault(label, []).append(name)
            if any(r.emulated for r in run.readings) and run.run.emulation is None:
                told.setdefault("EMULATED points", []).append(name)
        return tuple(f"{' and '.join(names)}: {label}" for label, names in told.items())

    @cached_property
    def varying(self) -> tuple[str, ...]:
        """Parameters, beside operation and pattern, in which points differ."""
        seen: dict[str, set[str]] = {}
        for point in self.points:
            for name, value in point.a.parameters.items():
                seen.setdefault(name, set()).add(repr(value))
        return tuple(n for n, values in seen.items() if len(values) > 1 and n not in ("operation", "pattern"))

    @cached_property
    def summary(self) -> tuple[str, ...]:
        """The outcome in sentences."""
        counts = self.counts
        limit = f"{self.options.false_discoveries:.0%}"
        lines = [
            (
                f"{len(self.points)} points are in both runs: {counts['slower']} slower in B, "
                f"{counts['faster']} faster, {counts['no difference']} without a difference beyond the "
                f"noise, {counts['not comparable']} not comparable."
            )
        ]
        told = counts["slower"] + counts["faster"]
        if told:
            lines.append(
                f"Of the {told} verdicts faster and slower, {told * self.options.false_discoveries:.1f} "
                f"({limit}) at most are expected to be false: the rate of false discoveries is controlled "
                "over all points (Benjamini-Hochberg). The intervals are of each point alone."
            )
        for operation, group in self._by_operation():
            middle = math.exp(math.fsum(math.log(p.quotient or 1) for p in group) / len(group))
            lines.append(f"{operation}: B / A is {middle:.3f} in the geometric mean of {len(group)} points.")
        for unit, noise in self.noise.items():
            if any(p.quotient is not None and p.a.unit == unit for p in self.points):
                lines.append(
                    f"Noise from launch to launch, {unit}: {noise.deviation:.1%} ({noise.source}"
                    + (
                        f", {noise.freedom:.0f} degrees of freedom)."
                        if math.isfinite(noise.freedom)
                        else ")."
                    )
                )
        for name, only in (("A", self.matched.only_a), ("B", self.matched.only_b)):
            if only:
                lines.append(f"{len(only)} points are in {name} only.")
        if self.matched.ambiguous:
            lines.append(
                f"{len(self.matched.ambiguous)} times several points of a run match the same of the other: "
                "they are left out."
            )
        return (*lines, *self.matched.notes)

    def _by_operation(self) -> Iterable[tuple[str, list[Compared]]]:
        groups: dict[str, list[Compared]] = {}
        for point in self.points:
            if point.quotient is not None:
                groups.setdefault(str(point.a.parameters["operation"]), []).append(point)
        return groups.items()

    def to_record(self) -> dict[str, Any]:
        """The comparison as JSON-able values."""
        return {
            "format": _FORMAT,
            "a": {"name": self.a.name, "points": len(self.a.readings)},
            "b": {"name": self.b.name, "points": len(self.b.readings)},
            "labels": list(self.labels),
            "summary": list(self.summary),
            "counts": self.counts,
            "false_discovery_rate": self.options.false_discoveries,
            "least_difference": self.options.least,
            "of_model": self.options.of_model,
            "launch_noise": {
                unit: {
                    "deviation": noise.deviation,
                    "degrees_of_freedom": noise.freedom if math.isfinite(noise.freedom) else None,
                    "source": noise.source,
                }
                for unit, noise in self.noise.items()
            },
            "differences": [{"name": d.name, "a": d.a, "b": d.b} for d in self.differences],
            "points": [_point_record(point) for point in self.points],
            "only_a": [reading.parameters for reading in self.matched.only_a],
            "only_b": [reading.parameters for reading in self.matched.only_b],
            "ambiguous": [
                [len(in_a), len(in_b), in_a[0].parameters] for in_a, in_b in self.matched.ambiguous
            ],
        }


def _point_record(point: Compared) -> dict[str, Any]:
    return {
        "a": point.a.point_id,
        "b": point.b.point_id,
        "parameters": point.a.parameters,
        "ratio": point.a.ratio,
        "unit": point.a.unit,
        "median_a": point.a.median,
        "median_b": point.b.median,
        "quotient": point.quotient,
        "ci_low": point.low,
        "ci_high": point.high,
        "chance": point.chance,
        "verdict": point.verdict,
        "why": point.why,
    }


def compare(a: Path, b: Path, options: Options | None = None) -> Comparison:
    """Compare run B with run A.

    Parameters
    ----------
    a, b : Path
        Run directories.
    options : Options, optional
        How.

    Raises
    ------
    StoreError
        If a run cannot be read.
    """
    return compare_runs(StoredRun.load(a), StoredRun.load(b), options or Options())


def compare_runs(a: StoredRun, b: StoredRun, options: Options) -> Comparison:
    """Compare two runs that were read already; see `compare`."""
    matched = match(a, b, options.by_ratio)
    noise = launch_noise((*a.readings, *b.readings), (a.run, b.run), options.launch_noise)
    tested: list[Compared] = []
    refused: list[Compared] = []
    for one, other in matched.pairs:
        why = why_not_comparable(one, other, options.of_model)
        if why is not None:
            refused.append(Compared(one, other, "not comparable", why))
        else:
            tested.append(_quotient(one, other, noise[one.unit or ""], options.of_model))
    held = discoveries([point.chance or 0.0 for point in tested], options.false_discoveries)
    judged = [_judge(point, true, options.least) for point, true in zip(tested, held, strict=True)]
    points = sorted((*judged, *refused), key=_order)
    return Comparison(a, b, options, tuple(points), matched, noise, differences(a.run, b.run))


def _quotient(a: Reading, b: Reading, noise: LaunchNoise, of_model: bool) -> Compared:
    difference = math.log((b.median or 1.0) / (a.median or 1.0))
    if of_model:
        difference -= math.log((b.model or 1.0) / (a.model or 1.0))
    error = math.hypot(standard_error(a, noise), standard_error(b, noise))
    # Without any error, not a single sample differs from another: then any difference is one.
    p = chance(difference / error, noise.freedom) if error > 0 else float(not difference)
    reach = quantile(CONFIDENCE, noise.freedom) * error
    low, middle, high = (math.exp(difference + shift) for shift in (-reach, 0.0, reach))
    return Compared(a, b, "no difference", None, middle, low, high, p)


def _judge(point: Compared, true: bool, least: float) -> Compared:
    quotient = point.quotient or 1.0
    if not true or quotient == 1.0 or abs(math.log(quotient)) <= math.log1p(least):
        return point
    # More GB/s is faster, more ns is slower.
    faster = (quotient > 1) != (point.a.unit == "ns")
    return Compared(
        point.a, point.b, "faster" if faster else "slower", None,
        point.quotient, point.low, point.high, point.chance,
    )  # fmt: skip


def _order(point: Compared) -> tuple[Any, ...]:
    size = abs(math.log(point.quotient)) if point.quotient else 0.0
    return (VERDICTS.index(point.verdict), -size, str(point.a), point.a.point_id)


def shown(points: Sequence[Compared], most: int) -> tuple[Sequence[Compared], int]:
    """Return the points to show a person, and how many are left out: the least interesting ones."""
    return (points, 0) if len(points) <= most else (points[:most], len(points) - most)
