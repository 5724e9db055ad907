"""What a run has of its points, and what is still to be measured: launches, and the points made of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic

from hmexp.experiment.point_records import join_launches, with_baseline
from hmexp.experiment.protocol import Experiment, P
from hmexp.store.records import LaunchRecord, PointRecord
from hmexp.store.run import RunDirectory


class Backlog(Generic[P]):
    """The points that are to have more launches than they have.

    Nothing that is stored is ever replaced: a finished point that gains launches gets one record more,
    made of all its launches, the earlier ones among them.
    """

    def __init__(self, plan: Experiment[P], directory: RunDirectory, say: Callable[[str], None]) -> None:
        self.plan, self.directory, self._say = plan, directory, say
        self.finished: dict[str, PointRecord] = {
            record.point_id: record for record in directory.records() if record.status in ("ok", "skipped")
        }
        self.points: dict[str, P] = {}
        self.launches: dict[str, dict[int, LaunchRecord]] = {}
        self._failed: set[str] = set()
        self._regained: set[str] = set()
        self.reopen([point for point in plan.points if self._open(point)])

    def _open(self, point: P) -> bool:
        known = self.finished.get(point.id)
        return known is None or (known.status == "ok" and _count(known) < self.target(point))

    def reopen(self, points: Sequence[P]) -> None:
        """Have points gain launches; those of which the launches themselves are not stored cannot."""
        missing = [p for p in points if p.id not in self.launches]
        again = {p.id for p in missing if p.id in self.finished}
        stored = self.directory.launches(again) if missing else {}
        lost = 0
        for point in points:
            known = self.finished.get(point.id)
            if known is not None and known.status == "skipped":
                continue
            if point.id not in self.launches:
                # Launches that failed in an earlier try are measured again.
                found = stored.get(point.id, {})
                ok = {n: record for n, record in found.items() if record.status == "ok"}
                if known is not None and len(ok) < _count(known):
                    lost += 1
                    continue
                self.launches[point.id] = ok
            self.points[point.id] = point
        if lost:
            self._say(f"{lost} points cannot have more launches: theirs are missing from launches.jsonl.")

    def target(self, point: P) -> int:
        """How many launches a point is to have."""
        return point.launches + self.plan.options.repeat

    def needs(self, point: P, number: int) -> bool:
        """Whether a launch of that number is still to be made."""
        in_reach = number < self.target(point)
        return in_reach and point.id in self.points and number not in self.launches[point.id]

    def add(self, point: P, number: int, record: LaunchRecord) -> None:
        """Take a launch that was made."""
        if record.status == "ok":
            self.launches[point.id][number] = record
        else:
            self._failed.add(point.id)
            if point.id not in self.finished:
                self.launches[point.id][number] = record

    def failed(self, point: P) -> bool:
        """Whether a launch of it has failed in this try."""
        return point.id in self._failed

    def settle(self, *, short: bool = False) -> None:
        """Store the points that are complete; with `short`, those that have any launch at all.

        One waits for its all-DRAM point, to hold the multiple of it; its launches are stored meanwhile.
        """
        complete = [p for p in self.points.values() if self._complete(p, short=short)]
        complete.sort(key=lambda point: point.id in self.plan.baselines)
        for point in complete:
            baseline_id = self.plan.baselines.get(point.id)
            if baseline_id in self.points and not short:
                continue
            self._store(point, baseline_id)
        if short:
            self._compare_again()

    def _complete(self, point: P, *, short: bool) -> bool:
        made = self.launches[point.id]
        return point.id in self._failed or len(made) >= (1 if short else self.target(point))

    def _store(self, point: P, baseline_id: str | None) -> None:
        launches = [record for _, record in sorted(self.launches[point.id].items())]
        del self.points[point.id]
        known = self.finished.get(point.id)
        if known is not None and len(launches) <= _count(known):
            return  # what failed was one launch more of a point that is good
        record = join_launches(launches, added=point.id in self.plan.added, baseline_id=baseline_id)
        record = with_baseline(record, self.finished.get(baseline_id or ""))
        self.directory.append(record)
        if known is not None:
            self._regained.add(point.id)
        self.finished[point.id] = record

    def _compare_again(self) -> None:
        """Compare with all-DRAM points that have gained launches those that have not been since."""
        for point_id, baseline_id in self.plan.baselines.items():
            if baseline_id not in self._regained or point_id not in self.finished:
                continue
            known = self.finished[point_id]
            record = with_baseline(known, self.finished[baseline_id])
            if record.of_dram != known.of_dram:
                self.directory.append(record)
                self.finished[point_id] = record
        self._regained.clear()


def _count(record: PointRecord) -> int:
    return len(record.launches) or 1
