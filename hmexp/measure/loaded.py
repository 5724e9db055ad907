"""Loaded latency: what a chase sees while other threads inject traffic at set rates."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from hmexp import native
from hmexp.errors import ParameterError
from hmexp.measure.bandwidth import find_operation, require_vectors
from hmexp.measure.curve import LoadedCurve, LoadedPoint
from hmexp.measure.knee import Knee, find_knee
from hmexp.measure.measurement import proof, require_samples
from hmexp.measure.noise import Noise
from hmexp.measure.rings import PreparedRing, RingPlan, prepare_ring
from hmexp.measure.statistics import median_of, summarise
from hmexp.measure.threads import make_slices, place_threads
from hmexp.memory.region import Region
from hmexp.native import Job, NodeModel, Slice
from hmexp.store.details import LoadedDetails
from hmexp.system.cpus import allowed_cpus

#: Pauses after each burst, the longest first [ns].
DELAYS_NS: Final = (
    20000, 8000, 4000, 2500, 1700, 1200, 900, 700, 550, 420, 320, 250, 200, 150, 110, 80, 50, 25, 0
)  # fmt: skip
#: What an injecting thread does of each stream between two pauses [bytes].
BURST_BYTES: Final = 1024
#: Points that are added between the two delays on either side of the knee.
REFINE: Final = 4


def measure_loaded_latency(
    region: Region,
    op: str = "read",
    threads: int | None = None,
    *,
    load: Region | None = None,
    cpus: Sequence[int] | None = None,
    placement: str = "near",
    delays_ns: Sequence[int] = DELAYS_NS,
    window_bytes: int | None = None,
    spacing_bytes: int | None = None,
    vector_bits: int | None = None,
    samples: int = 5,
    sample_seconds: float = 0.02,
    refine: int = REFINE,
    show: Callable[[str], None] = lambda _: None,
) -> LoadedCurve:
    """Measure latency while other threads inject traffic, at one rate after the other.

    Parameters
    ----------
    region : Region
        For the chase; its contents are overwritten. Without `load`, the chase is in its first half
        and the load in its second.
    op : str
        What is injected, as for `measure_bandwidth`.
    threads : int, optional
        That inject; by default all CPUs but the one of the chase.
    load : Region, optional
        For the load, on a pattern of its own: how much does traffic there hurt the chase here.
    cpus : sequence of int, optional
        The chase's CPU and then one for each injecting thread.
    placement : str
        How they are chosen if not given.
    delays_ns : sequence of int
        Pauses after each burst [ns].
    window_bytes, spacing_bytes
        Of the ring; see `hmexp.measure.rings.RingPlan`.
    vector_bits : int, optional
        Of the load [bits].
    samples, sample_seconds
        For each rate.
    refine : int
        How many rates to add on either side of the knee.
    show : callable
        Receives what is being measured.

    Raises
    ------
    ParameterError
        If a parameter cannot be used, or there is no CPU left to inject from.
    PlacementError
        If pages are not where they should be, before or after.
    """
    operation = find_operation(op)
    bits = require_vectors(vector_bits, operation)
    require_samples(samples, sample_seconds)
    delays = _check_delays(delays_ns)
    chosen = _place(threads, cpus, placement)
    other = load or region
    if other.emulation is not region.emulation and other.emulation != region.emulation:
        raise ParameterError(
            "the chase's region and the load's are emulated differently", "allocate both with one emulation"
        )
    count = len(chosen) - 1
    if other.emulation is not None:
        other.emulation.predict(other.pages_per_node(), operation.name, count)
    size = region.size_bytes if load else region.size_bytes // 2 // native.PAGE_BYTES * native.PAGE_BYTES
    model = region.model_for(count, beside=other.pattern, fine=True)
    ring = prepare_ring(
        region, chosen[0], RingPlan(spacing_bytes, window_bytes), size_bytes=size, model=model
    )
    slices = make_slices(other, chosen[1:], operation, start_bytes=0 if load else size)
    regions = (region,) if load is None else (region, load)
    before = tuple(proof(each, "before") for each in regions)
    bench = _Bench(region, other, ring, chosen[0], slices, model, sample_seconds)

    def take(delay_ns: int) -> LoadedPoint:
        show(f"{operation.name} by {count} threads, {delay_ns} ns between bursts")
        return bench.take(Job(operation.name, 1, samples, bits=bits), delay_ns)

    show("no load")
    points = [bench.idle(samples), *(take(delay) for delay in delays)]
    points += [take(delay) for delay in _between(points, refine)]
    points.sort(key=lambda p: math.inf if p.delay_ns is None else p.delay_ns, reverse=True)
    after = tuple(proof(each, "after") for each in regions)
    return LoadedCurve(
        operation=operation.name,
        probe_pattern=str(region.pattern),
        load_pattern=str(other.pattern),
        threads=count,
        points=tuple(points),
        knee=_knee(points),
        before=before,
        after=after,
        profile=None if region.emulation is None else region.emulation.profile.name,
        details=LoadedDetails(
            threads=count,
            cpus=tuple(chosen),
            lines=ring.lines,
            spacing_bytes=ring.spacing_bytes,
            window_bytes=ring.window_bytes,
            access=ring.access,
            node=ring.node,
            page_bytes=after[0].page_bytes,
            vector_bits=bits,
            burst_bytes=BURST_BYTES,
            per_payload=operation.to_record(),
        ),
    )


class _Bench:
    """A ring and the slices beside it, ready to be measured at any rate."""

    def __init__(
        self,
        probe: Region,
        load: Region,
        ring: PreparedRing,
        cpu: int,
        slices: list[Slice],
        model: NodeModel | None,
        sample_seconds: float,
    ) -> None:
        self.probe, self.load, self.cpu, self.slices, self.model = probe, load, cpu, slices, model
        self.sample_ns = sample_seconds * 1e9
        self.offset = ring.starts[0]
        self.hop_ns = 100.0

    def idle(self, samples: int) -> LoadedPoint:
        self._chase(1)  # to learn how long a hop takes
        return self._chase(samples)

    def _chase(self, samples: int) -> LoadedPoint:
        hops = self._hops()
        taken, (self.offset,) = native.chase(
            self.probe.mapping, self.cpu, hops, samples, self.model, (self.offset,)
        )
        return self._point(None, taken, np.zeros(samples), hops)

    def take(self, job: Job, delay_ns: int) -> LoadedPoint:
        hops = self._hops()
        run = native.loaded(
            self.probe.mapping, self.cpu, self.offset, hops, self.load.mapping, self.slices, job,
            BURST_BYTES, delay_ns, self.model, self.load.pattern,
        )  # fmt: skip
        self.offset = run.offset
        return self._point(delay_ns, run.samples, run.load_bytes, hops)

    def _hops(self) -> int:
        return max(500, int(self.sample_ns / self.hop_ns))

    def _point(self, delay_ns: int | None, taken: Any, load_bytes: Any, hops: int) -> LoadedPoint:
        span = np.maximum(taken["end_ns"] - taken["start_ns"], 1)
        latency = span / hops
        # The next rate is a little higher: its hops will take about as long.
        self.hop_ns = float(median_of(latency))
        return LoadedPoint(
            delay_ns,
            float(median_of(load_bytes / span)),
            summarise(latency),
            tuple(float(v) for v in latency),
            Noise.of(taken, modelled=self.probe.emulation is not None),
            hops,
        )


def _knee(points: list[LoadedPoint]) -> Knee:
    return find_knee([p.load_gbps for p in points], [p.latency.median for p in points])


def _between(points: list[LoadedPoint], refine: int) -> list[int]:
    """Delays between those on either side of the knee."""
    knee = _knee(points)
    if not knee.saturated or refine < 1:
        return []
    delays = sorted({p.delay_ns for p in points if p.delay_ns is not None}, reverse=True)
    at = next(
        (p.delay_ns for p in points if p.load_gbps == knee.load_gbps and p.delay_ns is not None), delays[0]
    )
    here = delays.index(at)
    added = []
    for longer, shorter in zip(
        delays[max(here - 1, 0) : here + 2], delays[max(here, 1) : here + 2], strict=False
    ):
        steps = np.linspace(longer, shorter, refine // 2 + 2)[1:-1]
        added += [int(step) for step in steps if int(step) not in delays]
    return list(dict.fromkeys(added))


def _check_delays(delays_ns: Sequence[int]) -> tuple[int, ...]:
    delays = tuple(dict.fromkeys(delays_ns))
    if not delays:
        raise ParameterError("there are no delays", "give at least one, such as 0")
    for delay in delays:
        if isinstance(delay, bool) or not isinstance(delay, int) or not 0 <= delay <= 10_000_000:
            raise ParameterError(f"delay {delay!r} is not a whole number of ns from 0 to 10000000")
    return tuple(sorted(delays, reverse=True))


def _place(threads: int | None, cpus: Sequence[int] | None, placement: str) -> tuple[int, ...]:
    able = len(allowed_cpus())
    if able < 2:
        raise ParameterError("loaded latency takes two CPUs, and this process may use one", "allow more CPUs")
    count = (len(cpus) if cpus is not None else able) - 1 if threads is None else threads
    if type(count) is not int or count < 1:
        raise ParameterError(f"threads {count!r} is not a positive whole number", "use 1 or more threads")
    if cpus is None and count + 1 > able:
        raise ParameterError(
            f"{count} threads that inject and one that chases are more than the {able} CPUs",
            f"use at most {able - 1} threads",
        )
    return place_threads(count + 1, placement if cpus is None else cpus)
