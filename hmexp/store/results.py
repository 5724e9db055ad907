"""Results as they are stored: what a launch measured, by the kind of its point."""

from __future__ import annotations

from hmexp.store.schema import Remark, Stored, Tagged


class Proof(Stored, frozen=True, kw_only=True, gc=False):
    """Where every page of a region was, once.

    Parameters
    ----------
    ok : bool
        Whether every page was in place, by all witnesses.
    pages : int
        Pages in the region [pages].
    expected, found, numa_maps : dict of int to int
        Pages of each real node: by the pattern, by asking the kernel for each page, and by
        `/proc/self/numa_maps` [pages].
    misplaced : int
        Pages on another node than the pattern's [pages].
    first_misplaced : int or None
        Index of the first of them.
    absent : int
        Pages on no node [pages].
    absent_reasons : dict of str to int
        The same by the kernel's reason, an errno [pages].
    numa_maps_agrees : bool
        Whether both witnesses count the same.
    placer_count : dict of int to int or None
        Pages of each node by the placer's own account (the kernel module's); None without one [pages].
    exact_order : bool
        Whether the placer promises the order of the pattern, not its ratio alone.
    strip : tuple of tuple of int
        The first granules: the node asked for (an emulated one by its own number), and the real node
        that was found (-1: none). Empty where it equals the point's own.
    huge_share : float
        Part of the region that is in huge pages (0 where they were forbidden and not counted).
    page_bytes : int or None
        Size of the pages that the kernel gave; None if mixed or unknown [bytes].
    summary : str
        A sentence.
    """

    ok: bool
    pages: int
    expected: dict[int, int]
    found: dict[int, int]
    numa_maps: dict[int, int]
    misplaced: int = 0
    first_misplaced: int | None = None
    absent: int = 0
    absent_reasons: dict[str, int] = {}
    numa_maps_agrees: bool = True
    placer_count: dict[int, int] | None = None
    exact_order: bool = True
    strip: tuple[tuple[int, ...], ...] = ()
    huge_share: float = 0.0
    page_bytes: int | None = None
    summary: str = ""


class Proofs(Stored, frozen=True, kw_only=True, gc=False):
    """The proof around the samples.

    Parameters
    ----------
    before, after : Proof or None
        Where every page was before and after the samples; None if that was not looked at.
    """

    before: Proof | None = None
    after: Proof | None = None


class Noise(Stored, frozen=True, kw_only=True, gc=False):
    """What else happened while samples were taken; disturbed samples are kept, and marked.

    Parameters
    ----------
    preempted : tuple of int
        Involuntary context switches of each sample.
    migrated : tuple of int
        Threads that ended on another CPU.
    off_cpu : tuple of float
        Largest part of the sample's time that a thread did not run.
    stolen : tuple of float
        Largest part that the hypervisor took.
    flags : tuple of tuple of str
        What disturbed each sample: `preempted`, `migrated`, `foreign`, `steal`, `short`.
    disturbed : int
        Samples with a flag.
    waited_for_model : float or None
        Part of the time that threads waited for emulated nodes; None on real nodes.
    warnings : tuple of str
        What a reader should know.
    """

    preempted: tuple[int, ...] = ()
    migrated: tuple[int, ...] = ()
    off_cpu: tuple[float, ...] = ()
    stolen: tuple[float, ...] = ()
    flags: tuple[tuple[str, ...], ...] = ()
    disturbed: int = 0
    waited_for_model: float | None = None
    warnings: tuple[str, ...] = ()


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
    distribution : dict of str to float or None
        Percentiles of the latency of blocks of hops, if asked for [ns].
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
    distribution: dict[str, Remark] | None = None


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
    noise : Noise or None
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
    noise: Noise | None = None


class Knee(Stored, frozen=True, kw_only=True, gc=False):
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
    knee : Knee or None
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
    knee: Knee | None = None
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


Details = BandwidthDetails | LatencyDetails | StoreLatencyDetails | LoadedDetails


class LaunchSummary(Stored, frozen=True, kw_only=True, gc=False):
    """One of several launches, within the result of a point.

    Parameters
    ----------
    n : int
        How many of the point's samples are its own; they come in the order of the launches.
    median : float
        Of its samples.
    details : Details or None
        Its own, as the point's, which are the first launch's.
    """

    n: int
    median: float
    details: Details | None = None


class Measured(Tagged, frozen=True, kw_only=True, gc=False, tag="loop"):
    """Samples of one operation on one region.

    Parameters
    ----------
    unit : str
        `GB/s` (10^9 bytes per second) or `ns`: of all values below.
    samples : tuple of float
        Every raw sample, none left out [unit].
    sample_seconds : tuple of float
        How long each took [s].
    payload_bytes : tuple of int
        What its loads and stores asked for [bytes].
    bus_bytes : tuple of int or None
        Estimate of what went over the bus; None for a chase [bytes].
    n : int
        How many samples there are.
    median : float
        Of the samples; of several launches, the median of their medians.
    ci_low, ci_high : float
        Bootstrap 95 % interval of the median.
    mad : float
        Median absolute deviation, not scaled.
    minimum, maximum : float
        Of the samples.
    interval_over : str
        What the interval covers: `launches` or `samples`.
    details : Details or None
        How it was measured, by the kind of the operation.
    noise : Noise or None
        What else happened.
    launches : tuple of LaunchSummary
        The launches that it is made of; empty for one.
    """

    unit: str
    samples: tuple[float, ...]
    sample_seconds: tuple[float, ...] = ()
    payload_bytes: tuple[int, ...] = ()
    bus_bytes: tuple[int, ...] | None = None
    n: int = 0
    median: float
    ci_low: float | None = None
    ci_high: float | None = None
    mad: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    interval_over: str = "samples"
    details: Details | None = None
    noise: Noise | None = None
    launches: tuple[LaunchSummary, ...] = ()


class SetupTime(Stored, frozen=True, kw_only=True, gc=False):
    """What making the region took.

    Parameters
    ----------
    seconds : float or None
        To place its pages [s].
    ns_per_page : float
        The same for each page [ns].
    page_bytes : int or None
        Of the machine's base page [bytes].
    details : dict of str to remark
        The placer's own remarks.
    """

    ns_per_page: float
    seconds: float | None = None
    page_bytes: int | None = None
    details: dict[str, Remark] = {}


class PopulateCost(Stored, frozen=True, kw_only=True, gc=False):
    """What populating a mapping once cost.

    Parameters
    ----------
    ns_per_page : float
        Wall time for each page [ns].
    mappings : int
        Entries in the process's list of mappings (VMAs).
    page_tables_bytes_per_page : float
        Page tables that the kernel held more afterwards [bytes].
    slab_bytes_per_page : dict of str to float or None
        Kernel objects likewise, by their cache; None where the kernel does not say [bytes].
    """

    ns_per_page: float
    mappings: int
    page_tables_bytes_per_page: float
    slab_bytes_per_page: dict[str, float] | None = None


class SetupCost(Tagged, frozen=True, kw_only=True, gc=False, tag="cost"):
    """A placer beside a plain mapping.

    Parameters
    ----------
    pages, page_bytes : int
        Of each mapping [pages], and the size of a page [bytes].
    placed, plain : tuple of PopulateCost
        By the placer, and by a plain mapping, in the order they were taken.
    ratio : tuple of float
        Time of each pair: placed over plain.
    exact_order : bool
        Whether the placer promises the order of the pattern.
    misplaced, absent : tuple of int
        Pages of each placed mapping on a wrong node, and on none [pages].
    proof : Proof or None
        Of the last one.
    details : dict of str to remark
        The placer's own remarks.
    """

    pages: int
    page_bytes: int
    placed: tuple[PopulateCost, ...]
    plain: tuple[PopulateCost, ...]
    ratio: tuple[float, ...]
    exact_order: bool = True
    misplaced: tuple[int, ...] = ()
    absent: tuple[int, ...] = ()
    proof: Proof | None = None
    details: dict[str, Remark] = {}


class MappedRegion(Stored, frozen=True, kw_only=True, gc=False):
    """A region of one size whose runs of pages were bound one by one.

    Parameters
    ----------
    size_bytes : int
        Of the region [bytes].
    mappings : int or None
        Mappings (VMAs) that it has then.
    slab_bytes : dict of str to int or None
        Kernel objects for it, by their cache [bytes].
    refused : str or None
        The words of the kernel's refusal.
    errno : int or None
        Its number.
    """

    size_bytes: int
    mappings: int | None = None
    slab_bytes: dict[str, int] | None = None
    refused: str | None = None
    errno: int | None = None


class Mappings(Tagged, frozen=True, kw_only=True, gc=False, tag="mappings"):
    """Mappings of regions of growing size, until the kernel refuses.

    Parameters
    ----------
    regions : tuple of MappedRegion
        The smallest first.
    """

    regions: tuple[MappedRegion, ...] = ()


class Behaviour(Tagged, frozen=True, kw_only=True, gc=False, tag="behaviour"):
    """Whether a placement survives what programs do.

    Parameters
    ----------
    shared : bool or None
        Fork: whether the parent sees what the child wrote.
    child, parent : Proof or None
        Fork: where the pages of both are after the child wrote.
    again : Proof or None
        Drop: where the pages are that were dropped and touched again.
    placed : Proof or None
        Huge pages: where the pages are.
    huge_bytes : int or None
        Huge pages: how much of the mapping is in such [bytes].
    setting : str or None
        Huge pages: the kernel's setting.
    """

    shared: bool | None = None
    child: Proof | None = None
    parent: Proof | None = None
    again: Proof | None = None
    placed: Proof | None = None
    huge_bytes: int | None = None
    setting: str | None = None


class Windows(Tagged, frozen=True, kw_only=True, gc=False, tag="granule"):
    """One granule of a pattern: what a program gets on average, and how far its parts are from that.

    Parameters
    ----------
    bandwidth, latency : Measured
        Of the whole region.
    window_gbps : tuple of float
        Bandwidth of every thread in every window [GB/s].
    window_ns : tuple of float
        Latency in each window [ns].
    window_bytes : int
        Size of the windows [bytes].
    setup : SetupTime or None
        What making the region took.
    proof : Proofs or None
        Where every page was.
    """

    bandwidth: Measured
    latency: Measured
    window_gbps: tuple[float, ...] = ()
    window_ns: tuple[float, ...] = ()
    window_bytes: int
    setup: SetupTime | None = None
    proof: Proofs | None = None


class Misplacement(Tagged, frozen=True, kw_only=True, gc=False, tag="misplaced"):
    """What a study kept of a failed point: where its pages were.

    Parameters
    ----------
    proof : Proof or None
        Where every page was.
    """

    proof: Proof | None = None


#: What a launch measured, by the kind of its point. A new kind adds its struct here.
Result = Measured | SetupCost | Mappings | Behaviour | Windows | Misplacement
