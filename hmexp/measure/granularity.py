"""One granule of a pattern: what a program gets on average, and how far its parts are from that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import msgspec
import numpy as np

from hmexp import native
from hmexp.errors import ParameterError
from hmexp.measure.bandwidth import measure_bandwidth
from hmexp.measure.latency import measure_latency
from hmexp.measure.measurement import proof
from hmexp.measure.rings import RingPlan, prepare_ring
from hmexp.measure.sampling import Sampling
from hmexp.measure.threads import place_threads
from hmexp.measure.walk import Walk
from hmexp.memory.region import Region
from hmexp.native import LINE_BYTES
from hmexp.store.details import BandwidthDetails
from hmexp.store.evidence import Proof
from hmexp.store.results import Windows
from hmexp.units import format_size

#: A window's loads are timed in so many stretches: the ring enters the first window in its middle, so that
#: one stretch of each window in two may be of two windows.
STRETCHES: Final = 16
#: How often each stretch is timed; its median counts.
ROUNDS: Final = 3
_FEWEST_HOPS: Final = 32
_LARGE_WINDOW_BYTES: Final = 1 << 20


def measure_windows(
    region: Region,
    window_bytes: int,
    *,
    operation: str = "read",
    threads: int = 1,
    sampling: Sampling = Sampling(),
) -> Windows:
    """Measure bandwidth and latency of a region, and of the windows along it.

    Parameters
    ----------
    region : Region
        Its contents are overwritten.
    window_bytes : int
        A part of the region that stands for what one object of a program, or one of its phases, is in
        [bytes].
    operation, threads, sampling
        As for `measure_bandwidth`; latency is by one thread.

    Returns
    -------
    Windows
        Bandwidth and latency of the whole, ``window_gbps`` of every thread in every window [GB/s],
        ``window_ns`` (mean time of a load in each stretch of a window) [ns], and the proof.

    Raises
    ------
    ParameterError
        If the region has fewer than two windows, or a value cannot be used.
    PlacementError
        If the pages are not where they should be.
    """
    if window_bytes * 2 > region.size_bytes:
        size, window = format_size(region.size_bytes), format_size(window_bytes)
        raise ParameterError(
            f"a region of {size} has not two windows of {window}",
            "use a smaller window, or a larger region",
        )
    bandwidth = measure_bandwidth(
        region, operation, threads, walk=Walk(window_bytes=window_bytes), sampling=sampling
    )
    latency = measure_latency(region, sampling=sampling)
    assert isinstance(bandwidth.details, BandwidthDetails)
    windows = bandwidth.details.window_gbps
    stretches = _window_latencies(region, window_bytes)
    # They stand beside the bandwidth, flat: not within it, too.
    whole = replace(bandwidth, details=msgspec.structs.replace(bandwidth.details, window_gbps=()))
    return Windows(
        bandwidth=whole.to_record(),
        latency=latency.to_record(),
        window_gbps=tuple(value for thread in windows for value in thread),
        window_ns=tuple(round(float(value), 3) for value in stretches),
        window_bytes=window_bytes,
        setup=region.setup.to_record(),
        proof=Proof(before=bandwidth.before.to_record(), after=proof(region, "after").to_record()),
    )


def _window_latencies(region: Region, window_bytes: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Mean time of a load in each stretch of each window, shape ``(n,)`` [ns]."""
    cpu = place_threads(1)[0]
    # Every fourth line where windows are large: enough of them, in a quarter of the time.
    spacing = 4 * LINE_BYTES if window_bytes >= _LARGE_WINDOW_BYTES else LINE_BYTES
    ring = prepare_ring(region, cpu, RingPlan(spacing, window_bytes))
    hops = max(_FEWEST_HOPS, window_bytes // spacing // STRETCHES)
    blocks = max(1, ring.lines // hops)
    # What disturbs a stretch disturbs it once; the same stretch comes round again where hops divide lines.
    times = [
        native.chase_blocks(region.mapping, cpu, hops, blocks, region.model, ring.starts[0])
        for _ in range(ROUNDS)
    ]
    return np.asarray(np.median(times, axis=0) / hops, dtype=np.float64)
