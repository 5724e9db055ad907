"""Findings about the CPUs: which may be used, what changes their speed, the clock, and who is on them now."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from hmexp.machine.doctor.activity import Activity, compare, read_snapshot
from hmexp.machine.doctor.finding import Finding, Group, Section
from hmexp.machine.doctor.registry import check
from hmexp.machine.doctor.subject import Subject
from hmexp.system.sysfs import format_id_list, parse_id_list, read_int, read_text

_CPUS: Final = Section(Group.CPUS)
_FOLDER: Final = "devices/system/cpu"
#: A load average up to this is that of an idle machine.
_QUIET_LOAD: Final = 0.5
#: Part of the CPUs that others may use before numbers are disturbed for certain: one in eight, at least one.
_BUSY_PART: Final = 8
#: Part of a CPU that the few daemons of an idle machine use.
_QUIET_CPUS: Final = 0.05
#: How long to look at what runs now [s].
_LOOK_SECONDS: Final = 0.5
#: Clocks that a program reads by a system call or from a slow device: a reading takes 0.2 to 2 microseconds.
_SLOW_CLOCKS: Final = frozenset({"hpet", "acpi_pm", "jiffies", "refined-jiffies", "pit", "xen"})
#: By how much the ticks of the emulation may differ from the kernel's clock.
_DRIFT: Final = 1e-3


@check(_CPUS, "CPUs", live=True)
def look_at_cpus(subject: Subject) -> Iterator[Finding]:
    """Which CPUs this process may use, and how wide their vectors are."""
    from hmexp import native
    from hmexp.system.cpus import allowed_cpus

    cpus = allowed_cpus()
    of = os.cpu_count() or len(cpus)
    seen = f"this process may use {len(cpus)} of {of} CPUs (CPU {format_id_list(cpus)})"
    yield _CPUS.fine("CPUs", f"{seen}, vectors of {native.vector_bits()} bits")
    isolated = _ids(subject.sys / _FOLDER / "isolated")
    if isolated and not set(isolated) & set(cpus):
        names = format_id_list(isolated)
        yield _CPUS.know(
            "isolated CPUs",
            f"CPUs {names} are isolated from other work, but this process may not use them",
            f"taskset -c {names} hmexp ...",
        )


@check(_CPUS, "shapes of loops", live=True)
def look_at_shapes(_subject: Subject) -> Iterator[Finding]:
    """Which shapes this CPU liked best, as far as it was measured."""
    from hmexp.measure.shape_cache import all_kept, cache_folder
    from hmexp.native import PLAIN
    from hmexp.units import format_size

    kept = list(all_kept())
    details = [
        f"{one.operation}, {format_size(one.page_bytes)} pages, {one.threads} "
        f"thread{'s'[: one.threads > 1]}: {one.name}, {one.ratio or 1:.3f} of the plain loop"
        for one in kept
    ]
    if not kept:
        yield _CPUS.aside("shapes of loops", "none was compared yet; the first sweep on real nodes does so")
        return
    other = sum(one.shape != PLAIN for one in kept)
    yield _CPUS.fine(
        "shapes of loops",
        f"of {len(kept)} loops that were compared on this CPU, {other} like another shape than the plain one",
        (*details, f"kept in {cache_folder()}"),
    )


@check(_CPUS, "isolation")
def look_at_isolation(subject: Subject) -> Iterator[Finding]:
    """CPUs that are kept free of other work, and of the timer."""
    folder = subject.sys / _FOLDER
    found = {name: read_text(folder / name) for name in ("isolated", "nohz_full")}
    kept = [f"{name}={text}" for name, text in found.items() if text and text != "(null)"]
    yield _CPUS.aside("isolation", ", ".join(kept) if kept else "no CPU is isolated (isolcpus, nohz_full)")


@check(_CPUS, "frequency")
def look_at_frequency(subject: Subject) -> Iterator[Finding]:
    """What lets the clock of the CPUs rise and fall."""
    folder = subject.sys / _FOLDER
    governors = {
        text for path in folder.glob("cpu[0-9]*/cpufreq/scaling_governor") if (text := read_text(path))
    }
    slow = sorted(governors - {"performance"})
    if slow:
        yield _CPUS.know(
            "frequency",
            f"the governor of the CPUs' clock is {', '.join(slow)}: the speed follows the load",
            "sudo cpupower frequency-set -g performance",
        )
    elif governors:
        yield _CPUS.aside("frequency", "the governor is performance")
    else:
        yield _CPUS.aside("frequency", "something else than the kernel sets the CPUs' clock")
    if read_int(folder / "intel_pstate/no_turbo") == 0:
        turbo = "echo 1 | sudo tee /sys/devices/system/cpu/intel_pstate/no_turbo"
    elif read_int(folder / "cpufreq/boost") == 1:
        turbo = "echo 0 | sudo tee /sys/devices/system/cpu/cpufreq/boost"
    else:
        return
    yield _CPUS.know("turbo", "turbo is on: the clock depends on how many CPUs work, and on heat", turbo)


@check(_CPUS, "SMT")
def look_at_smt(subject: Subject) -> Iterator[Finding]:
    """Whether hardware threads share cores."""
    if read_text(subject.sys / _FOLDER / "smt/active") == "1":
        yield _CPUS.know(
            "SMT",
            "cores run several threads (SMT): whatever runs on a sibling slows the other",
            "echo off | sudo tee /sys/devices/system/cpu/smt/control",
        )
    else:
        yield _CPUS.aside("SMT", "no core runs several threads")


@check(_CPUS, "kernel's clock")
def look_at_clocksource(subject: Subject) -> Iterator[Finding]:
    """What the kernel tells the time by."""
    source = read_text(subject.sys / "devices/system/clocksource/clocksource0/current_clocksource")
    if source in _SLOW_CLOCKS:
        yield _CPUS.know(
            "kernel's clock",
            f"the kernel tells the time by {source}, which is slow to read: short samples are inexact",
            "boot with tsc=reliable if the TSC of this machine is sound; see `dmesg | grep -i tsc`",
        )
    else:
        yield _CPUS.aside("kernel's clock", f"the kernel tells the time by {source or 'an unknown clock'}")


@check(_CPUS, "clock", live=True)
def look_at_ticks(_: Subject) -> Iterator[Finding]:
    """The clock of the loops and of emulated nodes."""
    from hmexp import native

    clock = native.clock_description()
    seen = f"clock: {clock['ticks']}, {clock['ticks_per_ns']:.3f} ticks per ns"
    # A preemption between two readings makes one comparison wrong, hardly three.
    drift = min((native.check_clock().drift for _ in range(3)), key=abs)
    if abs(drift) > _DRIFT:
        yield _CPUS.block(
            "clock",
            f"{seen}, and it runs {drift:+.2%} against the kernel's clock",
            "see `dmesg | grep -i tsc`; in a virtual machine, give the guest an invariant TSC",
        )
    elif clock["ticks"] != "tsc" and os.uname().machine == "x86_64":
        yield _CPUS.know("clock", f"{seen}: the TSC is not invariant, and emulated nodes are less exact")
    else:
        yield _CPUS.fine("clock", seen)


@check(_CPUS, "load", live=True)
def look_at_load(subject: Subject) -> Iterator[Finding]:
    """Who else is at work: by the load average, and for half a second by the CPUs' own time."""
    before = read_snapshot(subject.proc)
    time.sleep(_LOOK_SECONDS)
    activity = compare(before, read_snapshot(subject.proc), os.getpid())
    try:
        load: float | None = os.getloadavg()[0]
    except OSError:
        load = None
    yield judge_activity(load, activity, os.cpu_count() or 1)


def judge_activity(load: float | None, activity: Activity | None, cpus: int) -> Finding:
    """What the other work on a machine means for numbers that would be measured now.

    Parameters
    ----------
    load : float or None
        The load average of the last minute; None if unknown.
    activity : Activity or None
        What ran just now; None if unknown.
    cpus : int
        CPUs of the machine.
    """
    if load is None and activity is None:
        return _CPUS.know("load", "whether other work is running is unknown")
    busy = max(load or 0.0, activity.busy_cpus if activity else 0.0)
    words = [f"load average {load:.1f}"] if load is not None else []
    if activity is not None:
        words.append(f"others use {activity.busy_cpus:.1f} of {cpus} CPUs now")
        if activity.stolen_cpus > _QUIET_CPUS:
            words.append(f"the hypervisor takes {activity.stolen_cpus:.1f}")
    seen = ", ".join(words)
    busiest = [one for one in activity.busiest if one[2] > _QUIET_CPUS] if activity else []
    details = [f"{name} (process {process}): {share:.0%} of a CPU" for name, process, share in busiest]
    most = f"wait until `uptime` shows a load below {_QUIET_LOAD}"
    if busiest:
        most += f", or stop {name_processes(busiest)}"
    if busy >= max(1.0, cpus / _BUSY_PART):
        return _CPUS.block("load", f"the machine is busy: {seen}; most samples would suffer", most, details)
    if busy > _QUIET_LOAD or (activity is not None and activity.stolen_cpus > _QUIET_CPUS):
        return _CPUS.know("load", f"{seen}: other work will disturb some of the samples", most, details)
    return _CPUS.fine("load", f"the machine is quiet: {seen}", details)


def name_processes(busiest: Sequence[tuple[str, int, float]]) -> str:
    """The processes by their names, those of one name together."""
    named: dict[str, list[str]] = {}
    for name, process, _ in busiest:
        named.setdefault(name, []).append(str(process))
    return ", ".join(f"{name} ({', '.join(processes)})" for name, processes in named.items())


def _ids(path: Path) -> tuple[int, ...]:
    return parse_id_list(read_text(path) or "", str(path))
