"""What is there of the points of a run, and what is not: launches, and points that are made of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hmexp.experiment.joining import join_launches, with_baseline
from hmexp.experiment.point import Point
from hmexp.store.run import RunDirectory
from hmexp.sweep.plan import Plan

Record = dict[str, Any]


class Pending:
    """The points that are to have more launches than they have.

    Nothing that is stored is ever replaced: a finished point that gains launches gets one record more,
    made of all its launches, the earlier ones among them.
    """

    def __init__(self, plan: Plan, directory: RunDirectory, say: Callable[[str], None]) -> None:
        self.plan, self.directory, self._say = plan, directory, say
        records = {record["point_id"]: record for record in directory.records()}
        self.finished: dict[str, Record] = {
            id_: record for id_, record in records.items() if record["status"] in ("ok", "skipped")
        }
        self.points: dict[str, Point] = {}
        self.launches: dict[str, dict[int, Record]] = {}
        self._failed: set[str] = set()
        self._regained: set[str] = set()
        self.reopen(
            [
                point
                for point in plan.points
                if point.id not in self.finished
                or (self.finished[point.id]["status"] == "ok" and self._count(point.id) < self.target(point))
            ]
        )

    def reopen(self, points: list[Point]) -> None:
        """Have points gain launches; those of which the launches themselves are not stored cannot."""
        missing = [p for p in points if p.id not in self.launches]
        again = {p.id for p in missing if p.id in self.finished}
        stored = self.directory.launches(again) if missing else {}
        lost = 0
        for point in points:
            if self.finished.get(point.id, {}).get("status") == "skipped":
                continue
            if point.id not in self.launches:
                # Launches that failed in an earlier try are measured again.
                found = stored.get(point.id, {})
                ok = {n: record for n, record in found.items() if record["status"] == "ok"}
                if point.id in self.finished and len(ok) < self._count(point.id):
                    lost += 1
                    continue
                self.launches[point.id] = ok
            self.points[point.id] = point
        if lost:
            self._say(f"{lost} points cannot have more launches: launches.jsonl lacks those they have.")

    def _count(self, point_id: str) -> int:
        return len(self.finished[point_id].get("launches") or (None,))

    def target(self, point: Point) -> int:
        """How many launches a point is to have."""
        return point.launches + self.plan.parameters.repeat

    def lacks(self, point: Point, number: int) -> bool:
        """Whether a launch of that number is still to be made."""
        return point.id in self.points and number not in self.launches[point.id]

    def add(self, point: Point, number: int, record: Record) -> None:
        """Take a launch that was made."""
        if record["status"] == "ok":
            self.launches[point.id][number] = record
        else:
            self._failed.add(point.id)
            if point.id not in self.finished:
                self.launches[point.id][number] = record

    def failed(self, point: Point) -> bool:
        """Whether a launch of it has failed in this try."""
        return point.id in self._failed

    def settle(self, *, short: bool = False) -> None:
        """Store the points that are complete; with `short`, those that have any launch at all.

        One waits for its all-DRAM point, to hold the multiple of it; its launches are stored meanwhile.
        """
        complete = [p for p in self.points.values() if self._complete(p, short)]
        complete.sort(key=lambda point: point.id in self.plan.baselines)
        for point in complete:
            baseline_id = self.plan.baselines.get(point.id)
            if baseline_id in self.points and not short:
                continue
            self._store(point, baseline_id)
        if short:
            self._compare_again()

    def _complete(self, point: Point, short: bool) -> bool:
        made = self.launches[point.id]
        return point.id in self._failed or len(made) >= (1 if short else self.target(point))

    def _store(self, point: Point, baseline_id: str | None) -> None:
        launches = [record for _, record in sorted(self.launches[point.id].items())]
        del self.points[point.id]
        if point.id in self.finished and len(launches) <= self._count(point.id):
            return  # what failed was one launch more of a point that is good
        record = join_launches(launches, added=point.id in self.plan.added, baseline_id=baseline_id)
        record = with_baseline(record, self.finished.get(baseline_id or ""))
        self.directory.append(record)
        if point.id in self.finished:
            self._regained.add(point.id)
        self.finished[point.id] = record

    def _compare_again(self) -> None:
        """Compare with all-DRAM points that have gained launches those that have not been since."""
        for point_id, baseline_id in self.plan.baselines.items():
            if baseline_id not in self._regained or point_id not in self.finished:
                continue
            known = self.finished[point_id]
            record = with_baseline(known, self.finished[baseline_id])
            if record["of_dram"] != known["of_dram"]:
                self.directory.append(record)
                self.finished[point_id] = record
        self._regained.clear()
