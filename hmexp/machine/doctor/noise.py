"""The noise of a machine: what a watch saw, CPU by CPU, and how the same read varies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from hmexp.machine.doctor.activity import Activity, Snapshot
from hmexp.machine.doctor.finding import Severity
from hmexp.native import CpuGaps

#: Part of its time that a quiet CPU gives to others: a timer of 250 to 1000 Hz takes 0.1 to 0.4 %.
_QUIET_LOST: Final = 0.005
#: Part of its time, or part of its windows spoiled, from which a CPU is not fit to measure on.
_BUSY_LOST: Final = 0.03
_BUSY_SPOILED: Final = 0.1
#: Coefficient of variation of one read from which it is unsteady, and from which differences drown.
_UNSTEADY: Final = 0.01
_WILD: Final = 0.05


@dataclass(frozen=True)
class CpuNoise:
    """What one CPU did for others while a thread did nothing but read the clock on it.

    Parameters
    ----------
    cpu : int
        The CPU.
    lost : float
        Part of the time that went to others.
    longest_ns : int
        The longest gap [ns].
    gaps_per_second : float
        How often something came between [1/s].
    foreign : float
        Part of the time that other threads ran.
    stolen : float
        Part of the time that the hypervisor took, as far as the kernel knows.
    preempted_per_second : float
        Involuntary context switches [1/s].
    interrupts_per_second : float or None
        Interrupts [1/s]; None if unknown.
    sources : mapping of str to float
        The interrupts that came most often, by source [1/s].
    spoiled : float
        Part of windows of 50 ms that lost more than a sample may, 3 %.
    gaps : CpuGaps
        The counters that all this comes from.
    severity : Severity
        Fine: quiet. In the way: not fit to measure on.
    """

    cpu: int
    lost: float
    longest_ns: int
    gaps_per_second: float
    foreign: float
    stolen: float
    preempted_per_second: float
    interrupts_per_second: float | None
    sources: Mapping[str, float]
    spoiled: float
    gaps: CpuGaps
    severity: Severity


@dataclass(frozen=True)
class BandwidthSpread:
    """How much one and the same read varies.

    Parameters
    ----------
    node, cpu : int
        The node that was read, and the CPU of the thread.
    size_bytes : int
        How much was read again and again [bytes].
    samples : int
        How often.
    best_gbps, median_gbps, worst_gbps : float
        Of the samples [GB/s].
    variation : float
        Coefficient of variation: standard deviation as a part of the mean.
    severity : Severity
        How it stands.
    """

    node: int
    cpu: int
    size_bytes: int
    samples: int
    best_gbps: float
    median_gbps: float
    worst_gbps: float
    variation: float
    severity: Severity


@dataclass(frozen=True)
class MachineNoise:
    """The noise of a machine.

    Parameters
    ----------
    seconds : float
        How long the CPUs were watched [s].
    threshold_ns : int
        Readings of the clock that were further apart are a gap [ns].
    cpus : tuple of CpuNoise
        Every CPU that was watched.
    bandwidth : BandwidthSpread or None
        None if nothing could be read.
    activity : Activity or None
        What else ran meanwhile; None if unknown.
    load : float or None
        The load average of the last minute, which the watch itself raises.
    """

    seconds: float
    threshold_ns: int
    cpus: tuple[CpuNoise, ...]
    bandwidth: BandwidthSpread | None = None
    activity: Activity | None = None
    load: float | None = None

    def of(self, severity: Severity) -> tuple[int, ...]:
        """The CPUs of one severity."""
        return tuple(one.cpu for one in self.cpus if one.severity is severity)


@dataclass(frozen=True)
class Interrupts:
    """How often each CPU was interrupted between two moments.

    Parameters
    ----------
    rates : mapping of int to mapping of str to float
        By CPU and source [1/s].
    """

    rates: Mapping[int, Mapping[str, float]] = field(default_factory=dict)

    @classmethod
    def between(cls, before: Snapshot, after: Snapshot, seconds: float) -> Interrupts:
        """The rates between two moments, so many seconds apart [s]."""
        rates = {}
        for cpu in before.interrupts.keys() & after.interrupts.keys():
            then, now = before.interrupts[cpu], after.interrupts[cpu]
            rates[cpu] = {name: (count - then.get(name, 0)) / seconds for name, count in now.items()}
        return cls(rates)

    def of(self, cpu: int) -> float | None:
        """All interrupts of a CPU [1/s]; None if unknown."""
        return sum(self.rates[cpu].values()) if cpu in self.rates else None

    def top(self, cpu: int, most: int = 3) -> dict[str, float]:
        """The sources that interrupted a CPU most often [1/s]."""
        rates = self.rates.get(cpu, {})
        ranked = sorted(rates.items(), key=lambda item: -item[1])
        return {name: rate for name, rate in ranked[:most] if rate > 0}


def join_gaps(parts: Sequence[CpuGaps]) -> CpuGaps:
    """One watch of a CPU, made of several that followed each other."""
    return CpuGaps(
        cpu=parts[0].cpu,
        span_ns=sum(part.span_ns for part in parts),
        count=sum(part.count for part in parts),
        lost_ns=sum(part.lost_ns for part in parts),
        longest_ns=max(part.longest_ns for part in parts),
        windows=sum(part.windows for part in parts),
        windows_lost=sum(part.windows_lost for part in parts),
        off_cpu_ns=sum(part.off_cpu_ns for part in parts),
        stolen_ns=sum(part.stolen_ns for part in parts),
        preempted=sum(part.preempted for part in parts),
        buckets=tuple(map(sum, zip(*(part.buckets for part in parts), strict=True))),
    )


def judge_cpu(gaps: CpuGaps, interrupts: Interrupts) -> CpuNoise:
    """What the counters of one CPU say of measuring on it."""
    seconds = max(gaps.span_ns, 1) / 1e9
    spoiled = gaps.windows_lost / gaps.windows if gaps.windows else float(gaps.lost > _BUSY_LOST)
    if gaps.lost > _BUSY_LOST or spoiled > _BUSY_SPOILED:
        severity = Severity.BLOCK
    elif gaps.lost > _QUIET_LOST or spoiled > 0:
        severity = Severity.KNOW
    else:
        severity = Severity.FINE
    return CpuNoise(
        cpu=gaps.cpu,
        lost=gaps.lost,
        longest_ns=gaps.longest_ns,
        gaps_per_second=gaps.count / seconds,
        foreign=gaps.off_cpu_ns / 1e9 / seconds,
        stolen=gaps.stolen_ns / 1e9 / seconds,
        preempted_per_second=gaps.preempted / seconds,
        interrupts_per_second=interrupts.of(gaps.cpu),
        sources=interrupts.top(gaps.cpu),
        spoiled=spoiled,
        gaps=gaps,
        severity=severity,
    )


def judge_variation(variation: float) -> Severity:
    """What the coefficient of variation of one read says of comparing numbers."""
    if variation > _WILD:
        return Severity.BLOCK
    return Severity.KNOW if variation > _UNSTEADY else Severity.FINE
