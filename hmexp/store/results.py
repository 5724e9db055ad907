"""Results as they are stored: what a launch measured, by the kind of its point."""

from __future__ import annotations

from hmexp.store.details import Details, KneeRecord, LoadedDetails, LoadedRate
from hmexp.store.evidence import NoiseRecord, PlacementRecord, Proof
from hmexp.store.schema import Remark, Stored, Tagged


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
    noise : NoiseRecord or None
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
    noise: NoiseRecord | None = None
    launches: tuple[LaunchSummary, ...] = ()


class SetupRecord(Stored, frozen=True, kw_only=True, gc=False):
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


class CurveRecord(Stored, frozen=True, kw_only=True, gc=False):
    """A curve of latency against load, with its proof.

    Parameters
    ----------
    operation : str
        That loads.
    probe_pattern, load_pattern : str
        Where the chase is, and where the load is.
    threads : int
        That load.
    points : tuple of LoadedRate
        No load first.
    knee : KneeRecord
        Where the latency leaves the ground.
    emulated : bool
        Whether the nodes are emulated.
    profile : str or None
        Name of the emulation profile.
    details : LoadedDetails
        How it was measured.
    before, after : tuple of PlacementRecord
        Where every page was: of the probe's region, and of the load's if it is another.
    """

    operation: str
    probe_pattern: str
    load_pattern: str
    threads: int
    points: tuple[LoadedRate, ...]
    knee: KneeRecord
    emulated: bool = False
    profile: str | None = None
    details: LoadedDetails
    before: tuple[PlacementRecord, ...] = ()
    after: tuple[PlacementRecord, ...] = ()


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


class CostRecord(Tagged, frozen=True, kw_only=True, gc=False, tag="cost"):
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
    proof : PlacementRecord or None
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
    proof: PlacementRecord | None = None
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
    child, parent : PlacementRecord or None
        Fork: where the pages of both are after the child wrote.
    again : PlacementRecord or None
        Drop: where the pages are that were dropped and touched again.
    placed : PlacementRecord or None
        Huge pages: where the pages are.
    huge_bytes : int or None
        Huge pages: how much of the mapping is in such [bytes].
    setting : str or None
        Huge pages: the kernel's setting.
    """

    shared: bool | None = None
    child: PlacementRecord | None = None
    parent: PlacementRecord | None = None
    again: PlacementRecord | None = None
    placed: PlacementRecord | None = None
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
    setup : SetupRecord or None
        What making the region took.
    proof : Proof or None
        Where every page was.
    """

    bandwidth: Measured
    latency: Measured
    window_gbps: tuple[float, ...] = ()
    window_ns: tuple[float, ...] = ()
    window_bytes: int
    setup: SetupRecord | None = None
    proof: Proof | None = None


#: What a launch measured, by the kind of its point. A new kind adds its struct here.
Result = Measured | CostRecord | Mappings | Behaviour | Windows
