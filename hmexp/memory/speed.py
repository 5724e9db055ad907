"""The speed of a node: a few figures, and perhaps what carries its traffic, and its measured curves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from hmexp.errors import EmulationError
from hmexp.memory.duplex import Carriers, Link, Medium
from hmexp.memory.family import Family
from hmexp.native import OPERATIONS
from hmexp.store.machine import SpeedRecord

Quantity = Literal["read", "write", "write_nt", "latency", "store_nt", "store_flush"]

#: The figure of a profile that each quantity is.
FIGURES: Final[Mapping[Quantity, str]] = {
    "read": "read_gbps",
    "write": "write_gbps",
    "write_nt": "write_nt_gbps",
    "latency": "latency_ns",
    "store_nt": "store_nt_ns",
    "store_flush": "store_flush_ns",
}
#: The figures that a link and a medium decide, where a node has them.
BANDWIDTHS: Final[tuple[Quantity, ...]] = ("read", "write", "write_nt")


@dataclass(frozen=True)
class NodeSpeed:
    """Peak bandwidth and idle latency of a node.

    Parameters
    ----------
    read_gbps, write_gbps : float
        Payload of loads, and of regular stores [GB/s].
    latency_ns : float
        Of a dependent load [ns].
    write_nt_gbps : float or None
        Payload of non-temporal stores [GB/s]; None if it is not known.
    store_nt_ns, store_flush_ns : float or None
        Of a non-temporal store and a fence; of a store, a flush of its line and a fence [ns].
    writers : tuple of (int, float)
        Part of the write bandwidth that is left when so many threads write, ascending; between two
        numbers of threads on a straight line. Empty: all of it.
    carriers : Carriers or None
        A link, a medium or both, from which the bandwidths follow; None for one queue with the rates above.
    family : Family or None
        Measured curves of latency against bandwidth.
    """

    read_gbps: float
    write_gbps: float
    latency_ns: float
    write_nt_gbps: float | None = None
    store_nt_ns: float | None = None
    store_flush_ns: float | None = None
    writers: tuple[tuple[int, float], ...] = ()
    carriers: Carriers | None = None
    family: Family | None = None

    def __post_init__(self) -> None:
        # From JSON they come as lists.
        object.__setattr__(self, "writers", tuple((int(n), float(part)) for n, part in self.writers))

    @classmethod
    def carried(cls, carriers: Carriers, latency_ns: float, **others: Any) -> NodeSpeed:
        """Make a speed whose bandwidths follow from a link, a medium or both.

        Parameters
        ----------
        carriers : Carriers
            What carries the traffic.
        latency_ns : float
            Of a dependent load [ns].
        **others
            The other fields, but for the bandwidths.
        """
        return cls(
            read_gbps=1 / carriers.busy_ns(1, 0),
            # A regular store reads its line, and writes it.
            write_gbps=1 / carriers.busy_ns(1, 1),
            latency_ns=latency_ns,
            write_nt_gbps=1 / carriers.busy_ns(0, 1),
            carriers=carriers,
            **others,
        )

    def to_record(self) -> SpeedRecord:
        """The speed as it is stored."""
        carriers = self.carriers or Carriers()
        return SpeedRecord(
            read_gbps=self.read_gbps,
            write_gbps=self.write_gbps,
            latency_ns=self.latency_ns,
            write_nt_gbps=self.write_nt_gbps,
            store_nt_ns=self.store_nt_ns,
            store_flush_ns=self.store_flush_ns,
            writers=self.writers,
            link=None if carriers.link is None else carriers.link.to_record(),
            medium=None if carriers.medium is None else carriers.medium.to_record(),
            curves=() if self.family is None else self.family.to_record(),
        )

    @classmethod
    def from_record(cls, record: SpeedRecord) -> NodeSpeed:
        """Read back what `to_record` wrote.

        Raises
        ------
        EmulationError
            If a figure is missing that every model needs.
        """
        if record.read_gbps is None or record.write_gbps is None or record.latency_ns is None:
            raise EmulationError("the stored speed of an emulated node has no read, write or latency figure")
        carriers = Carriers(Link.from_record(record.link), Medium.from_record(record.medium))
        return cls(
            record.read_gbps, record.write_gbps, record.latency_ns,
            record.write_nt_gbps, record.store_nt_ns, record.store_flush_ns, record.writers,
            None if carriers == Carriers() else carriers, Family.from_record(record.curves),
        )  # fmt: skip

    def scaled(self, scale: Mapping[Quantity, float]) -> NodeSpeed:
        """The speed with each figure multiplied by its factor; None where there is no factor.

        The bandwidths of a node with a link or a medium are scaled by one factor, that of reads: their
        relations are what makes its curves.
        """
        figures: dict[str, Any] = {}
        for quantity, name in FIGURES.items():
            value = getattr(self, name)
            figures[name] = None if value is None or quantity not in scale else value * scale[quantity]
        family = None if self.family is None else self.family.scaled(scale["read"], scale["latency"])
        if self.carriers is None:
            return NodeSpeed(**figures, writers=self.writers, family=family)
        for quantity in BANDWIDTHS:
            del figures[FIGURES[quantity]]
        return NodeSpeed.carried(
            self.carriers.scaled(scale["read"]), **figures, writers=self.writers, family=family
        )

    def writing_part(self, threads: int) -> float:
        """Part of the write bandwidth that is left when `threads` write."""
        if not self.writers:
            return 1.0
        before = self.writers[0]
        for point in self.writers:
            if threads <= point[0]:
                if point[0] == before[0]:
                    return point[1]
                along = (threads - before[0]) / (point[0] - before[0])
                return before[1] + along * (point[1] - before[1])
            before = point
        return before[1]

    def occupation_ns(self, operation: str, threads: int) -> float:
        """Time that a byte of payload of an operation occupies the node [ns].

        Raises
        ------
        EmulationError
            If the figure that it takes is not known.
        """
        kind = OPERATIONS[operation]
        name = FIGURES["write_nt" if kind.nontemporal else "write"]
        if kind.stores and getattr(self, name) is None:
            raise EmulationError(
                f"{operation} needs the figure {name}, which this emulation does not have",
                "add it to the profile, for dram and for slow, or measure a regular operation",
            )
        busy = self.busy_ns(kind.loads, kind.stores, threads, nontemporal=kind.nontemporal)
        return busy / kind.streams

    def busy_ns(self, loads: float, stores: float, threads: int = 1, *, nontemporal: bool = False) -> float:
        """Time that so many bytes of loads and of stores occupy the node [ns].

        Parameters
        ----------
        loads, stores : float
            Payload [bytes].
        threads : int
            How many write.
        nontemporal : bool
            Whether the stores go past the cache; regular ones read their line first.
        """
        part = self.writing_part(threads)
        if self.carriers is not None:
            return self.carriers.busy_ns(loads + (0 if nontemporal else stores), stores, part)
        rate = (self.write_nt_gbps if nontemporal else self.write_gbps) if stores else math.inf
        # 1 GB/s is 1 byte per ns.
        return loads / self.read_gbps + stores / ((rate or math.inf) * part)
