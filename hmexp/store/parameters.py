"""What a point is, by its kind: the parameters that its id is made of."""

from __future__ import annotations

from hmexp.store.schema import Tagged


class LoopPoint(Tagged, frozen=True, kw_only=True, gc=False, tag="loop"):
    """A point of a sweep: one operation on one region.

    Parameters
    ----------
    pattern : str
        Nodes in order, such as `0,2,2`.
    granule_bytes : int
        Bytes in a row from one entry of the pattern [bytes].
    size_bytes : int
        Of the region [bytes].
    placer : str
        How the pages got there.
    operation : str
        What was measured.
    threads : int
        That did it.
    samples : int
        Asked for, of each launch, at least.
    sample_seconds : float
        Shortest time of a sample [s].
    emulate : str or None
        `NODE=PROFILE`, or None on real nodes.
    page_bytes : int or None
        Size of the pages that was asked for; None in records that do not say [bytes].
    launches : int
        Fresh processes, each with fresh pages.
    precision : float
        Half width of the interval, as a part of the median, at which a launch stops; 0: it does not.
    most_samples : int or None
        Cap on the samples of a launch.
    access : str or None
        Order of a bandwidth's accesses; None for latencies.
    cpu_node : str
        Node on whose CPUs the threads ran, or `near`.
    """

    pattern: str
    granule_bytes: int
    size_bytes: int
    placer: str
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


class CostPoint(Tagged, frozen=True, kw_only=True, gc=False, tag="cost"):
    """A point of the study of placers: what populating costs.

    Parameters
    ----------
    placer, pattern, granule_bytes, size_bytes
        As for a point of a sweep.
    pairs : int
        How often a placer and a plain mapping populate in turn.
    launch : int
        Which fresh process this is.
    """

    placer: str
    pattern: str
    granule_bytes: int
    size_bytes: int
    pairs: int
    launch: int


class MappingsPoint(Tagged, frozen=True, kw_only=True, gc=False, tag="mappings"):
    """A point of the study of placers: mappings of growing regions.

    Parameters
    ----------
    pattern, granule_bytes
        As for a point of a sweep.
    sizes_bytes : tuple of int
        Of the regions [bytes].
    """

    pattern: str
    granule_bytes: int
    sizes_bytes: tuple[int, ...]


class BehaviourPoint(Tagged, frozen=True, kw_only=True, gc=False, tag="behaviour"):
    """A point of the study of placers: whether a placement survives.

    Parameters
    ----------
    placer, pattern, granule_bytes, size_bytes
        As for a point of a sweep.
    behaviour : str
        What is done to it: `fork`, `drop`, `huge`.
    """

    placer: str
    pattern: str
    granule_bytes: int
    size_bytes: int
    behaviour: str


class GranulePoint(Tagged, frozen=True, kw_only=True, gc=False, tag="granule"):
    """A point of the study of granularity.

    Parameters
    ----------
    placer, pattern, granule_bytes, size_bytes, operation, threads, samples, sample_seconds
        As for a point of a sweep.
    window_bytes : int
        Of the windows that are compared [bytes].
    huge : bool
        Whether the region was to be in pages of 2 MiB.
    emulated : bool
        Whether emulated nodes may be named.
    """

    placer: str
    pattern: str
    granule_bytes: int
    size_bytes: int
    window_bytes: int
    operation: str
    threads: int
    samples: int
    sample_seconds: float
    huge: bool = False
    emulated: bool = False


#: A new kind adds its struct here, and that of its result to `hmexp.store.results.Result`.
PointParameters = LoopPoint | CostPoint | MappingsPoint | BehaviourPoint | GranulePoint
