"""Watching the noise of a machine: every CPU by a spinning thread, then one read again and again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from hmexp import native
from hmexp.errors import HmexpError
from hmexp.machine.doctor.activity import compare, read_snapshot
from hmexp.machine.doctor.noise import (
    BandwidthSpread,
    CpuNoise,
    Interrupts,
    MachineNoise,
    join_gaps,
    judge_cpu,
    judge_variation,
)
from hmexp.machine.doctor.subject import Subject
from hmexp.measure.bandwidth import measure_bandwidth
from hmexp.measure.sampling import Sampling
from hmexp.memory.region import allocate
from hmexp.system.cpus import allowed_cpus
from hmexp.system.near import near_node
from hmexp.units import MIB

#: Readings of the clock that are further apart are a gap: a timer interrupt takes 1 us or more.
THRESHOLD_NS: Final = 1000
#: The usual length of a sample [s].
_WINDOW_SECONDS: Final = 0.05
#: Part of a window that may be lost: six times what marks a sample; a doctor must not cry wolf.
_SPOILED: Final = 0.03
#: Part of the time for the reads; the rest is for the CPUs.
_READING: Final = 0.25
#: The CPUs are watched in pieces, so that Ctrl-C is heard and progress seen [s].
_PIECE_SECONDS: Final = 1.0
_LARGEST_BYTES: Final = 256 * MIB
_FEWEST_READS, _MOST_READS = 10, 60


def watch_noise(
    seconds: float,
    cpus: Sequence[int] | None = None,
    show: Callable[[str], None] = lambda _: None,
    subject: Subject | None = None,
) -> MachineNoise:
    """Measure the noise of this machine.

    A thread on each CPU reads the clock and does nothing else; two readings that are far apart are a gap, in
    which the CPU did something for others. The osnoise tracer of Linux and sysjitter measure in the same way.
    For a quarter of the time one thread then reads the same memory again and again.

    Parameters
    ----------
    seconds : float
        How long, in all [s].
    cpus : sequence of int, optional
        The CPUs; by default all that this process may use.
    show : callable
        Receives how far it is.
    subject : Subject, optional
        The machine, if it was looked at already.

    Raises
    ------
    NativeError
        If a thread cannot be started on one of the CPUs.
    """
    machine = subject or Subject()
    watched = tuple(allowed_cpus() if cpus is None else cpus)
    spinning = seconds * (1 - _READING)
    before, begun = read_snapshot(machine.proc), time.monotonic()
    gaps = _watch_cpus(watched, spinning, show)
    took = time.monotonic() - begun
    after = read_snapshot(machine.proc)
    interrupts = Interrupts.between(before, after, took)
    judged = tuple(judge_cpu(one, interrupts) for one in gaps)
    show("reading memory")
    return MachineNoise(
        seconds=spinning,
        threshold_ns=THRESHOLD_NS,
        cpus=judged,
        bandwidth=_read_again_and_again(seconds * _READING, judged, machine),
        activity=compare(before, after, os.getpid()),
        load=_load(),
    )


def _watch_cpus(
    cpus: Sequence[int], seconds: float, show: Callable[[str], None]
) -> tuple[native.CpuGaps, ...]:
    pieces = []
    pieces_wanted = max(1, round(seconds / _PIECE_SECONDS))
    for number in range(pieces_wanted):
        show(f"watching {len(cpus)} CPUs, {number * seconds / pieces_wanted:.0f} of {seconds:.0f} s")
        pieces.append(
            native.watch_gaps(
                cpus,
                seconds / pieces_wanted,
                threshold_ns=THRESHOLD_NS,
                window_ns=int(_WINDOW_SECONDS * 1e9),
                window_lost_ns=int(_WINDOW_SECONDS * _SPOILED * 1e9),
            )
        )
    return tuple(join_gaps(parts) for parts in zip(*pieces, strict=True))


def _read_again_and_again(
    seconds: float, judged: Sequence[CpuNoise], machine: Subject
) -> BandwidthSpread | None:
    """Read near memory from the quietest CPU of its node; None if nothing can be read."""
    samples = max(_FEWEST_READS, min(_MOST_READS, int(seconds / _WINDOW_SECONDS)))
    try:
        node = near_node(machine.topology)
        near = [one for one in judged if one.cpu in node.cpus] or list(judged)
        cpu = min(near, key=lambda one: one.lost).cpu
        size_bytes = min(_LARGEST_BYTES, node.free_bytes // 4 // MIB * MIB)
        if size_bytes < MIB:
            return None
        with allocate(size_bytes, str(node.id), topology=machine.topology) as region:
            sampling = Sampling(samples, _WINDOW_SECONDS)
            taken = measure_bandwidth(region, "read", pinning=(cpu,), sampling=sampling).samples
    except HmexpError:
        return None
    variation = float(np.std(taken, ddof=1) / np.mean(taken))
    return BandwidthSpread(
        node=node.id,
        cpu=cpu,
        size_bytes=size_bytes,
        samples=len(taken),
        best_gbps=float(taken.max()),
        median_gbps=float(np.median(taken)),
        worst_gbps=float(taken.min()),
        variation=variation,
        severity=judge_variation(variation),
    )


def _load() -> float | None:
    try:
        return os.getloadavg()[0]
    except OSError:
        return None
