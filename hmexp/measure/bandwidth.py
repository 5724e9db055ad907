"""Sequential read and write bandwidth of a region."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, get_args

import numpy as np

from hmexp import native
from hmexp.errors import ParameterError
from hmexp.measure.measurement import Measurement, proof, require_samples
from hmexp.memory.region import Region
from hmexp.native import Operation, Slice
from hmexp.system.cpus import choose_cpus
from hmexp.units import format_size

OPERATIONS: Final[tuple[Operation, ...]] = get_args(Operation)


def measure_bandwidth(
    region: Region,
    op: Operation = "read",
    threads: int = 1,
    *,
    cpus: Sequence[int] | None = None,
    samples: int = 10,
    sample_seconds: float = 0.05,
) -> Measurement:
    """Measure how fast threads go over a region from start to end.

    Each thread has a slice of its own; all start a sample together. A sample lasts from the first
    thread's start to the last one's end. Payload bytes are counted: a regular store also reads the
    line that it writes to, which is traffic but not payload.

    Parameters
    ----------
    region : Region
        Its contents are overwritten by ``write``.
    op : str
        ``read`` (loads) or ``write`` (regular stores).
    threads : int
        Threads, each pinned to a CPU of its own.
    cpus : sequence of int, optional
        The CPUs, one per thread; chosen if not given.
    samples : int
        How many samples.
    sample_seconds : float
        How long one should last, at least; rounded up to whole passes [s].

    Returns
    -------
    Measurement
        In GB/s.

    Raises
    ------
    ParameterError
        If a parameter cannot be used.
    PlacementError
        If the pages are not where they should be, before or after.
    """
    if op not in OPERATIONS:
        raise ParameterError(f"operation {op!r} is unknown", f"use one of: {', '.join(OPERATIONS)}")
    require_samples(samples, sample_seconds)
    chosen = tuple(cpus) if cpus is not None else choose_cpus(threads)
    if len(chosen) != threads:
        raise ParameterError(f"{threads} threads need as many CPUs, not {len(chosen)} ({chosen})")
    slices = make_slices(region, chosen)
    before = proof(region, "before")
    trial = native.bandwidth(region.mapping, slices, op, 1, 2, region.model)
    passes = max(1, int(np.ceil(sample_seconds * 1e9 / _elapsed_ns(trial).min())))
    run = native.bandwidth(region.mapping, slices, op, passes, samples, region.model)
    elapsed_ns = _elapsed_ns(run)
    after = proof(region, "after")
    payload_bytes = region.size_bytes * passes
    return Measurement(
        operation=op,
        unit="GB/s",
        samples=payload_bytes / elapsed_ns,  # bytes per ns
        sample_seconds=elapsed_ns / 1e9,
        payload_bytes=payload_bytes,
        before=before,
        after=after,
        profile=None if region.emulation is None else region.emulation.profile.name,
        details={
            "threads": threads,
            "cpus": list(chosen),
            "passes": passes,
            "vector_bits": native.vector_bits(),
        },
    )


def make_slices(region: Region, cpus: Sequence[int]) -> list[Slice]:
    """Divide a region among threads.

    Slices are whole repetitions of the pattern where there are enough of them, so that every
    thread has the same share of each node; otherwise whole granules, otherwise whole pages.

    Raises
    ------
    ParameterError
        If there are fewer pages than threads.
    """
    threads = len(cpus)
    for unit_bytes in (region.pattern.period_bytes, region.pattern.granule_bytes, native.PAGE_BYTES):
        units = region.size_bytes // unit_bytes
        # The last slice also takes what is no whole unit: with eight units for each thread that
        # makes it longer than the others by an eighth at most.
        if units >= 8 * threads or (unit_bytes == native.PAGE_BYTES and units >= threads):
            break
    else:
        raise ParameterError(
            f"a region of {format_size(region.size_bytes)} is too small for {threads} threads",
            f"use at most {region.pages} threads, or a larger region",
        )
    edges = [units * i // threads * unit_bytes for i in range(threads)] + [region.size_bytes]
    return [Slice(start, end - start, cpu) for start, end, cpu in zip(edges, edges[1:], cpus, strict=False)]


def _elapsed_ns(run: native.BandwidthRun) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    elapsed: np.ndarray[tuple[int], np.dtype[np.int64]] = run.end_ns.max(axis=1) - run.start_ns.min(axis=1)
    return elapsed
