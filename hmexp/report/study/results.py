"""The records of a study as the report sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hmexp.errors import StoreError
from hmexp.measure.statistics import summarise
from hmexp.report.run.point import Estimate, Record
from hmexp.report.run.results import Results


@dataclass(frozen=True)
class StudyResults:
    """A study: what `run.json` says, and the last record of each point."""

    run: Record
    records: tuple[Record, ...]

    @classmethod
    def load(cls, run_dir: Path, name: str | None = None) -> StudyResults:
        """Read a run directory.

        Raises
        ------
        StoreError
            If it is none, or not of a study of that name.
        """
        from hmexp.store import run as store

        run = store.read_run(run_dir)
        found = run.get("study")
        if found is None or name not in (None, found):
            raise StoreError(
                f"{run_dir} is not the run of a study of {name or 'placers or granularity'}",
                "name a folder that `hmexp study` or its notebook has made",
            )
        return cls(run, tuple(store.read_records(run_dir)))

    @property
    def name(self) -> str:
        """Which study it is."""
        return str(self.run.get("study"))

    @property
    def title(self) -> Results:
        """What `framed` takes its labels from: emulated or functional only."""
        return Results(self.run, ())

    @property
    def labels(self) -> tuple[str, ...]:
        """What must be written on everything that is made of this run."""
        return self.title.labels

    @property
    def not_ok(self) -> tuple[Record, ...]:
        """Records of points that failed or were skipped."""
        return tuple(record for record in self.records if record.get("status") != "ok")

    def ok(self, kind: str, **parameters: Any) -> list[Record]:
        """Records of one kind of point, with these parameters, that were measured."""
        return [
            record
            for record in self.records
            if record.get("status") == "ok" and record.get("kind") == kind and _has(record, parameters)
        ]


def _has(record: Record, parameters: Mapping[str, Any]) -> bool:
    given = record.get("parameters") or {}
    return all(given.get(name) == value for name, value in parameters.items())


def estimate_of(values: list[float]) -> Estimate | None:
    """Median and 95 % interval of positive values; None of none."""
    if not values:
        return None
    found = summarise(values)
    return Estimate(found.median, found.ci_low, found.ci_high)
