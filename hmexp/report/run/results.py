"""A run as the report sees it: what `run.json` says, and its points."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

from hmexp.report.run.point import Point, short_pattern
from hmexp.report.run.portrait import Row, draw_run
from hmexp.report.run.soundness import require_sound
from hmexp.report.run.wording import Series, say_series
from hmexp.store.machine import EmulationRecord, ProfileRecord
from hmexp.store.reader import POINTS, read_run, take_points
from hmexp.store.records import PointRecord, RunRecord
from hmexp.store.sharing import Sharing
from hmexp.store.validity import label_untimed

OPERATIONS: Final = ("read", "write", "latency")
_KIND_NAMES: Final = {"dram": "DRAM", "nvm": "NVM", "cxl": "CXL"}
_MOST_ROWS: Final = 40
#: What a series is sorted by.
Rank = tuple[tuple[str, tuple[int, float, str]], ...]


@dataclass(frozen=True)
class Results:
    """A whole run: what `run.json` says and every point's last record."""

    run: RunRecord
    points: tuple[Point, ...]
    #: What must be said of the points as a whole: that they are not all of the run's.
    note: str | None = None
    #: Where it was read, if it was.
    folder: Path | None = None

    @classmethod
    def from_records(cls, records: Iterable[PointRecord], run: RunRecord, note: str | None = None) -> Results:
        """Build from records; points come in the order of operation, series, then from all DRAM down."""
        known: dict[Series, Series] = {}
        points = [Point.from_record(record, run.dram_nodes, known) for record in records]
        ranks = {series: _rank(series) for series in known}
        return cls(run, tuple(sorted(points, key=lambda point: _order(point, ranks))), note)

    @classmethod
    def load(cls, run_dir: Path) -> Results:
        """Read `points.jsonl` and `run.json` of a run directory.

        Raises
        ------
        StoreError
            If one cannot be read, or a point that is said to be measured cannot have been.
        """
        run = read_run(run_dir)
        records = take_points(run_dir / POINTS, Sharing())
        require_sound(records.values(), run, run_dir / POINTS)
        found = cls.from_records(records.values(), run)
        return replace(found, folder=run_dir)

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.run.name or "unnamed run"

    @cached_property
    def ok(self) -> tuple[Point, ...]:
        """The points that were measured and proven."""
        return tuple(point for point in self.points if point.ok)

    @cached_property
    def not_ok(self) -> tuple[Point, ...]:
        """The points that failed or were skipped: listed with their reasons, never drawn."""
        return tuple(point for point in self.points if not point.ok)

    @property
    def operations(self) -> tuple[str, ...]:
        """What was measured, read, write and latency first."""
        measured = dict.fromkeys(point.operation for point in self.points if point.operation)
        return tuple(sorted(measured, key=lambda op: OPERATIONS.index(op) if op in OPERATIONS else 99))

    @property
    def unfinished(self) -> int:
        """Points of the plan that have no record yet."""
        return max(0, (self.run.points or 0) - len(self.points))

    @property
    def emulation(self) -> EmulationRecord | None:
        """What `run.json` says of the emulated nodes, if there are any."""
        return self.run.emulation

    @cached_property
    def emulated(self) -> bool:
        """True if any speed in this run is a software model's."""
        return self.emulation is not None or any(point.record.emulated for point in self.points)

    @cached_property
    def timing_valid(self) -> bool:
        """False if the run, or any point of it, says that its timings mean nothing."""
        return self.run.timing_valid and all(point.record.timing_valid for point in self.points)

    @property
    def dram_nodes(self) -> tuple[int, ...]:
        """Ids of the DRAM nodes."""
        return self.run.dram_nodes

    @property
    def backing(self) -> dict[int, int]:
        """The real node behind each emulated node."""
        return {} if self.emulation is None else dict(self.emulation.backing)

    @cached_property
    def kinds(self) -> dict[int, str]:
        """Kind of every node: `dram`, `nvm`, `cxl` or `unknown`; emulated nodes too."""
        kinds = {node.id: node.kind for node in self.run.nodes}
        if self.emulation is not None:
            kinds |= dict.fromkeys(self.backing, _kind_of(self.emulation.profile))
        return kinds | dict.fromkeys(self.dram_nodes, "dram")

    @cached_property
    def slow_name(self) -> str:
        """What to call the slow memory: its kind if there is one kind only, else `slow`."""
        slow = {self.kinds.get(node, "unknown") for point in self.points for node in point.slow_mix}
        # A remote socket's memory is also DRAM, but a ratio names the near memory so.
        return _KIND_NAMES.get(slow.pop(), "slow") if len(slow) == 1 and slow != {"dram"} else "slow"

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """What must be written on every figure, table and page of this run."""
        labels = []
        if self.emulated:
            nodes = ", ".join(str(node) for node in sorted(self.backing))
            named = (p.record.profile for p in self.points if p.record.profile)
            own = None if self.emulation is None else self.emulation.profile.name
            profile = own or next(named, "unnamed profile")
            plural = "s" if "," in nodes else ""
            absolute = self.emulation is not None and self.emulation.absolute
            speed = "at its published speed" if absolute else "scaled to this host"
            labels.append(f"EMULATED node{plural} {nodes or '?'}: {profile} {speed}")
        if not self.timing_valid:
            labels.append(label_untimed(self.run.timing_note))
        if self.note is not None:
            labels.append(self.note)
        return tuple(labels)

    def select(self, operation: str, *, ok_only: bool = True) -> tuple[Point, ...]:
        """Return the points of one operation."""
        return tuple(p for p in self._by_operation.get(operation, ()) if p.ok or not ok_only)

    def peers(self, point: Point) -> tuple[Point, ...]:
        """Return the measured points that differ from one in nothing but the pattern, itself among them."""
        return self._by_series.get((point.operation, point.series), ())

    @cached_property
    def _by_operation(self) -> dict[str, list[Point]]:
        found: dict[str, list[Point]] = {}
        for point in self.points:
            found.setdefault(point.operation, []).append(point)
        return found

    @cached_property
    def _by_series(self) -> dict[tuple[str, Series], tuple[Point, ...]]:
        found: dict[tuple[str, Series], list[Point]] = {}
        for point in self.ok:
            found.setdefault((point.operation, point.series), []).append(point)
        return {key: tuple(points) for key, points in found.items()}

    def varying(self, points: Sequence[Point]) -> tuple[str, ...]:
        """Name the parameters, beside the pattern, in which points differ."""
        # A large run has the same few series again and again.
        every = [dict(series) for series in dict.fromkeys(point.series for point in points)]
        names = dict.fromkeys(name for values in every for name in values)
        return tuple(name for name in names if len({str(values.get(name)) for values in every}) > 1)

    def __repr__(self) -> str:
        failed = f", {len(self.not_ok)} failed or skipped" if self.not_ok else ""
        left = f", {self.unfinished} not measured yet" if self.unfinished else ""
        return f"{self.name}: {len(self.ok)} points measured{failed}{left}"

    def _repr_html_(self) -> str:
        shown = self.points[:_MOST_ROWS]
        # Named only where they tell points apart.
        alone = len({(point.operation, point.pattern) for point in shown}) == len(shown)
        names = () if alone else self.varying(shown)
        rows = [
            Row(
                point.operation, point.ratio or "?", short_pattern(point.pattern),
                say_series(point.series, names), point.estimate if point.ok else None,
                (point.unit or "") if point.ok else point.status,
            )
            for point in shown
        ]  # fmt: skip
        return draw_run(repr(self), self.labels, rows, len(self.points) - len(shown))


def _kind_of(profile: ProfileRecord) -> str:
    """The kind of a profile's slow node; of an older one, which does not say, by its name."""
    if profile.kind != "unknown":
        return profile.kind
    words = f"{profile.name} {profile.title}".lower()
    return "cxl" if "cxl" in words else "nvm" if "optane" in words or "dcpmm" in words else "unknown"


def _order(point: Point, ranks: Mapping[Series, Rank]) -> tuple[int, str, Rank, float, str]:
    rank = OPERATIONS.index(point.operation) if point.operation in OPERATIONS else len(OPERATIONS)
    share = -1.0 if point.dram_share is None else point.dram_share
    return (rank, point.operation, ranks.get(point.series, ()), -share, point.pattern)


def _rank(series: Series) -> Rank:
    """Numbers sort as numbers: 4 threads before 16."""
    return tuple((n, (0, v, "") if isinstance(v, int | float) else (1, 0, str(v))) for n, v in series)
