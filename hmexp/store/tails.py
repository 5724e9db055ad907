"""How long single accesses took."""

from __future__ import annotations

from hmexp.store.schema import Stored, Tagged
from hmexp.store.stop import Stop


class TailOfNode(Stored, frozen=True, kw_only=True, gc=False):
    """How long single accesses of one node took.

    Parameters
    ----------
    node : int
        The node, an emulated one by its own number.
    accesses : int
        Accesses that were timed.
    ns : dict of str to float
        Percentiles (`p50` to `p99.99`) and `max` [ns].
    counts : tuple of tuple of float and int
        Least time of each bucket that has any, and how many accesses it has [ns, 1]; a bucket is 3 % wide.
    """

    node: int
    accesses: int
    ns: dict[str, float]
    counts: tuple[tuple[float, int], ...]


class TailDetails(Tagged, frozen=True, kw_only=True, gc=False, tag="latency_tail"):
    """How the distribution of single accesses was measured: each between two readings of the clock.

    Parameters
    ----------
    threads : int
        Threads that chase: always one.
    cpus : tuple of int
        CPU that the thread was pinned to, then those of the load.
    hops : int or None
        Loads of a sample.
    stop : Stop or None
        Why the samples ended.
    lines : int or None
        Lines in the ring.
    window_bytes : int or None
        Size of the windows in which the chase stays; the region's, if it does not [bytes].
    access : str
        Order of the lines: `random` or `ordered`.
    page_bytes : int or None
        Size of the pages [bytes].
    clock_ns : float
        What two readings of the clock cost without an access between them; taken off each [ns].
    ns : dict of str to float
        Percentiles (`p50` to `p99.99`) and `max` over all accesses [ns].
    nodes : tuple of TailOfNode
        The same for each node of the region.
    load_threads : int
        Threads that read beside it, as fast as they could, in the other half of the region; 0 for none.
    load_gbps : float or None
        What they read meanwhile, over all samples; None without them [GB/s].
    """

    threads: int = 1
    cpus: tuple[int, ...] = ()
    hops: int | None = None
    stop: Stop | None = None
    lines: int | None = None
    window_bytes: int | None = None
    access: str = "random"
    page_bytes: int | None = None
    clock_ns: float = 0.0
    ns: dict[str, float] = {}
    nodes: tuple[TailOfNode, ...] = ()
    load_threads: int = 0
    load_gbps: float | None = None
