"""A run's records as the report sees them: typed, finite numbers only, nothing averaged."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from hmexp.errors import PatternError
from hmexp.measure.quantity import is_latency
from hmexp.pattern import Pattern
from hmexp.report.portrait import Row, draw_run
from hmexp.report.wording import Series, say_series

Record = Mapping[str, Any]

OPERATIONS: Final = ("read", "write", "latency")
FUNCTIONAL_ONLY: Final = "functional only: software emulation, timings not valid"
_KIND_NAMES: Final = {"dram": "DRAM", "nvm": "NVM", "cxl": "CXL"}
_SHORT_PATTERN: Final = 28
_MOST_ROWS: Final = 40


def finite(value: Any) -> float | None:
    """Return a number as a float, or None for anything that is no finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def short_pattern(text: str) -> str:
    """Shorten a pattern for people: it may have a million entries."""
    return text if len(text) <= _SHORT_PATTERN else f"{text[:_SHORT_PATTERN]}…"


@dataclass(frozen=True)
class Estimate:
    """A median with its 95 % interval, in the unit of its point."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Point:
    """One point of a run: its record, and what the report needs of it."""

    record: Record
    point_id: str
    status: str
    reason: str | None
    pattern: str
    operation: str
    series: Series
    unit: str | None
    samples: tuple[float, ...]
    estimate: Estimate | None
    dram_share: float | None
    dram_mix: Mapping[int, Fraction] = field(default_factory=dict)  # share of each node among DRAM pages
    slow_mix: Mapping[int, Fraction] = field(default_factory=dict)
    ratio: str | None = None
    #: Not asked for: all DRAM, for others to be compared with.
    added: bool = False
    #: What disturbed each sample, and the launch that it is of.
    flags: tuple[tuple[str, ...], ...] = ()
    launch_of: tuple[int, ...] = ()

    @property
    def ok(self) -> bool:
        """True if the point was measured, has numbers, and its placement was proven."""
        return self.status == "ok" and self.estimate is not None and self.dram_share is not None

    @property
    def value(self) -> Estimate:
        """The measured median and interval; only for a point that is `ok`."""
        assert self.estimate is not None
        return self.estimate

    @property
    def share(self) -> float:
        """The DRAM share; only for a point that is `ok`."""
        assert self.dram_share is not None
        return self.dram_share

    @property
    def disturbed(self) -> int:
        """How many samples have a mark."""
        return sum(bool(marks) for marks in self.flags)

    @property
    def why(self) -> str:
        """The reason of a failure on one line."""
        return " ".join((self.reason or "no reason recorded").split())

    @classmethod
    def from_record(cls, record: Record, dram_nodes: Iterable[int]) -> Point:
        """Read one record; missing parts stay empty, they never raise."""
        parameters = dict(record.get("parameters") or {})
        pattern = str(parameters.pop("pattern", ""))
        operation = str(parameters.pop("operation", ""))
        # Older records lack them: all was measured so.
        parameters.setdefault("access", None if is_latency(operation) else "sequential")
        parameters.setdefault("cpu_node", "near")
        result = record.get("result") or {}
        median = finite(result.get("median"))
        estimate = None
        if median is not None:
            low, high = finite(result.get("ci_low")), finite(result.get("ci_high"))
            estimate = Estimate(median, median if low is None else low, median if high is None else high)
        samples = tuple(v for v in map(finite, result.get("samples") or ()) if v is not None)
        flags = tuple(tuple(marks) for marks in (result.get("noise") or {}).get("flags") or ())
        sizes = [int(launch["n"]) for launch in result.get("launches") or ()] or [len(samples)]
        dram_mix, slow_mix, ratio = _mixes(pattern, frozenset(dram_nodes))
        return cls(
            record=record,
            point_id=str(record.get("point_id", "")),
            status=str(record.get("status", "failed")),
            reason=record.get("reason"),
            pattern=pattern,
            operation=operation,
            series=tuple(sorted(parameters.items())),
            unit=result.get("unit"),
            samples=samples,
            estimate=estimate,
            dram_share=finite(record.get("dram_share")),
            dram_mix=dram_mix,
            slow_mix=slow_mix,
            ratio=ratio,
            added=record.get("added") is True,
            flags=flags if len(flags) == len(samples) else ((),) * len(samples),
            launch_of=tuple(number for number, size in enumerate(sizes) for _ in range(size)),
        )


def _mixes(pattern: str, dram: frozenset[int]) -> tuple[dict[int, Fraction], dict[int, Fraction], str | None]:
    try:
        counts = Pattern.parse(pattern).ratio()
    except PatternError:
        return {}, {}, None
    fast = {node: n for node, n in counts.items() if node in dram}
    slow = {node: n for node, n in counts.items() if node not in dram}
    fast_sum, slow_sum = sum(fast.values()), sum(slow.values())
    divisor = math.gcd(fast_sum, slow_sum)
    return (
        {node: Fraction(n, fast_sum) for node, n in fast.items()},
        {node: Fraction(n, slow_sum) for node, n in slow.items()},
        f"{fast_sum // divisor}:{slow_sum // divisor}",
    )


@dataclass(frozen=True)
class Results:
    """A whole run: what `run.json` says and every point's last record."""

    run: Record
    points: tuple[Point, ...]
    #: What must be said of the points as a whole: that they are not all of the run's.
    note: str | None = None

    @classmethod
    def from_records(cls, records: Iterable[Record], run: Record) -> Results:
        """Build from dicts; points come in the order of operation, series, then from all DRAM down."""
        dram = [int(node) for node in run.get("dram_nodes") or ()]
        points = [Point.from_record(record, dram) for record in records]
        return cls(run, tuple(sorted(points, key=_order)))

    @classmethod
    def load(cls, run_dir: Path) -> Results:
        """Read `points.jsonl` and `run.json` of a run directory."""
        from hmexp.experiment import reader, store

        share = reader.Interner()

        def take(record: dict[str, Any]) -> Record:
            # The launches' own proofs: the report shows those of the point, and they are most of a record.
            record.pop("launches", None)
            return share(record)

        found = reader.read_points(run_dir / store.POINTS, take)
        return cls.from_records(found.values(), store.read_run(run_dir))

    @property
    def name(self) -> str:
        """Name of the run."""
        return str(self.run.get("name") or "unnamed run")

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
        return max(0, int(self.run.get("points") or 0) - len(self.points))

    @property
    def emulation(self) -> Record | None:
        """What `run.json` says of the emulated nodes, if there are any."""
        found: Record | None = self.run.get("emulation")
        return found

    @cached_property
    def emulated(self) -> bool:
        """True if any speed in this run is a software model's."""
        return self.emulation is not None or any(point.record.get("emulated") for point in self.points)

    @cached_property
    def timing_valid(self) -> bool:
        """False if the run, or any point of it, says that its timings mean nothing."""
        said = [self.run.get("timing_valid"), *(point.record.get("timing_valid") for point in self.points)]
        return all(valid is not False for valid in said)

    @property
    def dram_nodes(self) -> tuple[int, ...]:
        """Ids of the DRAM nodes."""
        return tuple(int(node) for node in self.run.get("dram_nodes") or ())

    @property
    def backing(self) -> dict[int, int]:
        """The real node behind each emulated node."""
        found = (self.emulation or {}).get("backing") or {}
        return {int(node): int(real) for node, real in found.items()}

    @cached_property
    def kinds(self) -> dict[int, str]:
        """Kind of every node: `dram`, `nvm`, `cxl` or `unknown`; emulated nodes too."""
        kinds = {int(node["id"]): str(node.get("kind", "unknown")) for node in self.run.get("nodes") or ()}
        profile = (self.emulation or {}).get("profile") or {}
        words = f"{profile.get('name', '')} {profile.get('title', '')}".lower()
        guessed = "cxl" if "cxl" in words else "nvm" if "optane" in words or "dcpmm" in words else "unknown"
        kinds |= {node: str(profile.get("kind") or guessed) for node in self.backing}
        return kinds | dict.fromkeys(self.dram_nodes, "dram")

    @cached_property
    def slow_name(self) -> str:
        """What to call the slow memory: its kind if there is one kind only, else `slow`."""
        slow = {self.kinds.get(node, "unknown") for point in self.points for node in point.slow_mix}
        return _KIND_NAMES.get(slow.pop(), "slow") if len(slow) == 1 else "slow"

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """What must be written on every figure, table and page of this run."""
        labels = []
        if self.emulated:
            nodes = ", ".join(str(node) for node in sorted(self.backing))
            profile = ((self.emulation or {}).get("profile") or {}).get("name")
            named = (p.record["profile"] for p in self.points if p.record.get("profile"))
            profile = profile or next(named, "unnamed profile")
            plural = "s" if "," in nodes else ""
            labels.append(f"EMULATED node{plural} {nodes or '?'}: {profile} scaled to this host")
        if not self.timing_valid:
            labels.append(FUNCTIONAL_ONLY)
        if self.note is not None:
            labels.append(self.note)
        return tuple(labels)

    def select(self, operation: str, ok_only: bool = True) -> tuple[Point, ...]:
        """Return the points of one operation."""
        return tuple(p for p in self._by_operation.get(operation, ()) if p.ok or not ok_only)

    def peers(self, point: Point) -> tuple[Point, ...]:
        """Return the measured points that differ from one in nothing but the pattern, itself among them."""
        return self._by_series.get((point.operation, repr(point.series)), ())

    @cached_property
    def _by_operation(self) -> dict[str, list[Point]]:
        found: dict[str, list[Point]] = {}
        for point in self.points:
            found.setdefault(point.operation, []).append(point)
        return found

    @cached_property
    def _by_series(self) -> dict[tuple[str, str], tuple[Point, ...]]:
        found: dict[tuple[str, str], list[Point]] = {}
        for point in self.ok:
            found.setdefault((point.operation, repr(point.series)), []).append(point)
        return {key: tuple(points) for key, points in found.items()}

    def varying(self, points: Sequence[Point]) -> tuple[str, ...]:
        """Name the parameters, beside the pattern, in which points differ."""
        names = dict.fromkeys(name for point in points for name, _ in point.series)
        every = [dict(point.series) for point in points]
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


def _order(point: Point) -> tuple[Any, ...]:
    rank = OPERATIONS.index(point.operation) if point.operation in OPERATIONS else len(OPERATIONS)
    # Numbers sort as numbers: 4 threads before 16.
    series = tuple((n, (0, v, "") if isinstance(v, int | float) else (1, 0, str(v))) for n, v in point.series)
    share = -1.0 if point.dram_share is None else point.dram_share
    return (rank, point.operation, series, -share, point.pattern)
