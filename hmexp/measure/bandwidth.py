"""Bandwidth of a region: what threads that go over it get, in payload and on the bus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from hmexp import native
from hmexp.errors import ParameterError
from hmexp.measure.measurement import Measurement, proof
from hmexp.measure.noise import Noise
from hmexp.measure.operation import find_operation
from hmexp.measure.sampling import Sampling
from hmexp.measure.shapes import Way, find_way
from hmexp.measure.statistics import median_of
from hmexp.measure.threads import make_slices, place_threads, shared_slices
from hmexp.measure.walk import Walk
from hmexp.memory.placement import Placement
from hmexp.memory.region import Region
from hmexp.native import BandwidthRun, Job, Operation, Slice
from hmexp.store.details import BandwidthDetails, Stragglers
from hmexp.store.stop import Stop
from hmexp.units import format_size

#: Width of the loads and stores of lines in random order, where none is named [bits].
LINE_BITS: Final = 256


def measure_bandwidth(
    region: Region,
    operation: str = "read",
    threads: int = 1,
    *,
    pinning: str | Sequence[int] = "near",
    walk: Walk = Walk(),
    sampling: Sampling = Sampling(),
) -> Measurement:
    """Measure how fast threads go over a region.

    All threads start a sample together; it lasts from the first start to the last end. Payload bytes
    are counted; the bytes that the bus is estimated to carry stand beside them.

    Parameters
    ----------
    region : Region
        Its contents are overwritten by operations that store.
    operation : str
        Of `OPERATIONS`, or a read:write ratio: ``3:1`` (regular stores), ``3:1nt`` (non-temporal).
    threads : int
        Threads, each pinned to a CPU of its own.
    pinning : str or sequence of int
        Which CPUs: ``near``, ``compact``, ``spread``, ``node:N``, or the CPUs; see `place_threads`.
    walk : Walk
        How the threads go: access, stride, share, windows, vector width.
    sampling : Sampling
        How many samples, and how long one lasts; rounded up to whole passes.

    Returns
    -------
    Measurement
        In GB/s.

    Raises
    ------
    ParameterError
        If a parameter cannot be used.
    EmulationError
        If the emulated nodes do not have the figure that the operation takes.
    PlacementError
        If the pages are not where they should be, before or after.
    """
    found = find_operation(operation)
    rule = sampling.rule()
    bench = _Bench(region, found, threads, pinning, walk)
    before = proof(region, "before")
    passes = bench.passes(sampling.nanoseconds)
    taken, stopped = rule.take(lambda count: bench.take(passes, count), _rates)
    windows = bench.windows(passes, sampling.samples)
    after = proof(region, "after")
    return bench.conclude(taken, passes, windows, (before, after), rule.to_record(stopped))


class _Bench:
    """Threads on their parts of a region, ready to go over it."""

    def __init__(
        self, region: Region, operation: Operation, threads: int, pinning: str | Sequence[int], walk: Walk
    ) -> None:
        self.region, self.operation, self.threads, self.walk = region, operation, threads, walk
        self.way = _way_of(region, operation, walk)
        walk.require(region)
        self.cpus = place_threads(threads, pinning)
        divide = shared_slices if walk.shared else make_slices
        self.slices = divide(region, self.cpus, operation, way=self.way)
        self.distance_bytes = self.way.distance_bytes(region.pattern)
        if walk.access == "strided" and walk.stride_bytes > self.slices[0].part_bytes:
            raise ParameterError(
                f"a stride of {format_size(walk.stride_bytes)} is more than the "
                f"{format_size(self.slices[0].part_bytes)} that a thread goes over",
                "use a shorter stride, fewer threads or a larger region",
            )
        if region.emulation is not None:
            region.emulation.predict(region.pages_per_node(), operation.name, threads)
        self.model = region.model_for(threads)
        self.spare: list[npt.NDArray[np.void]] = []

    def run(self, passes: int, count: int, window_bytes: int = 0, *, warm: bool = True) -> BandwidthRun:
        """Take so many samples, of so many passes each."""
        job = Job(
            self.operation.name, passes, count, self.walk.access, self.way.vector_bits, self.walk.shared,
            self.region.pattern.granule_bytes, self.walk.stride_bytes, window_bytes, warm=warm,
            shape=self.way.shape.name, distance_bytes=self.distance_bytes,
        )  # fmt: skip
        return native.bandwidth(self.region.mapping, self.slices, job, self.model)

    def passes(self, sample_ns: float) -> int:
        """How many passes take so long, by the first one, which warms up.

        Emulated nodes are warmed up at the host's speed before it, and their passes are slow: one that is
        long enough alone is a sample like those that follow.
        """
        warms_up = self.model is None
        trial = self.run(1, 1, warm=warms_up).samples
        passes = max(1, int(np.ceil(sample_ns / _elapsed_ns(trial).min())))
        self.spare = [trial] if passes == 1 and not warms_up else []
        return passes

    def take(self, passes: int, count: int) -> npt.NDArray[np.void]:
        """So many samples, of which the trial may be one."""
        ready = [self.spare.pop()] if self.spare else []
        more = [self.run(passes, count - len(ready)).samples] if count > len(ready) else []
        return np.concatenate([*ready, *more])

    def windows(self, passes: int, samples: int) -> list[list[float]]:
        """Payload bandwidth of each thread in each window of its slice, if asked for [GB/s]."""
        if self.walk.window_bytes is None:
            return []
        along = self.run(passes, samples, self.walk.window_bytes)
        return _window_gbps(along, self.slices, self.operation, self.walk.window_bytes, passes * samples)

    def conclude(
        self,
        taken: npt.NDArray[np.void],
        passes: int,
        windows: list[list[float]],
        proofs: tuple[Placement, Placement],
        stop: Stop,
    ) -> Measurement:
        """Put the samples, the proof and the way together."""
        elapsed_ns = _elapsed_ns(taken)
        payload_bytes = int(taken["payload_bytes"][0].sum())
        emulation, walk = self.region.emulation, self.walk
        return Measurement(
            operation=self.operation.name,
            unit="GB/s",
            samples=payload_bytes / elapsed_ns,  # bytes per ns
            sample_seconds=elapsed_ns / 1e9,
            payload_bytes=payload_bytes,
            before=proofs[0],
            after=proofs[1],
            profile=None if emulation is None else emulation.profile.name,
            details=BandwidthDetails(
                threads=self.threads,
                cpus=tuple(self.cpus),
                passes=passes,
                vector_bits=self.way.vector_bits,
                shape=self.way.shape.name,
                distance_bytes=self.distance_bytes or None,
                access=walk.access,
                stride_bytes=walk.stride_bytes if walk.access == "strided" else None,
                share=walk.share,
                per_payload=self.operation.to_record(),
                page_bytes=proofs[1].page_bytes,
                stragglers=_stragglers(taken),
                stop=stop,
                window_bytes=walk.window_bytes,
                window_gbps=tuple(map(tuple, windows)),
            ),
            bus_bytes=self.operation.bus_bytes(payload_bytes),
            noise=Noise.of(taken, modelled=emulation is not None),
        )


def _way_of(region: Region, operation: Operation, walk: Walk) -> Way:
    """The shape that was asked for; the plain one where all pieces are too short for any."""
    by_piece = walk.access in ("random_line", "strided") or walk.shared
    bits = walk.vector_bits
    if walk.access == "random_line" and bits is None:
        # Wider loads of single lines bring nothing, and some CPUs slow down for them.
        bits = min(LINE_BITS, native.vector_bits())
    way = find_way(walk.shape, operation, bits)
    if region.emulation is None and region.model_for(1) is None and not by_piece:
        return way
    return Way(native.SHAPES[native.PLAIN], way.vector_bits)


def _window_gbps(
    run: BandwidthRun, slices: Sequence[Slice], operation: Operation, window_bytes: int, passes: int
) -> list[list[float]]:
    """Payload bandwidth of each thread in each window of its slice [GB/s]."""
    found = []
    for times, part in zip(run.window_ns, slices, strict=True):
        lengths = [
            min(window_bytes, part.part_bytes - at) * operation.streams
            for at in range(0, part.part_bytes, window_bytes)
        ]
        found.append(
            [
                round(n * passes / max(int(t), 1), 4)
                for n, t in zip(lengths, times[: len(lengths)], strict=True)
            ]
        )
    return found


def _stragglers(taken: npt.NDArray[np.void]) -> Stragglers:
    """How unequal the threads were: what each got while it ran, and how long the last one ran alone."""
    start_ns, end_ns = taken["start_ns"], taken["end_ns"]
    rates = median_of(taken["payload_bytes"] / np.maximum(end_ns - start_ns, 1), axis=0)
    alone = (end_ns.max(axis=1) - end_ns.min(axis=1)) / _elapsed_ns(taken)
    return Stragglers(
        late_start_ns=float(median_of(start_ns.max(axis=1) - start_ns.min(axis=1))),
        alone_at_the_end=round(float(median_of(alone)), 4),
        thread_gbps=tuple(round(float(rate), 4) for rate in rates),
    )


def _elapsed_ns(taken: npt.NDArray[np.void]) -> npt.NDArray[np.int64]:
    return np.asarray(taken["end_ns"].max(axis=1) - taken["start_ns"].min(axis=1))


def _rates(taken: npt.NDArray[np.void]) -> npt.NDArray[np.float64]:
    return np.asarray(taken["payload_bytes"].sum(axis=1) / _elapsed_ns(taken), dtype=np.float64)
