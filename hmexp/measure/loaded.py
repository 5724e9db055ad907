"""Loaded latency: what a chase sees while other threads inject traffic at set rates."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

import numpy as np

from hmexp import native
from hmexp.errors import ParameterError
from hmexp.measure.curve import LoadedCurve, LoadedPoint
from hmexp.measure.injection import BURST_BYTES, INJECTION, Injection, check_delays, place_load
from hmexp.measure.knee import Knee, find_knee
from hmexp.measure.knee_interval import RateSamples, with_interval
from hmexp.measure.measurement import proof
from hmexp.measure.noise import Noise
from hmexp.measure.operation import find_operation
from hmexp.measure.rings import RingPlan, prepare_ring
from hmexp.measure.sampling import Sampling
from hmexp.measure.statistics import median_of, summarise
from hmexp.measure.threads import make_slices
from hmexp.measure.walk import require_vectors
from hmexp.memory.placement import Placement
from hmexp.memory.region import Region
from hmexp.native import Job, Operation
from hmexp.store.details import LoadedDetails

#: A curve has some twenty rates: each gets this.
SAMPLING: Final = Sampling(5, 0.02)


def measure_loaded_latency(
    region: Region,
    operation: str = "read",
    threads: int | None = None,
    *,
    load: Region | None = None,
    pinning: str | Sequence[int] = "near",
    ring: RingPlan = RingPlan(),
    injection: Injection = INJECTION,
    sampling: Sampling = SAMPLING,
    show: Callable[[str], None] = lambda _: None,
) -> LoadedCurve:
    """Measure latency while other threads inject traffic, at one rate after the other.

    Parameters
    ----------
    region : Region
        For the chase; its contents are overwritten. Without `load`, the chase is in its first half
        and the load in its second.
    operation : str
        What is injected, as for `measure_bandwidth`.
    threads : int, optional
        That inject; by default all CPUs but the one of the chase.
    load : Region, optional
        For the load, on a pattern of its own: how much does traffic there hurt the chase here.
    pinning : str or sequence of int
        Which CPUs; the chase's comes first.
    ring, injection, sampling
        How the chase goes; how the load is made; how many samples at each rate, without a stop rule.
    show : callable
        Receives what is being measured.

    Raises
    ------
    ParameterError
        If a parameter cannot be used, or there is no CPU left to inject from.
    PlacementError
        If pages are not where they should be, before or after.
    """
    found = find_operation(operation)
    sampling.rule()
    delays = check_delays(injection.delays_ns)
    bench = LoadBench(region, load, found, place_load(threads, pinning), injection, ring, sampling)
    before = bench.proofs("before")
    points = bench.curve(delays, injection.refine, show)
    return bench.conclude(points, before, bench.proofs("after"))


class LoadBench:
    """A ring and the slices beside it, ready to be measured at any rate."""

    def __init__(
        self,
        region: Region,
        load: Region | None,
        operation: Operation,
        cpus: tuple[int, ...],
        injection: Injection,
        plan: RingPlan,
        sampling: Sampling,
    ) -> None:
        self.bits, self.mix = require_vectors(injection.vector_bits, operation), injection.mix
        if self.mix is not None:
            require_vectors(injection.vector_bits, find_operation(self.mix.writing))
            if operation.name != "read":
                raise ParameterError(f"operation {operation.name} is not read, beside a mix", "give read")
        self.probe, self.load, self.operation, self.cpus = region, load or region, operation, cpus
        self.samples, self.sample_ns = sampling.samples, sampling.nanoseconds
        if self.load.emulation is not region.emulation and self.load.emulation != region.emulation:
            raise ParameterError(
                "the chase's region and the load's are emulated differently",
                "allocate both with one emulation",
            )
        if self.load.emulation is not None:
            for name in (operation.name, self.mix.writing if self.mix else operation.name):
                self.load.emulation.predict(self.load.pages_per_node(), name, self.threads)
        half = region.size_bytes // 2 // native.PAGE_BYTES * native.PAGE_BYTES
        size = region.size_bytes if load else half
        self.model = region.model_for(self.threads, beside=self.load.pattern, fine=True)
        self.ring = prepare_ring(region, self.cpu, plan, size_bytes=size, model=self.model)
        self.slices = make_slices(self.load, cpus[1:], operation, start_bytes=0 if load else size)
        self.offset, self.hop_ns = self.ring.starts[0], 100.0

    @property
    def cpu(self) -> int:
        """Where the chase runs."""
        return self.cpus[0]

    @property
    def threads(self) -> int:
        """How many inject."""
        return len(self.cpus) - 1

    def proofs(self, stage: Literal["before", "after"]) -> tuple[Placement, ...]:
        """Where every page is."""
        regions = (self.probe,) if self.load is self.probe else (self.probe, self.load)
        return tuple(proof(each, stage) for each in regions)

    def curve(
        self, delays: tuple[int, ...], refine: int, show: Callable[[str], None]
    ) -> tuple[LoadedPoint, ...]:
        """Every rate, and those beside the knee; the longest pause first."""

        def take(delay_ns: int) -> LoadedPoint:
            show(f"{self.operation.name} by {self.threads} threads, {delay_ns} ns between bursts")
            return self.take(Job(self.operation.name, 1, self.samples, bits=self.bits), delay_ns)

        show("no load")
        points = [self.idle(self.samples), *(take(delay) for delay in delays)]
        points += [take(delay) for delay in _between(points, refine)]
        points.sort(key=lambda p: math.inf if p.delay_ns is None else p.delay_ns, reverse=True)
        return tuple(points)

    def conclude(
        self, points: tuple[LoadedPoint, ...], before: tuple[Placement, ...], after: tuple[Placement, ...]
    ) -> LoadedCurve:
        """Put the points, the proof and the way together."""
        emulation, ring = self.probe.emulation, self.ring
        return LoadedCurve(
            operation=self.operation.name,
            probe_pattern=str(self.probe.pattern),
            load_pattern=str(self.load.pattern),
            threads=self.threads,
            points=points,
            knee=with_interval(_knee(points), [[RateSamples(p.loads_gbps, p.samples) for p in points]]),
            before=before,
            after=after,
            profile=None if emulation is None else emulation.profile.name,
            details=LoadedDetails(
                threads=self.threads,
                cpus=self.cpus,
                lines=ring.lines,
                spacing_bytes=ring.spacing_bytes,
                window_bytes=ring.window_bytes,
                access=ring.access,
                node=ring.node,
                page_bytes=after[0].page_bytes,
                vector_bits=self.bits,
                burst_bytes=BURST_BYTES,
                per_payload=self.operation.to_record() if self.mix is None else self.mix.per_payload,
            ),
        )

    def idle(self, samples: int) -> LoadedPoint:
        """The chase without a load."""
        self._chase(1)  # to learn how long a hop takes
        return self._chase(samples)

    def _chase(self, samples: int) -> LoadedPoint:
        hops = self._hops()
        taken, (self.offset,) = native.chase(
            self.probe.mapping, self.cpu, hops, samples, self.model, (self.offset,)
        )
        return self._point(None, taken, np.zeros(samples), hops)

    def take(self, job: Job, delay_ns: int) -> LoadedPoint:
        """The chase while the others do a job, with a pause after each burst [ns]."""
        hops = self._hops()
        run = native.loaded(
            self.probe.mapping, self.cpu, self.offset, hops, self.load.mapping, self.slices, job,
            BURST_BYTES, delay_ns, self.model, self.load.pattern,
            None if self.mix is None else self.mix.blend,
        )  # fmt: skip
        self.offset = run.offset
        return self._point(delay_ns, run.samples, run.load_bytes, hops)

    def take_tail(self, turns: int, samples: int, nodes: Sequence[int]) -> native.LoadedRun:
        """Single loads by node, under all the load that the threads can make."""
        job = Job(self.operation.name, 1, samples, bits=self.bits)
        run = native.loaded(
            self.probe.mapping, self.cpu, self.offset, turns, self.load.mapping, self.slices, job,
            BURST_BYTES, 0, self.model, self.load.pattern, tail_nodes=nodes,
        )  # fmt: skip
        self.offset = run.offset
        return run

    def _hops(self) -> int:
        return max(500, int(self.sample_ns / self.hop_ns))

    def _point(self, delay_ns: int | None, taken: Any, load_bytes: Any, hops: int) -> LoadedPoint:
        span = np.maximum(taken["end_ns"] - taken["start_ns"], 1)
        latency, load = span / hops, load_bytes / span
        # The next rate is a little higher: its hops will take about as long.
        self.hop_ns = float(median_of(latency))
        return LoadedPoint(
            delay_ns,
            float(median_of(load)),
            summarise(latency),
            tuple(float(v) for v in latency),
            tuple(float(v) for v in load),
            Noise.of(taken, modelled=self.probe.emulation is not None),
            hops,
        )


def _knee(points: Sequence[LoadedPoint]) -> Knee:
    return find_knee([p.load_gbps for p in points], [p.latency.median for p in points])


def _between(points: list[LoadedPoint], refine: int) -> list[int]:
    """Delays between those on either side of the knee."""
    knee = _knee(points)
    if knee.load_gbps is None or refine < 1:
        return []
    delays = sorted({p.delay_ns for p in points if p.delay_ns is not None}, reverse=True)
    far = {p.delay_ns: abs(p.load_gbps - knee.load_gbps) for p in points if p.delay_ns is not None}
    here = delays.index(min(far, key=far.__getitem__))
    added = []
    for longer, shorter in zip(
        delays[max(here - 1, 0) : here + 2], delays[max(here, 1) : here + 2], strict=False
    ):
        steps = np.linspace(longer, shorter, refine // 2 + 2)[1:-1]
        added += [int(step) for step in steps if int(step) not in delays]
    return list(dict.fromkeys(added))
