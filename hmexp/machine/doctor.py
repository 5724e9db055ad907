"""What is this machine, what can it do, what is missing: the checks of ``hmexp doctor``."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hmexp import native
from hmexp.errors import HmexpError
from hmexp.memory.placers import PLACERS
from hmexp.memory.region import allocate
from hmexp.store.run import resolve_results
from hmexp.system.cpus import allowed_cpus
from hmexp.system.libnuma import LibNuma
from hmexp.system.provenance import timing_validity
from hmexp.system.topology import read_topology
from hmexp.units import format_size

#: A load average up to this is that of an idle machine.
_QUIET: Final = 0.5


class Verdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    FAILED = "FAILED"


@dataclass(frozen=True)
class Check:
    """One thing looked at, and what was seen."""

    verdict: Verdict
    what: str
    seen: str


def examine() -> Iterator[Check]:
    """Look at this machine; each check is made when it is asked for, and none raises."""
    for what, look in (
        ("NUMA library", _libnuma),
        ("nodes", _nodes),
        ("CPUs", _cpus),
        ("clock", _clock),
        ("timings", _timings),
        *((f"placer {name}", _placing(name)) for name in PLACERS),
        ("results folder", _results),
    ):
        try:
            yield from (Check(verdict, what, seen) for verdict, seen in look())
        except HmexpError as error:
            yield Check(Verdict.FAILED, what, str(error))


_Seen = Iterator[tuple[Verdict, str]]


def _libnuma() -> _Seen:
    nodes = LibNuma.load().allowed_memory_nodes()
    yield Verdict.OK, f"libnuma works; this process may use the memory of node {', '.join(map(str, nodes))}"


def _nodes() -> _Seen:
    topology = read_topology()
    for node in topology.nodes:
        memory = f"{format_size(node.total_bytes)}, {format_size(node.free_bytes)} free"
        yield Verdict.OK, f"node {node.id}: {node.kind}, {len(node.cpus)} CPUs, {memory}"
    for note in topology.notes:
        yield Verdict.NOTE, note
    if not topology.slow_nodes:
        yield (
            Verdict.NOTE,
            "no slow node (NVM, CXL): a sweep emulates one (Optane unless --emulate names another)",
        )


def _cpus() -> _Seen:
    cpus = allowed_cpus()
    yield Verdict.OK, f"this process may use {len(cpus)}; vectors of {native.vector_bits()} bits"
    yield from judge_load(os.getloadavg()[0], os.cpu_count() or len(cpus))


def judge_load(load: float, cpus: int) -> _Seen:
    """What a load average says of the numbers that would be measured now.

    Parameters
    ----------
    load : float
        Of the last minute.
    cpus : int
        Of the machine.
    """
    if load <= _QUIET:
        return
    busy = f"load average {load:.1f} on {cpus} CPUs"
    if load >= cpus / 2:
        remedy = "-> wait until `uptime` shows less, or stop the other work"
        yield Verdict.WARNING, f"{busy}: too busy to measure, most samples would be disturbed\n{remedy}"
    else:
        yield Verdict.NOTE, f"{busy}: other work will disturb some of the samples"


def _clock() -> _Seen:
    clock = native.clock_description()
    yield Verdict.OK, f"{clock['ticks']}, {clock['ticks_per_ns']:.3f} ticks per ns"


def _timings() -> _Seen:
    valid, note = timing_validity()
    yield (Verdict.OK, "valid") if valid else (Verdict.NOTE, f"not valid, for functional tests only: {note}")


def _placing(name: str) -> Callable[[], _Seen]:
    def look() -> _Seen:
        reason = PLACERS[name].unavailable()
        if reason is not None:
            yield Verdict.NOTE, f"not available here: {reason}"
            return
        node = read_topology().memory_nodes[0].id
        with allocate("4MiB", str(node), name) as region:
            placement = region.placement()
        yield (Verdict.OK if placement.ok else Verdict.FAILED), placement.summary

    return look


def _results() -> _Seen:
    folder = resolve_results("auto")
    there = folder
    while not there.exists():
        there = there.parent
    if not os.access(there, os.W_OK | os.X_OK):
        yield Verdict.FAILED, f"{folder} cannot be written\n-> change to a folder that you can write"
        return
    free = shutil.disk_usage(there).free
    yield Verdict.OK, f"{folder}, {format_size(free)} free"
