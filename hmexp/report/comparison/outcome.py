"""What became of one run against another: a verdict for each point, and the whole in sentences."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

from hmexp.report.comparison.bridging import say_bridged
from hmexp.report.comparison.machine_state import Difference
from hmexp.report.comparison.options import ComparisonOptions
from hmexp.report.comparison.reading import Reading
from hmexp.report.comparison.readings import Match, StoredRun
from hmexp.report.comparison.variation import LaunchNoise
from hmexp.report.run.results import Results

Verdict = Literal["slower", "faster", "no difference", "not comparable"]
#: In the order in which a reader wants them.
VERDICTS: Final[tuple[Verdict, ...]] = ("slower", "faster", "not comparable", "no difference")


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
    options: ComparisonOptions
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
        text: dict[str, list[str]] = {}
        for name, run in (("A", self.a), ("B", self.b)):
            for label in Results(run.run, ()).labels:
                text.setdefault(label, []).append(name)
            if any(r.emulated for r in run.readings) and run.run.emulation is None:
                text.setdefault("EMULATED points", []).append(name)
        return tuple(f"{' and '.join(names)}: {label}" for label, names in text.items())

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
        limit = f"{self.options.false_discoveries * 100:.2g}%"
        lines = [
            (
                f"{len(self.points)} points are in both runs: {counts['slower']} slower in B, "
                f"{counts['faster']} faster, {counts['no difference']} without a difference beyond the "
                f"noise, {counts['not comparable']} not comparable."
            )
        ]
        text = counts["slower"] + counts["faster"]
        if text:
            lines.append(
                f"Of the {text} verdicts faster and slower, {text * self.options.false_discoveries:.1f} "
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
        bridged = say_bridged((p.a, p.b) for p in self.points if p.quotient is not None)
        lines += [] if bridged is None else [bridged]
        return (*lines, *self.matched.notes)

    @property
    def incomplete(self) -> tuple[str, ...]:
        """What is missing of the runs themselves, in words: points not measured yet, or failed."""
        parts = []
        for name, run in (("A", self.a), ("B", self.b)):
            failed = sum(reading.status == "failed" for reading in run.readings)
            planned = len(run.readings) + run.unfinished
            words = [f"{run.unfinished} are not measured yet"] if run.unfinished else []
            words += [f"{failed} failed"] if failed else []
            if words:
                parts.append(f"of the {planned} points of {name} {' and '.join(words)}")
        return tuple(parts)

    def _by_operation(self) -> Iterable[tuple[str, list[Compared]]]:
        groups: dict[str, list[Compared]] = {}
        for point in self.points:
            if point.quotient is not None:
                groups.setdefault(str(point.a.parameters["operation"]), []).append(point)
        return groups.items()


def shown(points: Sequence[Compared], most: int) -> tuple[Sequence[Compared], int]:
    """Return the points to show a person, and how many are left out: the least interesting ones."""
    return (points, 0) if len(points) <= most else (points[:most], len(points) - most)
