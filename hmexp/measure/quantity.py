"""What a point can measure, by name: bandwidth of an operation, a latency, or a loaded latency."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from hmexp import native
from hmexp.errors import ParameterError
from hmexp.measure.bandwidth import OPERATIONS, find_operation, measure_bandwidth
from hmexp.measure.curve import LoadedCurve
from hmexp.measure.latency import measure_latency, measure_store_latency
from hmexp.measure.loaded import SAMPLING, measure_loaded_latency
from hmexp.measure.measurement import Measurement
from hmexp.measure.rings import RingPlan
from hmexp.measure.sampling import Sampling
from hmexp.measure.tail import measure_latency_tail, measure_loaded_tail
from hmexp.measure.walk import Walk
from hmexp.memory.region import Region
from hmexp.memory.speed import FIGURES, Quantity
from hmexp.units import MIB

#: Idle latencies, all by one thread: of loads at random over the region, or within windows that a TLB
#: covers, of single loads by their slowest hundredth, and of stores.
LATENCIES: Final = ("latency", "latency_window", "latency_tail", "store_nt", "store_flush")
#: What comes before the operation that loads: ``loaded_read``.
LOADED: Final = "loaded_"
#: Single loads under the load of threads that read.
TAIL_LOADED: Final = "latency_tail_loaded"
WINDOW_BYTES: Final = 16 * MIB


def find_quantity(name: str) -> str:
    """The quantity's own name; ``3:1`` is ``mix_3_1``, ``loaded`` is ``loaded_read``.

    Raises
    ------
    ParameterError
        If there is none, with the names there are.
    """
    if name in (*LATENCIES, TAIL_LOADED):
        return name
    if "," in name:
        raise ParameterError(
            f"operation {name!r} is a list with commas",
            f"write each as a word of its own: --operations {' '.join(name.replace(',', ' ').split())}; in a "
            f"notebook or a preset, as a list of texts",
        )
    if name == LOADED.rstrip("_"):
        name = f"{LOADED}read"
    loading = name.removeprefix(LOADED)
    try:
        found = find_operation(loading).name
    except ParameterError:
        raise ParameterError(
            f"operation {name!r} is unknown",
            f"use some of: {', '.join((*OPERATIONS, *LATENCIES, TAIL_LOADED))}, or {LOADED}OPERATION for the "
            "latency under that load",
        ) from None
    return found if loading == name else f"{LOADED}{found}"


def is_loaded(name: str) -> bool:
    """Whether it is a latency under load."""
    return has_curve(name) or name == TAIL_LOADED


def has_curve(name: str) -> bool:
    """Whether it is a latency under every load there can be, rather than under all of it alone."""
    return name.startswith(LOADED)


def is_latency(name: str) -> bool:
    """Whether less of it is better; its unit is ns then, else GB/s."""
    return name in LATENCIES or is_loaded(name)


def streaming(name: str) -> str | None:
    """The operation that streams over memory in it; None for an idle latency."""
    if name == TAIL_LOADED:
        return "read"
    return None if name in LATENCIES else name.removeprefix(LOADED)


def predictable(name: str) -> str | None:
    """What `Emulation.predict` calls it; None if there is no prediction."""
    if is_loaded(name) or name == "latency_tail":
        return None
    return "latency" if name == "latency_window" else name


def figures_of(name: str) -> tuple[Quantity, ...]:
    """What an emulation must know of the host for it, besides what it always does."""
    found = [quantity for quantity in FIGURES if quantity == name and quantity.startswith("store")]
    operation = streaming(name)
    if operation is not None and native.OPERATIONS[operation].nontemporal:
        found.append("write_nt")
    return tuple(found)


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
