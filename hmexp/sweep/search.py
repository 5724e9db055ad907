"""The cheapest ratio that keeps what is needed, in as few launches as it takes.

What a need asks for gets worse with less DRAM, or has one best ratio on the way (a link that carries both
directions at once): if all DRAM keeps the needs, those that keep them are all ratios above a limit. So the
limit is found by halving. Each ratio gets launches until whole 95 % intervals decide, as the report judges
them, or it has as many as a point may have. If all DRAM does not keep the needs for certain, a ratio may
all the same, and they are gone through from the least DRAM up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from hmexp.experiment.backlog import Backlog
from hmexp.experiment.kinds import find_samples
from hmexp.experiment.point_records import made_launches
from hmexp.experiment.schedule import PLANNED, Clock, Step
from hmexp.measure.need import Requirement
from hmexp.measure.rounds import Made, interval_of_rounds, rounds_of
from hmexp.measure.statistics import median_of, summarise_launches
from hmexp.store.parts import SearchRecord
from hmexp.store.records import LaunchRecord, PointRecord
from hmexp.sweep.point import SweepPoint

Mark = Literal["kept", "not kept", "inconclusive", "not measured"]
#: One launch says nothing of how launches differ.
LEAST_LAUNCHES: Final = 2


@dataclass(frozen=True)
class Trial:
    """A point of a ratio, and a need that is for it.

    Parameters
    ----------
    need : Requirement
        The limit.
    point : SweepPoint
        What is measured.
    base : SweepPoint or None
        All DRAM, if the limit is a multiple of that.
    """

    need: Requirement
    point: SweepPoint
    base: SweepPoint | None

    @property
    def points(self) -> tuple[SweepPoint, ...]:
        """What it takes to judge it: nothing, where all DRAM is compared with itself."""
        if self.base is None:
            return (self.point,)
        return () if self.base == self.point else (self.point, self.base)

    @property
    def series(self) -> tuple[Requirement, SweepPoint]:
        """What it has in common with the trials of other ratios."""
        return self.need, replace(self.point, pattern="")


@dataclass(frozen=True)
class Candidate:
    """A ratio to choose from, with a trial for each need and each point that it is for."""

    pattern: str
    trials: tuple[Trial, ...]


@dataclass(frozen=True)
class _Value:
    """A median with its 95 % interval."""

    median: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2 / self.median


class RatioSearch:
    """A search over ratios, see the head of this module; a `hmexp.experiment.schedule.Search`.

    Parameters
    ----------
    needs : sequence of Requirement
        What a ratio has to keep.
    candidates : sequence of Candidate
        From the least DRAM up.
    dram : Candidate
        All DRAM.
    backlog : Backlog
        What has been measured.
    clock : Clock or None
        Which launches still end in time; None if there is no end.
    """

    def __init__(
        self,
        needs: Sequence[Requirement],
        candidates: Sequence[Candidate],
        dram: Candidate,
        backlog: Backlog[SweepPoint],
        clock: Clock[SweepPoint] | None = None,
    ) -> None:
        self._needs, self._candidates, self._dram = needs, candidates, dram
        self._backlog, self._clock = backlog, clock
        self._values: dict[tuple[str, int], _Value | None] = {}
        self._margins: dict[tuple[Requirement, SweepPoint], float] = {}
        self._marks: dict[str, Mark] = {}
        self._late = False

    @property
    def most_launches(self) -> int:
        """Launches that halving takes at most."""
        return count_most(self._candidates, self._dram)

    @property
    def chosen(self) -> str | None:
        """The pattern with the least DRAM that keeps the needs for certain, of those that were decided."""
        kept = (c.pattern for c in self._candidates if self._marks.get(c.pattern) == "kept")
        return next(kept, None)

    def took(self, point: SweepPoint, seconds: float) -> None:
        """Learn how long a launch took, with its process."""
        if self._clock is not None:
            self._clock.took(point, seconds)

    def steps(self) -> Iterator[Step[SweepPoint]]:
        """One launch after the other, until the cheapest ratio is known."""
        yield from self._decide(self._dram)
        halving = self._marks[self._dram.pattern] == "kept"
        low, high = -1, len(self._candidates)
        while high - low > 1 and not self._late:
            tried = (low + high) // 2 if halving else low + 1
            yield from self._decide(self._candidates[tried])
            kept = self._marks[self._candidates[tried].pattern] == "kept"
            low, high = (low, tried) if kept else (tried, high)
            if kept and not halving:
                return

    def record(self) -> SearchRecord:
        """What it looked for, and how it ended."""
        plan = self._backlog.plan
        looked_at = [c for c in self._candidates if any(self._count(trial.point) for trial in c.trials)]
        failed = "not measured" in self._marks.values()
        return SearchRecord(
            needs=tuple(map(str, self._needs)),
            patterns=tuple(candidate.pattern for candidate in self._candidates),
            looked_at=tuple(candidate.pattern for candidate in looked_at),
            launches=sum(map(self._count, plan.points)),
            grid_launches=sum(map(self._backlog.target, plan.points)),
            open="time" if self._late else "failures" if failed else None,
            noise=tuple(c.pattern for c in self._candidates if self._marks.get(c.pattern) == "inconclusive"),
        )

    def _decide(self, candidate: Candidate) -> Iterator[Step[SweepPoint]]:
        """Measure a ratio until it is decided; the need that it most likely fails comes first."""
        marks: list[Mark] = []
        for trial in sorted(candidate.trials, key=lambda trial: self._margins.get(trial.series, 1.0)):
            yield from self._measure(trial)
            marks.append("not measured" if self._late and self._is_open(trial) else self._judge(trial))
            if marks[-1] == "not kept" or self._late:
                break
        order: tuple[Mark, ...] = ("not kept", "not measured", "inconclusive")
        self._marks[candidate.pattern] = next((mark for mark in order if mark in marks), "kept")

    def _measure(self, trial: Trial) -> Iterator[Step[SweepPoint]]:
        """Launches of a point and of its all-DRAM point, until their intervals decide."""
        while self._is_open(trial) and not any(map(self._backlog.failed, trial.points)):
            wanted = [point for point in trial.points if self._may_gain(point)]
            if not wanted:
                return
            point = max(wanted, key=self._ignorance)
            if self._clock is not None and not self._clock.fits(point):
                self._late = True
                return
            made = self._backlog.launches[point.id]
            yield point, next(number for number in range(len(made) + 1) if number not in made), PLANNED

    def _is_open(self, trial: Trial) -> bool:
        known = all(self._count(point) >= LEAST_LAUNCHES for point in trial.points)
        return not known or self._judge(trial) == "inconclusive"

    def _judge(self, trial: Trial) -> Mark:
        """As the report does: by rounds of both, or by the widest interval that those of both allow."""
        if not trial.points:
            return trial.need.judge(1.0, 1.0)
        values = [self._value(point) for point in trial.points]
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            return "not measured"
        low, middle, high = known[0].low, known[0].median, known[0].high
        if len(known) > 1:
            low, middle, high = low / known[1].high, middle / known[1].median, high / known[1].low
            if rounds := rounds_of(*map(self._made, trial.points)):
                low, high = interval_of_rounds(rounds, middle)
        quotient = middle / trial.need.limit
        self._margins[trial.series] = 1 / quotient if trial.need.is_latency else quotient
        return trial.need.judge(low, high)

    def _value(self, point: SweepPoint) -> _Value | None:
        """What its launches say; None if one failed, or there are too few."""
        count = self._count(point)
        if self._backlog.failed(point) or count < LEAST_LAUNCHES:
            return None
        key = point.id, count
        if key not in self._values:
            made = list(self._backlog.launches.get(point.id, {}).values())
            self._values[key] = _joined(made) if made else _stored(self._backlog.finished[point.id])
        return self._values[key]

    def _made(self, point: SweepPoint) -> tuple[Made, ...]:
        """Its launches, of this try or of the one that finished it."""
        made = self._backlog.launches.get(point.id)
        if not made:
            return made_launches(self._backlog.finished[point.id])
        found = {number: find_samples(record) for number, record in made.items()}
        return tuple(
            Made(number, made[number].started, float(median_of(result.samples)))
            for number, result in found.items()
            if result is not None
        )

    def _ignorance(self, point: SweepPoint) -> tuple[int, float]:
        """What is the least known has few launches, and then a wide interval."""
        value = self._value(point)
        # By turns, until there is an interval: a drift of the machine must not look like an effect.
        return (LEAST_LAUNCHES - self._count(point), 0.0) if value is None else (0, value.half_width)

    def _may_gain(self, point: SweepPoint) -> bool:
        return point.id in self._backlog.points and self._count(point) < self._backlog.target(point)

    def _count(self, point: SweepPoint) -> int:
        """Launches that it has; those of a point that was finished earlier are in its record alone."""
        made = self._backlog.launches.get(point.id)
        if made:
            return len(made)
        known = self._backlog.finished.get(point.id)
        return len(known.launches) if known is not None and known.status == "ok" else 0


def _joined(made: Sequence[LaunchRecord]) -> _Value | None:
    samples = [found.samples for record in made if (found := find_samples(record)) is not None]
    if len(samples) < len(made):
        return None
    joined = summarise_launches(samples)
    return None if joined.interval is None else _Value(joined.median, *joined.interval)


def _stored(record: PointRecord) -> _Value | None:
    found = find_samples(record)
    if found is None or found.ci_low is None or found.ci_high is None:
        return None
    return _Value(found.median, found.ci_low, found.ci_high)


def count_most(candidates: Sequence[Candidate], dram: Candidate) -> int:
    """Launches that halving takes at most: of so many ratios, and of all DRAM."""
    each = {p for candidate in candidates for trial in candidate.trials for p in trial.points[:1]}
    once = {p for c in (*candidates, dram) for trial in c.trials for p in trial.points} - each
    per_ratio = -(-sum(point.launches for point in each) // max(1, len(candidates)))
    return per_ratio * len(candidates).bit_length() + sum(point.launches for point in once)
