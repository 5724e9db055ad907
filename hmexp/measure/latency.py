"""Idle latency of a region: a pointer chase through every line of it."""

from __future__ import annotations

from typing import Final

from hmexp import native
from hmexp.errors import MeasurementError, ParameterError
from hmexp.measure.measurement import Measurement, proof, require_samples
from hmexp.memory.region import Region
from hmexp.system.cpus import choose_cpus
from hmexp.units import format_size

#: A ring of more lines would take minutes to walk; a larger region gets its lines further apart.
_MAX_LINES: Final = 1 << 26
_TRIAL_HOPS: Final = 20_000


def measure_latency(
    region: Region,
    *,
    cpu: int | None = None,
    samples: int = 10,
    sample_seconds: float = 0.05,
    seed: int = 1,
) -> Measurement:
    """Measure the mean time of a load that depends on the load before it.

    The ring goes through all lines of the region in one random cycle, so the TLB misses on nearly
    every hop when pages are small: this is the latency that a program without locality sees, not
    the lowest that the memory can give. It is walked once before the samples, and its length
    checked.

    Parameters
    ----------
    region : Region
        Its contents are overwritten by the ring.
    cpu : int, optional
        The CPU to chase on; chosen if not given.
    samples : int
        How many samples.
    sample_seconds : float
        How long one should last [s].
    seed : int
        Of the random cycle.

    Returns
    -------
    Measurement
        In ns per load.

    Raises
    ------
    ParameterError
        If a parameter cannot be used.
    PlacementError
        If the pages are not where they should be, before or after.
    MeasurementError
        If the ring is not one cycle through all lines.
    """
    require_samples(samples, sample_seconds)
    chosen = choose_cpus(1)[0] if cpu is None else cpu
    if region.size_bytes < 64 * native.LINE_BYTES:
        raise ParameterError(f"a region of {format_size(region.size_bytes)} is too small for a pointer chase")
    spacing_bytes = native.LINE_BYTES
    while region.size_bytes // spacing_bytes > _MAX_LINES:
        spacing_bytes *= 2
    lines = native.build_ring(region.mapping, seed, region.model, spacing_bytes)
    length = native.walk_ring(region.mapping, chosen, lines)
    if length != lines:
        raise MeasurementError(f"the ring of {lines} lines came back to its start after {length} steps")
    before = proof(region, "before")
    trial, offset = native.chase(region.mapping, chosen, _TRIAL_HOPS, 1, region.model)
    hops = max(1000, int(sample_seconds * 1e9 / (float(trial[0]) / _TRIAL_HOPS)))
    elapsed_ns, _ = native.chase(region.mapping, chosen, hops, samples, region.model, offset)
    after = proof(region, "after")
    return Measurement(
        operation="latency",
        unit="ns",
        samples=elapsed_ns / hops,
        sample_seconds=elapsed_ns / 1e9,
        payload_bytes=hops * native.LINE_BYTES,
        before=before,
        after=after,
        profile=None if region.emulation is None else region.emulation.profile.name,
        details={
            "threads": 1,
            "cpus": [chosen],
            "hops": hops,
            "lines": lines,
            "spacing_bytes": spacing_bytes,
            "window_bytes": region.size_bytes,
            "page_bytes": native.PAGE_BYTES,
        },
    )
