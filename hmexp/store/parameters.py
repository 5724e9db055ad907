"""What a point is, by its kind: the parameters that its id is made of."""

from __future__ import annotations

from hmexp.store.program_points import ProgramPoint
from hmexp.store.schema import Tagged


class RegionPoint(Tagged, frozen=True, kw_only=True, gc=False):
    """What a point of one region has.

    Parameters
    ----------
    placer : str
        Mechanism that places the pages.
    pattern : str
        Nodes in order, such as `0,2,2`.
    granule_bytes : int
        Bytes in a row from one entry of the pattern [bytes].
    size_bytes : int
        Size of the region [bytes].
    """

    placer: str
    pattern: str
    granule_bytes: int
    size_bytes: int


class LoopPoint(RegionPoint, frozen=True, kw_only=True, gc=False, tag="loop"):
    """A point of a sweep: one operation on one region.

    Parameters
    ----------
    operation : str
        What is measured, such as `read` or `latency`.
    threads : int
        Threads that access the region.
    samples : int
        Fewest samples of a launch.
    sample_seconds : float
        Shortest duration of a sample [s].
    emulate : str or None
        `NODE=PROFILE`; None on real nodes.
    page_bytes : int or None
        Page size that was asked for; None in records of schema 1, which have none [bytes].
    launches : int
        Fresh processes, each with fresh pages.
    precision : float
        Half width of the interval, as a part of the median, at which a launch stops; 0 if it does
        not.
    most_samples : int or None
        Most samples of a launch.
    access : str or None
        Order of the accesses of a bandwidth; None for latencies.
    cpu_node : str
        Node on whose CPUs the threads run, or `near`: those of the first node that has CPUs.
    """

    operation: str
    threads: int
    samples: int = 0
    sample_seconds: float = 0.0
    emulate: str | None = None
    page_bytes: int | None = None
    launches: int = 1
    precision: float = 0.0
    most_samples: int | None = None
    access: str | None = None
    cpu_node: str = "near"


class CostPoint(RegionPoint, frozen=True, kw_only=True, gc=False, tag="cost"):
    """A point of the study of placers: what populating costs.

    Parameters
    ----------
    pairs : int
        How often the placer and a plain mapping populate in turn.
    launch : int
        Number of the fresh process, from 0.
    """

    pairs: int
    launch: int


class MappingsPoint(Tagged, frozen=True, kw_only=True, gc=False, tag="mappings"):
    """A point of the study of placers: mappings of growing regions.

    Parameters
    ----------
    pattern : str
        Nodes in order, such as `0,2,2`.
    granule_bytes : int
        Bytes in a row from one entry of the pattern [bytes].
    sizes_bytes : tuple of int
        Sizes of the regions [bytes].
    """

    pattern: str
    granule_bytes: int
    sizes_bytes: tuple[int, ...]


class BehaviourPoint(RegionPoint, frozen=True, kw_only=True, gc=False, tag="behaviour"):
    """A point of the study of placers: whether a placement survives.

    Parameters
    ----------
    behaviour : str
        What happens to the region: `fork`, `drop` or `huge`.
    """

    behaviour: str


class GranulePoint(RegionPoint, frozen=True, kw_only=True, gc=False, tag="granule"):
    """A point of the study of granularity.

    Parameters
    ----------
    window_bytes : int
        Size of the windows that are compared [bytes].
    operation : str
        What is measured for bandwidth, such as `read`.
    threads : int
        Threads that access the region.
    samples : int
        Samples of the launch.
    sample_seconds : float
        Shortest duration of a sample [s].
    huge : bool
        Whether the region was to be in pages of 2 MiB.
    emulated : bool
        Whether the pattern may name emulated nodes.
    """

    window_bytes: int
    operation: str
    threads: int
    samples: int
    sample_seconds: float
    huge: bool = False
    emulated: bool = False


class CurvePoint(RegionPoint, frozen=True, kw_only=True, gc=False, tag="curve"):
    """A point of a family of curves: latency against the load of one mix.

    Parameters
    ----------
    read_percent : float
        Share of reads in the traffic, lines that a regular store reads first included [%].
    stores : str
        `nt` or `regular`.
    threads : int
        Threads that load.
    samples : int
        Samples at each load.
    sample_seconds : float
        Shortest duration of a sample [s].
    delays_ns : tuple of int
        Pauses of a thread after each burst, one for each load [ns].
    """

    read_percent: float
    stores: str
    threads: int
    samples: int
    sample_seconds: float
    delays_ns: tuple[int, ...] = ()


#: A new kind adds its struct here, and that of its result to `hmexp.store.results.Result`.
PointParameters = (
    LoopPoint | CostPoint | MappingsPoint | BehaviourPoint | GranulePoint | ProgramPoint | CurvePoint
)
