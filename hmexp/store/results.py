"""Results as they are stored: what a launch measured, by the kind of its point."""

from __future__ import annotations

from hmexp.store.curves import KneeRecord, LoadedRate
from hmexp.store.details import Details, LoadedDetails
from hmexp.store.evidence import NoiseRecord, PlacementRecord, Proof, SetupRecord
from hmexp.store.program_points import ProgramResult
from hmexp.store.schema import Remark, Stored, Tagged


class LaunchSummary(Stored, frozen=True, kw_only=True, gc=False):
    """One of several launches, within the result of a point.

    Parameters
    ----------
    n : int
        How many of the point's samples are its own; they come in the order of the launches.
    median : float
        Median of its samples [unit].
    details : Details or None
        Details of the launch; the point's own details are the first launch's.
    """

    n: int
    median: float
    details: Details | None = None


class Measured(Tagged, frozen=True, kw_only=True, gc=False, tag="loop"):
    """Samples of one operation on one region.

    Parameters
    ----------
    unit : str
        Unit of the values in this table: `GB/s` (10^9 bytes per second) or `ns`.
    samples : tuple of float
        Every raw sample, none left out [unit].
    sample_seconds : tuple of float
        Duration of each sample [s].
    payload_bytes : tuple of int
        What the loads and stores of each sample asked for [bytes].
    bus_bytes : tuple of int or None
        Estimate of what each sample moved over the bus; None for a chase [bytes].
    n : int
        Number of samples.
    median : float
        Median of the samples; of several launches, the median of their medians [unit].
    ci_low : float or None
        Lower end of the 95 % interval of the median [unit].
    ci_high : float or None
        Upper end of the 95 % interval of the median [unit].
    mad : float or None
        Median absolute deviation, not scaled [unit].
    minimum : float or None
        Smallest sample [unit].
    maximum : float or None
        Largest sample [unit].
    interval_over : str
        What the interval covers: `launches` or `samples`.
    interval_widened : float or None
        How many times the interval was widened, since launches of the run depend on one another.
    details : Details or None
        How the samples were taken, by the kind of the operation.
    noise : NoiseRecord or None
        What disturbed the samples.
    launches : tuple of LaunchSummary
        Launches that the result is made of; empty for a single one.
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
    interval_widened: float | None = None
    details: Details | None = None
    noise: NoiseRecord | None = None
    launches: tuple[LaunchSummary, ...] = ()


class CurveRecord(Stored, frozen=True, kw_only=True, gc=False):
    """A curve of latency against load, with its proof.

    Parameters
    ----------
    operation : str
        Operation of the threads that load.
    probe_pattern : str
        Pattern of the region that the chase walks.
    load_pattern : str
        Pattern of the region that is loaded.
    threads : int
        Threads that load.
    points : tuple of LoadedRate
        Latency at each rate of the load, no load first.
    knee : KneeRecord
        Where the latency leaves the ground.
    emulated : bool
        Whether the nodes are emulated.
    profile : str or None
        Name of the emulation profile; None on real nodes.
    details : LoadedDetails
        How the curve was measured.
    before : tuple of PlacementRecord
        Where every page of the probe was, and of the load if it has a region of its own.
    after : tuple of PlacementRecord
        The same after the samples.
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
        Page tables that the kernel held more afterwards, for each page [bytes].
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
    pages : int
        Pages of each mapping [pages].
    page_bytes : int
        Size of a page [bytes].
    placed : tuple of PopulateCost
        Cost of each mapping that the placer populated, in the order of measuring.
    plain : tuple of PopulateCost
        Cost of each plain mapping, in the order of measuring.
    ratio : tuple of float
        Time of each pair: placed over plain.
    exact_order : bool
        Whether the placer promises the order of the pattern, not its ratio alone.
    misplaced : tuple of int
        Pages of each placed mapping on a wrong node [pages].
    absent : tuple of int
        Pages of each placed mapping on no node [pages].
    proof : PlacementRecord or None
        Where every page of the last placed mapping was.
    details : dict of str to remark
        Remarks of the placer, by their names.
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
        Size of the region [bytes].
    mappings : int or None
        Mappings (VMAs) of the region afterwards; None if the kernel refused.
    slab_bytes : dict of str to int or None
        Kernel objects for the region, by their cache; None where the kernel does not say [bytes].
    refused : str or None
        Words of the kernel's refusal; None if it did not refuse.
    errno : int or None
        Number of the refusal.
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
        Regions that were tried, the smallest first.
    """

    regions: tuple[MappedRegion, ...] = ()


class Behaviour(Tagged, frozen=True, kw_only=True, gc=False, tag="behaviour"):
    """Whether a placement survives what programs do.

    Parameters
    ----------
    shared : bool or None
        Behaviour `fork`: whether the parent sees what the child wrote.
    child : PlacementRecord or None
        Behaviour `fork`: where the child's pages are after it wrote.
    parent : PlacementRecord or None
        Behaviour `fork`: where the parent's pages are after the child wrote.
    again : PlacementRecord or None
        Behaviour `drop`: where the pages are that were dropped and touched again.
    placed : PlacementRecord or None
        Behaviour `huge`: where the pages are.
    huge_bytes : int or None
        Behaviour `huge`: how much of the mapping is in huge pages [bytes].
    setting : str or None
        Behaviour `huge`: the kernel's setting of transparent huge pages.
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
    bandwidth : Measured
        Bandwidth of the whole region.
    latency : Measured
        Latency of the whole region.
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
Result = Measured | CostRecord | Mappings | Behaviour | Windows | ProgramResult
