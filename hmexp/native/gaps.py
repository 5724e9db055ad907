"""The noise of CPUs: gaps in a loop that does nothing but read the clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hmexp.native.core import check, ffi, lib


@dataclass(frozen=True)
class CpuGaps:
    """What a spinning thread saw of the time that its CPU gave to others.

    Parameters
    ----------
    cpu : int
        The CPU.
    span_ns : int
        How long it was watched [ns].
    count : int
        Gaps: pairs of readings of the clock that were further apart than the threshold.
    lost_ns : int
        All gaps together [ns].
    longest_ns : int
        The longest gap [ns].
    windows, windows_lost : int
        Windows of the length of a sample, and how many of them lost more than a sample may.
    off_cpu_ns : int
        Time that the thread did not run: other processes [ns].
    stolen_ns : int
        Time that the hypervisor took, in steps of a clock tick [ns].
    preempted : int
        Involuntary context switches.
    buckets : tuple of int
        Gaps by length: below 1 us, below 2, 4, 8 us and so on; the last has all longer ones.
    """

    cpu: int
    span_ns: int
    count: int
    lost_ns: int
    longest_ns: int
    windows: int
    windows_lost: int
    off_cpu_ns: int
    stolen_ns: int
    preempted: int
    buckets: tuple[int, ...]

    @property
    def lost(self) -> float:
        """Part of the time that the CPU gave to others."""
        return self.lost_ns / self.span_ns if self.span_ns > 0 else 0.0


def watch_gaps(
    cpus: Sequence[int],
    span_seconds: float,
    *,
    threshold_ns: int = 1000,
    window_ns: int = 50_000_000,
    window_lost_ns: int = 1_500_000,
) -> tuple[CpuGaps, ...]:
    """Spin on all these CPUs at once, and count the gaps.

    Parameters
    ----------
    cpus : sequence of int
        The CPUs, each once.
    span_seconds : float
        How long [s].
    threshold_ns : int
        Readings of the clock that are further apart are a gap [ns].
    window_ns : int
        The length of a sample of a measurement [ns].
    window_lost_ns : int
        What a sample may lose [ns].

    Raises
    ------
    NativeError
        If a thread cannot be started on one of the CPUs.
    """
    asked = ffi.new("struct hm_watch *")
    asked.span_ns, asked.threshold_ns = int(span_seconds * 1e9), threshold_ns
    asked.window_ns, asked.window_lost_ns = window_ns, window_lost_ns
    gaps = ffi.new("struct hm_gaps[]", max(1, len(cpus)))
    what = f"watching CPUs {', '.join(map(str, cpus))}"
    check(lib.hm_watch(len(cpus), ffi.new("int32_t[]", list(cpus)), asked, gaps), what)
    return tuple(
        CpuGaps(
            cpu=cpu,
            span_ns=int(one.sample.end_ns - one.sample.start_ns),
            count=int(one.count),
            lost_ns=int(one.lost_ns),
            longest_ns=int(one.longest_ns),
            windows=int(one.windows),
            windows_lost=int(one.windows_lost),
            off_cpu_ns=int(one.sample.off_cpu_ns),
            stolen_ns=int(one.sample.stolen_ns),
            preempted=int(one.sample.preempted),
            buckets=tuple(int(n) for n in one.buckets),
        )
        for cpu, one in zip(cpus, gaps, strict=False)
    )
