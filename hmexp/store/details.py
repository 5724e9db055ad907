"""How a number was measured, by the kind of the operation."""

from __future__ import annotations

from hmexp.store.curves import KneeRecord, LoadedRate
from hmexp.store.schema import Stored, Tagged
from hmexp.store.stop import Stop
from hmexp.store.tails import TailDetails


class PerPayload(Stored, frozen=True, kw_only=True, gc=False):
    """What an operation does for each unit of payload.

    Parameters
    ----------
    loads : float
        Loads.
    stores : float
        Stores.
    write_allocates : float
        Lines that are read because they are written.
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
        How much later than the first the last thread began [ns].
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
        Threads that accessed the region.
    cpus : tuple of int
        CPUs that the threads were pinned to.
    passes : int or None
        Passes over the region in a sample.
    vector_bits : int or None
        Width of the loads and stores [bits].
    access : str
        Order of the accesses, such as `sequential` or `random`.
    stride_bytes : int or None
        Distance from line to line; None unless the access is strided [bytes].
    share : str or None
        How the threads share the region: in `slices` of their own, or `granules` in turn.
    per_payload : PerPayload or None
        Loads and stores for each unit of payload.
    page_bytes : int or None
        Size of the pages [bytes].
    stragglers : Stragglers or None
        How evenly the threads worked.
    stop : Stop or None
        Why the samples ended.
    window_bytes : int or None
        Size of the windows along the region; None if they were not measured [bytes].
    window_gbps : tuple of tuple of float
        Bandwidth of each thread in each window [GB/s].
    shape : str
        How the loop walked: `plain`, or a name of `docs/reference/operations.md`.
    distance_bytes : int or None
        How far the shape's places were apart; None if it has one [bytes].
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
    shape: str = "plain"
    distance_bytes: int | None = None


class Distribution(Stored, frozen=True, kw_only=True, gc=False):
    """How the latency of blocks of hops is distributed.

    Parameters
    ----------
    block_hops : int
        Loads in a block.
    blocks : int
        Blocks that were timed.
    ns_per_load : dict of str to float
        Percentiles (`p50` and so on) and `max` of the latency over the blocks [ns].
    clock_read_ns : float
        Cost of reading the clock, once in each block; not subtracted [ns].
    """

    block_hops: int
    blocks: int
    ns_per_load: dict[str, float]
    clock_read_ns: float = 0.0


class ChaseDetails(Tagged, frozen=True, kw_only=True, gc=False):
    """How the ring of a chase was laid.

    Parameters
    ----------
    lines : int or None
        Lines in the ring of the chase.
    spacing_bytes : int or None
        Distance from line to line of the ring in memory [bytes].
    window_bytes : int or None
        Size of the windows in which the chase stays; the region's, if it does not [bytes].
    access : str
        Order of the lines: `random` or `ordered`.
    node : int or None
        The only node whose lines are in the ring; None for all.
    page_bytes : int or None
        Size of the pages [bytes].
    """

    lines: int | None = None
    spacing_bytes: int | None = None
    window_bytes: int | None = None
    access: str = "random"
    node: int | None = None
    page_bytes: int | None = None


class LatencyDetails(ChaseDetails, frozen=True, kw_only=True, gc=False, tag="latency"):
    """How a latency of loads was measured, by a chase.

    Parameters
    ----------
    threads : int
        Threads: always one.
    cpus : tuple of int
        CPU that the thread was pinned to.
    hops : int or None
        Loads of each chain in a sample.
    chains : int
        Chases side by side.
    stop : Stop or None
        Why the samples ended.
    distribution : Distribution or None
        Percentiles of the latency of blocks of hops; None unless they were asked for.
    """

    threads: int = 1
    cpus: tuple[int, ...] = ()
    hops: int | None = None
    chains: int = 1
    stop: Stop | None = None
    distribution: Distribution | None = None


class StoreLatencyDetails(Tagged, frozen=True, kw_only=True, gc=False, tag="store_latency"):
    """How a latency of stores was measured.

    Parameters
    ----------
    threads : int
        Threads: always one.
    cpus : tuple of int
        CPU that the thread was pinned to.
    stores : int or None
        Stores of a sample.
    stop : Stop or None
        Why the samples ended.
    access : str
        Order of the lines: `random` or `ordered`.
    window_bytes : int or None
        Size of the windows in which the stores stay; the region's, if they do not [bytes].
    spacing_bytes : int or None
        Distance from line to line in memory [bytes].
    page_bytes : int or None
        Size of the pages [bytes].
    """

    threads: int = 1
    cpus: tuple[int, ...] = ()
    stores: int | None = None
    stop: Stop | None = None
    access: str = "random"
    window_bytes: int | None = None
    spacing_bytes: int | None = None
    page_bytes: int | None = None


class LoadedDetails(ChaseDetails, frozen=True, kw_only=True, gc=False, tag="loaded"):
    """How a latency under load was measured, with the whole curve.

    Parameters
    ----------
    threads : int
        Threads that load.
    cpus : tuple of int
        CPUs: the chase's first, then one for each thread that loads.
    idle_ns : float or None
        Latency without load [ns].
    knee : KneeRecord or None
        Where the latency leaves the ground.
    curve : tuple of LoadedRate
        Latency at each rate of the load, no load first.
    vector_bits : int or None
        Width of the loads and stores of the load [bits].
    burst_bytes : int or None
        What a thread that loads moves between two pauses [bytes].
    per_payload : PerPayload or None
        Loads and stores of the load for each unit of payload.
    stop : Stop or None
        Why the samples ended.
    """

    threads: int = 1
    cpus: tuple[int, ...] = ()
    idle_ns: float | None = None
    knee: KneeRecord | None = None
    curve: tuple[LoadedRate, ...] = ()
    vector_bits: int | None = None
    burst_bytes: int | None = None
    per_payload: PerPayload | None = None
    stop: Stop | None = None


#: A new kind of operation adds its struct here.
Details = BandwidthDetails | LatencyDetails | StoreLatencyDetails | TailDetails | LoadedDetails
