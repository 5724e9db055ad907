"""The machine as it is stored in `run.json`: its nodes, and what was emulated on them."""

from __future__ import annotations

from hmexp.store.schema import Stored


class NodeRecord(Stored, frozen=True, kw_only=True, gc=False):
    """A real node.

    Parameters
    ----------
    id : int
        Number of the node.
    kind : str
        `dram`, `nvm`, `cxl`, `hbm`, `gpu` or `unknown`.
    cpus : tuple of int
        CPUs of the node.
    total_bytes : int or None
        Memory of the node [bytes].
    free_bytes : int or None
        Free memory of the node at the start, no more than the limits of the run left [bytes].
    distances : dict of int to int
        Distance to each node, as the firmware says (SLIT).
    read_gbps : float or None
        Read bandwidth by the firmware (HMAT) [GB/s].
    write_gbps : float or None
        Write bandwidth by the firmware (HMAT) [GB/s].
    read_latency_ns : float or None
        Read latency by the firmware (HMAT) [ns].
    write_latency_ns : float or None
        Write latency by the firmware (HMAT) [ns].
    evidence : tuple of str
        Why it is of this kind: sentences with the file and what it says.
    """

    id: int
    kind: str = "unknown"
    cpus: tuple[int, ...] = ()
    total_bytes: int | None = None
    free_bytes: int | None = None
    distances: dict[int, int] = {}
    read_gbps: float | None = None
    write_gbps: float | None = None
    read_latency_ns: float | None = None
    write_latency_ns: float | None = None
    evidence: tuple[str, ...] = ()


class ClaimRecord(Stored, frozen=True, kw_only=True, gc=False):
    """What the firmware claims of the memory of a node, as the kernel shows it.

    Parameters
    ----------
    node : int
        Number of the node.
    access : str or None
        Class of initiators that this is seen from: `access1` (CPUs) or `access0` (any); None if unknown.
    initiators : tuple of int
        Nodes that the firmware calls the best initiators of this memory.
    read_gbps, write_gbps : float or None
        Bandwidth from there (HMAT) [GB/s].
    read_latency_ns, write_latency_ns : float or None
        Latency from there (HMAT) [ns].
    """

    node: int
    access: str | None = None
    initiators: tuple[int, ...] = ()
    read_gbps: float | None = None
    write_gbps: float | None = None
    read_latency_ns: float | None = None
    write_latency_ns: float | None = None


class ClaimsRecord(Stored, frozen=True, kw_only=True, gc=False):
    """What firmware and kernel claim of the nodes' speed.

    Parameters
    ----------
    nodes : tuple of ClaimRecord
        One for each node with memory.
    weights : dict of int to int
        Weights of weighted interleave by node; empty where the kernel has none.
    automatic : bool or None
        Whether the kernel made the weights by itself; None where it has no such mode.
    """

    nodes: tuple[ClaimRecord, ...] = ()
    weights: dict[int, int] = {}
    automatic: bool | None = None


class LinkRecord(Stored, frozen=True, kw_only=True, gc=False):
    """A full-duplex link.

    Parameters
    ----------
    toward_gbps : float
        What the direction to the memory carries [GB/s].
    back_gbps : float
        What the direction from the memory carries [GB/s].
    request : float
        Cost of a read's request on the direction to the memory, as a part of a line.
    completion : float
        Cost of a write's completion on the direction from the memory, as a part of a line.
    """

    toward_gbps: float
    back_gbps: float
    request: float = 0.0
    completion: float = 0.0


class MediumRecord(Stored, frozen=True, kw_only=True, gc=False):
    """A medium that turns between reads and writes.

    Parameters
    ----------
    read_gbps : float
        Reads alone [GB/s].
    write_gbps : float
        Writes alone [GB/s].
    turnaround_gbps : float or None
        What turning costs: with a share r of reads, a byte takes `sqrt(r (1 - r))` over this longer; None
        if turning costs nothing [GB/s].
    """

    read_gbps: float
    write_gbps: float
    turnaround_gbps: float | None = None


class FamilyCurveRecord(Stored, frozen=True, kw_only=True, gc=False):
    """A measured curve of latency against bandwidth, for one share of reads.

    Parameters
    ----------
    read_percent : float
        Share of reads in the traffic [%].
    bandwidth_gbps : tuple of float
        Bandwidth of all traffic, ascending [GB/s].
    latency_ns : tuple of float
        Latency of a dependent load under that traffic [ns].
    """

    read_percent: float
    bandwidth_gbps: tuple[float, ...]
    latency_ns: tuple[float, ...]


class SpeedRecord(Stored, frozen=True, kw_only=True, gc=False):
    """Speed of a node; None where a figure is not known.

    Parameters
    ----------
    read_gbps : float or None
        Payload of loads [GB/s].
    write_gbps : float or None
        Payload of regular stores [GB/s].
    latency_ns : float or None
        Latency of a dependent load [ns].
    write_nt_gbps : float or None
        Payload of non-temporal stores [GB/s].
    store_nt_ns : float or None
        Latency of a non-temporal store and a fence [ns].
    store_flush_ns : float or None
        Latency of a store, a flush and a fence [ns].
    writers : tuple of (int, float)
        Number of threads that write, and the part of the write bandwidth that is left with so many.
    link : LinkRecord or None
        Full-duplex link; None where the node is one queue.
    medium : MediumRecord or None
        Medium that turns between reads and writes; None where the node is one queue.
    curves : tuple of FamilyCurveRecord
        Measured curves of latency against bandwidth.
    """

    read_gbps: float | None = None
    write_gbps: float | None = None
    latency_ns: float | None = None
    write_nt_gbps: float | None = None
    store_nt_ns: float | None = None
    store_flush_ns: float | None = None
    writers: tuple[tuple[int, float], ...] = ()
    link: LinkRecord | None = None
    medium: MediumRecord | None = None
    curves: tuple[FamilyCurveRecord, ...] = ()


class ProfileRecord(Stored, frozen=True, kw_only=True, gc=False):
    """A profile: published speeds of DRAM and of a slow memory on one machine.

    Parameters
    ----------
    name : str
        Name of the profile.
    title : str
        Name of the profile for people.
    kind : str
        Kind of its slow node.
    source : str
        Where its figures are from.
    dram : SpeedRecord or None
        Published figures of the DRAM.
    slow : SpeedRecord or None
        Published figures of the slow memory.
    """

    name: str
    title: str = ""
    kind: str = "unknown"
    source: str = ""
    dram: SpeedRecord | None = None
    slow: SpeedRecord | None = None


class EmulationRecord(Stored, frozen=True, kw_only=True, gc=False):
    """Emulated nodes: a profile scaled to the host.

    Parameters
    ----------
    profile : ProfileRecord
        The profile with its published figures.
    host : SpeedRecord
        What this host did in the same loops, unhindered.
    scale : dict of str to float
        Factor from the published figures to the modelled ones, by quantity.
    nodes : dict of int to SpeedRecord
        Modelled speed of each node: the truth that is to be measured.
    backing : dict of int to int
        Real node that holds the pages of each emulated one.
    absolute : bool
        Whether published speeds are used as they are, not scaled.
    """

    profile: ProfileRecord
    host: SpeedRecord = SpeedRecord()
    scale: dict[str, float] = {}
    nodes: dict[int, SpeedRecord] = {}
    backing: dict[int, int] = {}
    absolute: bool = False


class Calibration(Stored, frozen=True, kw_only=True, gc=False):
    """One measurement of the host, in a fresh process, to scale an emulation.

    Parameters
    ----------
    quantity : str
        What was measured.
    unit : str
        Unit of the values below: `GB/s` or `ns`.
    threads : int
        Threads that measured.
    access : str or None
        Order of the accesses of a bandwidth; None for latencies.
    cpu_node : str or None
        Node on whose CPUs the threads ran, or `near`.
    median : float
        Median of the samples [unit].
    ci_low : float or None
        Lower end of the 95 % interval of the median [unit].
    ci_high : float or None
        Upper end of the 95 % interval of the median [unit].
    n : int
        Number of samples.
    load_average : tuple of float
        Load over 1, 5 and 15 minutes before it.
    """

    quantity: str
    unit: str
    threads: int
    access: str | None = None
    cpu_node: str | None = None
    median: float
    ci_low: float | None = None
    ci_high: float | None = None
    n: int = 0
    load_average: tuple[float, ...] = ()
