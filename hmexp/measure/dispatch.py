"""Measuring a quantity by its name: which of the measurements it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from hmexp import native
from hmexp.measure.bandwidth import measure_bandwidth
from hmexp.measure.curve import LoadedCurve
from hmexp.measure.latency import measure_latency, measure_store_latency
from hmexp.measure.loaded import SAMPLING, measure_loaded_latency
from hmexp.measure.measurement import Measurement
from hmexp.measure.quantity import TAIL_LOADED, is_loaded, streaming
from hmexp.measure.rings import RingPlan
from hmexp.measure.sampling import Sampling
from hmexp.measure.tail import measure_latency_tail, measure_loaded_tail
from hmexp.measure.walk import Walk
from hmexp.memory.region import Region
from hmexp.units import MIB

WINDOW_BYTES: Final = 16 * MIB


def measure(
    region: Region,
    name: str,
    threads: int,
    cpus: Sequence[int],
    *,
    sampling: Sampling,
    seed: int = 1,
    walk: Walk = Walk(),
) -> Measurement:
    """Measure a quantity of a region.

    Parameters
    ----------
    region : Region
        Its contents are overwritten.
    name : str
        Of `find_quantity`.
    threads : int
        For a bandwidth, and those that load for a loaded latency.
    cpus : sequence of int
        One for each thread; the chase's comes first for a loaded latency.
    sampling : Sampling
        A curve of loaded latency takes at most 5 samples of 20 ms at each rate, and has no stop rule.
    seed : int
        Of random orders of a chase.
    walk : Walk
        How the threads of a bandwidth go; latencies have ways of their own.
    """
    if name == TAIL_LOADED:
        return measure_loaded_tail(region, threads, pinning=cpus, seed=seed, sampling=sampling)
    if is_loaded(name):
        curve = measure_loaded_latency(
            region, streaming(name) or "read", threads, pinning=cpus, sampling=sampling_of_curve(sampling)
        )
        return at_full_load(curve, name)
    match name:
        case "latency":
            return measure_latency(region, cpu=cpus[0], ring=RingPlan(seed=seed), sampling=sampling)
        case "latency_window":
            ring = RingPlan(seed=seed, window_bytes=min(WINDOW_BYTES, region.size_bytes))
            return measure_latency(region, cpu=cpus[0], ring=ring, name=name, sampling=sampling)
        case "latency_tail":
            return measure_latency_tail(region, cpu=cpus[0], seed=seed, sampling=sampling)
        case "store_nt":
            return measure_store_latency(region, "nt", cpu=cpus[0], seed=seed, sampling=sampling)
        case "store_flush":
            return measure_store_latency(region, "flush", cpu=cpus[0], seed=seed, sampling=sampling)
    return measure_bandwidth(region, name, threads, pinning=cpus, walk=walk, sampling=sampling)


def sampling_of_curve(sampling: Sampling) -> Sampling:
    """Limit what each rate of a curve of loaded latency takes."""
    return Sampling(min(sampling.samples, SAMPLING.samples), min(sampling.seconds, SAMPLING.seconds))


def at_full_load(curve: LoadedCurve, name: str) -> Measurement:
    """The latency under all the load that the threads can make, with the whole curve in its details."""
    last = curve.points[-1]
    latency = np.array(last.samples)
    return Measurement(
        operation=name,
        unit="ns",
        samples=latency,
        sample_seconds=latency * last.hops / 1e9,
        payload_bytes=last.hops * native.LINE_BYTES,
        before=curve.before[0],
        after=curve.after[0],
        profile=curve.profile,
        details=msgspec.structs.replace(
            curve.details, idle_ns=curve.idle_ns, knee=curve.knee.to_record(), curve=curve.rates
        ),
        noise=last.noise,
    )
