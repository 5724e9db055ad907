"""What was measured on the hosts of a fleet, of each only what hosts are compared by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from hmexp.errors import HmexpError
from hmexp.report.fleet.comparable import Unit, Value, gather, values_of
from hmexp.report.fleet.facts import facts_of
from hmexp.report.run.soundness import require_sound
from hmexp.store.fleet import HOSTS, FleetRecord, HostRecord, read_fleet
from hmexp.store.reader import POINTS, collector_paused, read_run, take_points
from hmexp.store.records import PointRecord, RunRecord
from hmexp.store.validity import label_untimed


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
    except HmexpError as error:
        return FleetHost(_damaged(host, error)), 0
    found = gather(value for values, _ in taken.values() for value in values)
    settings = {name: used for _, own in taken.values() for name, used in own.items()}
    kept = {unit: value.kept for unit, value in found.items() if value.kept is not None}
    launches = {unit: value.launches for unit, value in found.items()}
    others = sum(not values for values, _ in taken.values())
    return FleetHost(host, launches, kept, facts_of(run, settings), _labels(run)), others


def _damaged(host: HostRecord, error: HmexpError) -> HostRecord:
    return HostRecord(name=host.name, state="incomplete", reason=error.message, hmexp=host.hmexp)


def _take(record: PointRecord, run: RunRecord, where: Path) -> tuple[tuple[Value, ...], dict[str, str]]:
    """What hosts are compared by, and the settings that it was measured with."""
    values = values_of(record, run.dram_nodes)
    if values:
        require_sound([record], run, where)
    used = {name: setting.used for name, setting in record.settings.items() if setting.used is not None}
    return values, used if values else {}


def _labels(run: RunRecord) -> tuple[str, ...]:
    labels = []
    if run.emulation is not None:
        labels.append(f"EMULATED slow memory ({run.emulation.profile.name})")
    if not run.timing_valid:
        labels.append(label_untimed(run.timing_note))
    return tuple(labels)
