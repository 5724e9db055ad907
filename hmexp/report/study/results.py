"""The records of a study as the report sees them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hmexp.errors import StoreError
from hmexp.measure.statistics import summarise
from hmexp.report.run.point import Estimate
from hmexp.report.run.results import Results
from hmexp.store.reader import POINTS, read_points, read_run
from hmexp.store.records import PointRecord, RunRecord

P = TypeVar("P")
R = TypeVar("R")


@dataclass(frozen=True)
class StudyResults:
    """A study: what `run.json` says, and the last record of each point."""

    run: RunRecord
    records: tuple[PointRecord, ...]

    @classmethod
    def load(cls, run_dir: Path, name: str | None = None) -> StudyResults:
        """Read a run directory.

        Raises
        ------
        StoreError
            If it is none, or not of a study of that name.
        """
        run = read_run(run_dir)
        found = run.study
        if found is None or name not in (None, found):
            raise StoreError(
                f"{run_dir} is not the run of a study of {name or 'placers or granularity'}",
                "name a folder that `hmexp study` or its notebook has made",
            )
        return cls(run, tuple(read_points(run_dir / POINTS).values()))

    @property
    def name(self) -> str:
        """Which study it is."""
        return str(self.run.study)

    @property
    def title(self) -> Results:
        """What `framed` takes its labels from: emulated or functional only."""
        return Results(self.run, ())

    @property
    def labels(self) -> tuple[str, ...]:
        """What must be written on everything that is made of this run."""
        return self.title.labels

    @property
    def not_ok(self) -> tuple[PointRecord, ...]:
        """Records of points that failed or were skipped."""
        return tuple(record for record in self.records if record.status != "ok")

    @property
    def measured_count(self) -> int:
        """How many points were measured."""
        return len(self.records) - len(self.not_ok)

    def measured(self, parameters: type[P], result: type[R]) -> list[tuple[P, R, PointRecord]]:
        """The points of one kind that were measured: parameters, result and the whole record.

        Parameters
        ----------
        parameters, result : type
            The structs of the kind, such as `CostPoint` and `CostRecord`.
        """
        return [
            (record.parameters, record.result, record)
            for record in self.records
            if record.status == "ok"
            and isinstance(record.parameters, parameters)
            and isinstance(record.result, result)
        ]


def estimate_of(values: list[float]) -> Estimate | None:
    """Median and 95 % interval of positive values; None of none."""
    if not values:
        return None
    found = summarise(values)
    if found.ci_low is None or found.ci_high is None:
        return Estimate(found.median, 0.0, math.inf)
    return Estimate(found.median, found.ci_low, found.ci_high)
