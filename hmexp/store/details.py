"""How a number was measured, by the kind of the operation."""

from __future__ import annotations

from hmexp.store.evidence import NoiseRecord
from hmexp.store.schema import Stored, Tagged


class Stop(Stored, frozen=True, kw_only=True, gc=False):
    """Why the samples of a launch ended.

    Parameters
    ----------
    stopped : str
        `precision`, `cap` or `fixed`.
    least, most : int
        Samples at least and at most.
    precision : float
        Half width of the interval that was asked for, as a part of the median.
    """

    stopped: str
    least: int
    most: int
    precision: float = 0.0


class PerPayload(Stored, frozen=True, kw_only=True, gc=False):
    """What an operation does for each unit of payload.

    Parameters
    ----------
    loads, stores, write_allocates : float
        Loads, stores, and lines that are read because they are written.
    nontemporal : bool
        Whether stores bypass the caches.
    """

    loads: float
    stores: float
    write_allocates: float
    nontemporal: bool = False


class Stragglers(Stored, frozen=True, kw_only=True, gc=False):
    """How evenly the threads of a bandwidth worked.

    Parameters
    ----------
    late_start_ns : float
        How much later the last thread began [ns].
    alone_at_the_end : float
        Part of the time that the last thread was alone.
    thread_gbps : tuple of float
        Bandwidth of each thread [GB/s].
    """

    late_start_ns: float
    alone_at_the_end: float
    thread_gbps: tuple[float, ...] = ()


class BandwidthDetails(Tagged, frozen=True, kw_only=True, gc=False, tag="bandwidth"):
    """How a bandwidth was measured.

    Parameters
    ----------
    threads : int
        That measured.
    cpus : tuple of int
        That they were pinned to.
    passes : int
        Passes over the region in a sample.
    vector_bits : int
        Width of the loads and stores [bits].
    access : str
        Order of the accesses.
    stride_bytes : int or None
        From line to line, if strided [bytes].
    share : str
        `slices` of each thread, or shared `granules`.
    per_payload : PerPayload or None
        Loads and stores for each unit of payload.
    page_bytes : int or None
        Size of the pages [bytes].
    stragglers : Stragglers or None
        How evenly the threads worked.
    stop : Stop or None
        Why the samples ended.
    window_bytes : int or None
        Size of the windows along the region, if they were measured [bytes].
    window_gbps : tuple of tuple of float
        Bandwidth of each thread in each window [GB/s].
    """

    threads: int = 1
    cpus: tuple[int, ...] = ()
    passes: int | None = None
    vector_bits: int | None = None
    access: str = "sequential"
    stride_bytes: int | None = None
    share: str | None = None
    per_payload: PerPayload | None = None
    page_bytes: int | None = None
    stragglers: Stragglers | None = None
    stop: Stop | None = None
    window_bytes: int | None = None
    window_gbps: tuple[tuple[float, ...], ...] = ()


class Distribution(Stored, frozen=True, kw_only=True, gc=False):
    """How the latency of blocks of hops is distributed.

    Parameters
    ----------
    block_hops, blocks : int
        Loads in a block, and how many blocks were timed.
    ns_per_load : dict of str to float
        Percentiles (`p50` ...) and `max` over the blocks [ns].
    clock_read_ns : float
        What reading the clock costs, once in each block; not subtracted [ns].
    """

    block_hops: int
    blocks: int
    ns_per_load: dict[str, float]
    clock_read_ns: float = 0.0


class LatencyDetails(Tagged, frozen=True, kw_only=True, gc=False, tag="latency"):
    """How a latency of loads was measured, by a chase.

    Parameters
    ----------
    threads : int
        Always one.
    cpus : tuple of int
        That it was pinned to.
    hops : int or None
        Accesses of each chain in a sample.
    chains : int
        Chases side by side.
    stop : Stop or None
        Why the samples ended.
    lines : int or None
        Lines in the ring.
    spacing_bytes : int or None
        From line to line in memory [bytes].
    window_bytes : int or None
        The chase stays in windows of this size; the region's, if it does not [bytes].
    access : str
        `random` or `ordered`.
    node : int or None
        The only node whose lines are in the ring; None for all.
    page_bytes : int or None
        Size of the pages [bytes].
    distribution : Distribution or None
        Percentiles of the latency of blocks of hops, if asked for.
    """

    threads: int = 1
    cpus: tuple[int, ...] = ()
    hops: int | None = None
    chains: int = 1
    stop: Stop | None = None
    lines: int | None = None
    spacing_bytes: int | None = None
    window_bytes: int | None = None
    access: str = "random"
    node: int | None = None
    page_bytes: int | None = None
    distribution: Distribution | None = None


class StoreLatencyDetails(Tagged, frozen=True, kw_only=True, gc=False, tag="store_latency"):
    """How a latency of stores was measured.

    Parameters
    ----------
    threads, cpus, stop, access, window_bytes, spacing_bytes, page_bytes
        As for `LatencyDetails`.
    stores : int or None
        Stores of a sample.
    """

    threads: int = 1
    cpus: tuple[int, ...] = ()
    stores: int | None = None
    stop: Stop | None = None
    access: str = "random"
    window_bytes: int | None = None
    spacing_bytes: int | None = None
    page_bytes: int | None = None


class LoadedRate(Stored, frozen=True, kw_only=True, gc=False):
    """Latency at one rate of a load.

    Parameters
    ----------
    delay_ns : int or None
        Pause after each burst; None is no load at all [ns].
    load_gbps : float
        Payload of the threads that load, the median [GB/s].
    median, ci_low, ci_high, mad, minimum, maximum, n, interval_over
        As for `Measured`, of the latency [ns].
    samples : tuple of float
        The latency in each sample [ns].
    noise : NoiseRecord or None
        What else happened.
    """

    delay_ns: int | None
    load_gbps: float
    median: float
    ci_low: float | None = None
    ci_high: float | None = None
    mad: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    n: int = 0
    interval_over: str = "samples"
    samples: tuple[float, ...] = ()
    noise: NoiseRecord | None = None


class KneeRecord(Stored, frozen=True, kw_only=True, gc=False):
    """The knee of a curve of loaded latency.

    Parameters
    ----------
    saturated : bool
        Whether the load was enough to find one.
    load_gbps : float or None
        The load at the knee; None without one [GB/s].
    latency_ns : float or None
        The latency there [ns].
    highest_gbps : float
        The highest load that was reached [GB/s].
    rise : float
        Latency under the highest load, as a multiple of that without load.
    """

    saturated: bool
    load_gbps: float | None
    latency_ns: float | None
    highest_gbps: float
    rise: float


class LoadedDetails(Tagged, frozen=True, kw_only=True, gc=False, tag="loaded"):
    """How a latency under load was measured, with the whole curve.

    Parameters
    ----------
    threads : int
        That load.
    cpus : tuple of int
        The chase's first, then one for each thread that loads.
    idle_ns : float or None
        Latency without load [ns].
    knee : KneeRecord or None
        Where the latency leaves the ground.
    curve : tuple of LoadedRate
        Latency at each rate, no load first.
    lines, spacing_bytes, window_bytes, access, node, page_bytes
        As for `LatencyDetails`.
    vector_bits, per_payload
        As for `BandwidthDetails`, of the load.
    burst_bytes : int or None
        What a thread moves between two pauses [bytes].
    stop : Stop or None
        Why the samples ended.
    """

    threads: int = 1
    cpus: tuple[int, ...] = ()
    idle_ns: float | None = None
    knee: KneeRecord | None = None
    curve: tuple[LoadedRate, ...] = ()
    lines: int | None = None
    spacing_bytes: int | None = None
    window_bytes: int | None = None
    access: str = "random"
    node: int | None = None
    page_bytes: int | None = None
    vector_bits: int | None = None
    burst_bytes: int | None = None
    per_payload: PerPayload | None = None
    stop: Stop | None = None


#: A new kind of operation adds its struct here.
Details = BandwidthDetails | LatencyDetails | StoreLatencyDetails | LoadedDetails
