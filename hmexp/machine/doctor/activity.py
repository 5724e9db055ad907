"""What else runs: the time of every CPU, and the processes that took it, between two moments."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hmexp.system.sysfs import read_text, split_lines

#: Fields of a line ``cpuN`` of /proc/stat, in clock ticks.
_FIELDS: Final = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")


@dataclass(frozen=True)
class CpuTicks:
    """Clock ticks of one CPU since it started.

    Parameters
    ----------
    busy : int
        Of processes, interrupts and the hypervisor's theft [ticks].
    steal : int
        Of the hypervisor's theft alone [ticks].
    total : int
        All, idle ones too [ticks].
    """

    busy: int
    steal: int
    total: int


@dataclass(frozen=True)
class Snapshot:
    """The counters at one moment.

    Parameters
    ----------
    cpus : mapping of int to CpuTicks
        By CPU.
    processes : mapping of int to (str, int)
        Name and clock ticks of each process, by its id [ticks].
    interrupts : mapping of int to mapping of str to int
        Interrupts by CPU and source.
    """

    cpus: Mapping[int, CpuTicks]
    processes: Mapping[int, tuple[str, int]] = field(default_factory=dict)
    interrupts: Mapping[int, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Activity:
    """What ran between two moments.

    Parameters
    ----------
    busy_cpus : float
        How many CPUs' worth of time was used.
    stolen_cpus : float
        How many CPUs' worth of time the hypervisor took.
    busiest : tuple of (str, int, float)
        The processes that used most: name, id, and CPUs' worth of time.
    """

    busy_cpus: float
    stolen_cpus: float
    busiest: tuple[tuple[str, int, float], ...] = ()


def read_snapshot(proc_root: Path) -> Snapshot:
    """Read the counters; what cannot be read is missing."""
    stat = parse_stat(read_text(proc_root / "stat") or "")
    interrupts = parse_interrupts(read_text(proc_root / "interrupts") or "")
    return Snapshot(stat, _read_processes(proc_root), interrupts)


def parse_stat(text: str) -> dict[int, CpuTicks]:
    """Read the lines of the CPUs of /proc/stat."""
    cpus = {}
    for match in re.finditer(r"^cpu(\d+)((?: \d+)+)\s*$", text, re.MULTILINE | re.ASCII):
        # What guests used is in the user's time already.
        ticks = dict(zip(_FIELDS, map(int, match[2].split()), strict=False))
        total = sum(ticks.values())
        busy = total - ticks.get("idle", 0) - ticks.get("iowait", 0)
        cpus[int(match[1])] = CpuTicks(busy, ticks.get("steal", 0), total)
    return cpus


def parse_interrupts(text: str) -> dict[int, dict[str, int]]:
    """Read /proc/interrupts: counts by CPU and source; a source is named as its line ends."""
    lines = split_lines(text)
    if not lines:
        return {}
    cpus = [int(word[3:]) for word in lines[0].split() if re.fullmatch(r"CPU\d+", word, re.ASCII)]
    found: dict[int, dict[str, int]] = {cpu: {} for cpu in cpus}
    for line in lines[1:]:
        name, _, rest = line.strip().partition(":")
        words = rest.split()
        counts = words[: len(cpus)]
        if len(counts) < len(cpus) or not all(word.isdecimal() for word in counts):
            continue
        described = " ".join(words[len(cpus) :])
        label = (described.split()[-1] if name.isdecimal() else described) if described else name
        for cpu, count in zip(cpus, counts, strict=True):
            found[cpu][label] = found[cpu].get(label, 0) + int(count)
    return found


def compare(before: Snapshot, after: Snapshot, own: int | None = None, most: int = 3) -> Activity | None:
    """What ran between two moments.

    Parameters
    ----------
    before, after : Snapshot
        The counters.
    own : int, optional
        A process that does not count as busy: the one that looks.
    most : int
        How many processes to name.

    Returns
    -------
    Activity or None
        None if no clock tick passed, or nothing is known of the CPUs.
    """
    both = before.cpus.keys() & after.cpus.keys()
    spans = [after.cpus[cpu].total - before.cpus[cpu].total for cpu in both]
    span = max(spans, default=0)
    if span <= 0:
        return None
    busy = sum(after.cpus[cpu].busy - before.cpus[cpu].busy for cpu in both)
    stolen = sum(after.cpus[cpu].steal - before.cpus[cpu].steal for cpu in both)
    used = []
    for process, (name, ticks) in after.processes.items():
        took = ticks - before.processes.get(process, (name, 0))[1]
        if process == own:
            busy -= took
        elif took > 0:
            used.append((name, process, took / span))
    used.sort(key=lambda one: -one[2])
    return Activity(max(0, busy) / span, max(0, stolen) / span, tuple(used[:most]))


def _read_processes(proc_root: Path) -> dict[int, tuple[str, int]]:
    try:
        names = [path.name for path in proc_root.iterdir() if path.name.isdecimal()]
    except OSError:
        return {}
    found = {}
    for name in names:
        text = read_text(proc_root / name / "stat")
        # The name is in parentheses, and may hold parentheses and spaces itself.
        match = re.match(r"\d+ \((.*)\) \S((?: -?\d+)+)", text, re.DOTALL | re.ASCII) if text else None
        numbers = match[2].split() if match is not None else []
        if match is not None and len(numbers) > 11:
            found[int(name)] = (match[1], int(numbers[10]) + int(numbers[11]))
    return found
