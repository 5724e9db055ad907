"""What was measured on the hosts of a fleet, of each only what hosts are compared by."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from hmexp.errors import StoreError
from hmexp.report.fleet.facts import facts_of
from hmexp.report.model.needs import name_of
from hmexp.report.run.soundness import require_sound
from hmexp.store.fleet import HOSTS, FleetRecord, HostRecord, read_fleet
from hmexp.store.parameters import LoopPoint
from hmexp.store.reader import POINTS, collector_paused, read_run, take_points
from hmexp.store.records import PointRecord, RunRecord
from hmexp.store.results import Measured
from hmexp.units import format_size

_LONGEST_RATIO: Final = 64


class Unit(NamedTuple):
    """What is compared between hosts: one operation on one layout, whatever the nodes' numbers are there.

    Parameters
    ----------
    operation : str
        What is measured.
    share : float or None
        Share of the pages on DRAM.
    unit : str
        Of its values: `GB/s` or `ns`.
    what : str
        The other parameters, for people.
    """

    operation: str
    share: float | None
    unit: str
    what: str

    @property
    def ratio(self) -> str:
        """The share as a ratio of DRAM to slow memory."""
        if self.share is None:
            return "?"
        part = Fraction(self.share).limit_denominator(_LONGEST_RATIO)
        return f"{part.numerator}:{part.denominator - part.numerator}"

    @property
    def better(self) -> int:
        """1 where more is better, as of a bandwidth; -1 where less is."""
        return -1 if self.unit == "ns" else 1

    def __str__(self) -> str:
        return f"{name_of(self.operation)} at {self.ratio}"


@dataclass(frozen=True)
class FleetHost:
    """A host as the report sees it.

    Parameters
    ----------
    record : HostRecord
        What became of it.
    launches : mapping of Unit to tuple of float
        The median of each launch [the unit's own].
    kept : mapping of Unit to float
        What is left of the same with all memory on DRAM; of a latency, the inverse of its multiple.
    facts : mapping of str to str
        The state of the machine, by name.
    labels : tuple of str
        What must be said wherever its numbers are shown: emulated nodes, or times that mean nothing.
    """

    record: HostRecord
    launches: Mapping[Unit, tuple[float, ...]] = field(default_factory=dict)
    kept: Mapping[Unit, float] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    labels: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its name."""
        return self.record.name

    def median(self, unit: Unit) -> float:
        """The middle of its launches [the unit's own]."""
        found = sorted(self.launches[unit])
        half = len(found) // 2
        return found[half] if len(found) % 2 else (found[half - 1] + found[half]) / 2


@dataclass(frozen=True)
class Fleet:
    """A fleet as the report sees it."""

    record: FleetRecord
    hosts: tuple[FleetHost, ...]
    left_out: int = 0

    @cached_property
    def measured(self) -> tuple[FleetHost, ...]:
        """The hosts that have numbers."""
        return tuple(host for host in self.hosts if host.launches)

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        """What at least two hosts have measured: by operation, all DRAM first."""
        count: dict[Unit, int] = {}
        for host in self.measured:
            for unit in host.launches:
                count[unit] = count.get(unit, 0) + 1
        both = [unit for unit, hosts in count.items() if hosts > 1 or len(self.measured) == 1]
        return tuple(sorted(both, key=lambda unit: (unit.operation, unit.what, -(unit.share or 0))))

    @cached_property
    def operations(self) -> tuple[str, ...]:
        """What is compared."""
        return tuple(dict.fromkeys(unit.operation for unit in self.units))

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """What must be said of any host's numbers, each once."""
        return tuple(dict.fromkeys(label for host in self.hosts for label in host.labels))


def read_fleet_results(folder: Path) -> Fleet:
    """Read the records of a fleet: `fleet.json`, and `run.json` and `points.jsonl` of each host.

    A host whose records are damaged, or cannot be true, is left out with that as its reason.

    Raises
    ------
    StoreError
        If `fleet.json` cannot be read.
    """
    record = read_fleet(folder)
    with collector_paused():
        hosts = [_read_host(folder / HOSTS / host.name, host) for host in record.hosts]
    others = sum(found[1] for found in hosts)
    return Fleet(record, tuple(found[0] for found in hosts), others)


def _read_host(path: Path, host: HostRecord) -> tuple[FleetHost, int]:
    """A host, and how many of its points are of a kind that is not compared."""
    if not (path / POINTS).exists():
        return FleetHost(host), 0
    try:
        run = read_run(path)
        taken = take_points(path / POINTS, lambda point: _take(point, run, path / POINTS))
    except StoreError as error:
        return FleetHost(_damaged(host, error)), 0
    launches: dict[Unit, tuple[float, ...]] = {}
    kept: dict[Unit, float] = {}
    settings: dict[str, str] = {}
    others = 0
    for found in taken.values():
        if found is None:
            others += 1
            continue
        unit, medians, of_dram, used = found
        launches[unit] = medians
        if of_dram is not None:
            kept[unit] = of_dram
        settings |= used
    return FleetHost(host, launches, kept, facts_of(run, settings), _labels(run)), others


def _damaged(host: HostRecord, error: StoreError) -> HostRecord:
    return HostRecord(name=host.name, state="incomplete", reason=error.message, hmexp=host.hmexp)


_Taken = tuple[Unit, tuple[float, ...], float | None, dict[str, str]]


def _take(record: PointRecord, run: RunRecord, where: Path) -> _Taken | None:
    """What hosts are compared by; None if the point was not measured, or is of another kind."""
    point, result = record.parameters, record.result
    if record.status != "ok" or not isinstance(point, LoopPoint) or not isinstance(result, Measured):
        return None
    require_sound([record], run, where)
    medians = tuple(launch.median for launch in result.launches) or (result.median,)
    if not all(math.isfinite(value) and value > 0 for value in medians):
        return None
    of_dram = None if record.of_dram is None else record.of_dram.median
    unit = Unit(point.operation, record.dram_share, result.unit, _what(point))
    if of_dram is not None and of_dram > 0:
        of_dram = of_dram if unit.better > 0 else 1 / of_dram
    used = {name: setting.used for name, setting in record.settings.items() if setting.used is not None}
    return unit, medians, of_dram, used


def _what(point: LoopPoint) -> str:
    return _say_region(
        point.size_bytes, point.granule_bytes, point.page_bytes, point.placer, point.access, point.threads
    )


# A large fleet has the same few again and again.
@lru_cache(maxsize=4096)
def _say_region(
    size: int, granule: int, page: int | None, placer: str, access: str | None, threads: int
) -> str:
    words = [format_size(size), f"granule {format_size(granule)}"]
    if page is not None and page != granule:
        words.append(f"{format_size(page)} pages")
    words += [placer, *([access] if access else []), f"{threads} thread{'s'[: threads != 1]}"]
    return ", ".join(words)


def _labels(run: RunRecord) -> tuple[str, ...]:
    labels = []
    if run.emulation is not None:
        labels.append(f"EMULATED slow memory ({run.emulation.profile.name})")
    if not run.timing_valid:
        labels.append("functional only: software emulation, timings not valid")
    return tuple(labels)
