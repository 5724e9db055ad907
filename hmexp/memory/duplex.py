"""What carries the traffic of a node: a link of two directions, and a medium that turns around.

One queue with a read rate and a write rate can be neither faster with a mix than with reads alone, as a
full-duplex link is, nor slower than both rates say, as DRAM that has to turn its bus around is. Here each
direction and the medium is a server of its own. A node is as fast as the one that is busy longest, and how
the best mix moves with the figures emerges from that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hmexp.store.machine import LinkRecord, MediumRecord


@dataclass(frozen=True)
class Link:
    """A full-duplex link, such as CXL's: reads come back on one direction while writes go out on the other.

    Parameters
    ----------
    toward_gbps : float
        What the direction to the memory carries: the data of writes, and requests of reads [GB/s].
    back_gbps : float
        What the direction from the memory carries: the data of reads, and completions of writes [GB/s].
    request : float
        What the request of a read costs the direction to the memory, as a part of a line.
    completion : float
        What the completion of a write costs the direction from the memory, as a part of a line.
    """

    toward_gbps: float
    back_gbps: float
    request: float = 0.0
    completion: float = 0.0

    def toward_ns(self, reads: float, writes: float) -> float:
        """Time that so many bytes occupy the direction to the memory [ns]."""
        return (writes + self.request * reads) / self.toward_gbps

    def back_ns(self, reads: float, writes: float) -> float:
        """Time that so many bytes occupy the direction from the memory [ns]."""
        return (reads + self.completion * writes) / self.back_gbps

    def scaled(self, factor: float) -> Link:
        """The link at another speed, with the same cross costs."""
        return Link(self.toward_gbps * factor, self.back_gbps * factor, self.request, self.completion)

    def to_record(self) -> LinkRecord:
        """The link as it is stored."""
        return LinkRecord(
            toward_gbps=self.toward_gbps,
            back_gbps=self.back_gbps,
            request=self.request,
            completion=self.completion,
        )

    @classmethod
    def from_record(cls, record: LinkRecord | None) -> Link | None:
        """Read back what `to_record` wrote."""
        if record is None:
            return None
        return cls(record.toward_gbps, record.back_gbps, record.request, record.completion)


@dataclass(frozen=True)
class Medium:
    """What holds the data: reads and writes take turns, and turning around costs time.

    A controller collects reads and writes, and turns when waiting has cost as much as turning does. So the
    number of turns for each byte goes with ``sqrt(r (1 - r))``, r being the share of reads: the rule of the
    economic order quantity (F. W. Harris, 1913).

    Parameters
    ----------
    read_gbps, write_gbps : float
        Reads alone, and writes alone [GB/s].
    turnaround_gbps : float
        At ``sqrt(r (1 - r))`` turns, what would be left if turning were all there is [GB/s]; infinite if
        turning costs nothing.
    """

    read_gbps: float
    write_gbps: float
    turnaround_gbps: float = math.inf

    def busy_ns(self, reads: float, writes: float, part: float = 1.0) -> float:
        """Time that so many bytes occupy the medium, of whose writing speed `part` is left [ns]."""
        # With r = reads / all, all * sqrt(r (1 - r)) is sqrt(reads * writes).
        turning = math.sqrt(reads * writes) / self.turnaround_gbps
        return reads / self.read_gbps + writes / (self.write_gbps * part) + turning

    def scaled(self, factor: float) -> Medium:
        """The medium at another speed."""
        return Medium(self.read_gbps * factor, self.write_gbps * factor, self.turnaround_gbps * factor)

    def to_record(self) -> MediumRecord:
        """The medium as it is stored."""
        turning = None if math.isinf(self.turnaround_gbps) else self.turnaround_gbps
        return MediumRecord(read_gbps=self.read_gbps, write_gbps=self.write_gbps, turnaround_gbps=turning)

    @classmethod
    def from_record(cls, record: MediumRecord | None) -> Medium | None:
        """Read back what `to_record` wrote."""
        if record is None:
            return None
        turning = math.inf if record.turnaround_gbps is None else record.turnaround_gbps
        return cls(record.read_gbps, record.write_gbps, turning)


@dataclass(frozen=True)
class Carriers:
    """All that carries the traffic of a node: a link, a medium, or a link with a medium behind it.

    Parameters
    ----------
    link : Link or None
        None where the memory has no link of its own, as DRAM beside a CPU.
    medium : Medium or None
        None where the link is always the slower of the two.
    """

    link: Link | None = None
    medium: Medium | None = None

    def busy_ns(self, reads: float, writes: float, part: float = 1.0) -> float:
        """Time that so many bytes occupy the one that is busy longest [ns].

        Parameters
        ----------
        reads, writes : float
            Lines of both directions, those that a regular store reads first included [bytes].
        part : float
            Part of the writing speed that is left when several threads write.
        """
        busy = [0.0]
        if self.medium is not None:
            busy.append(self.medium.busy_ns(reads, writes, part))
            part = 1.0
        if self.link is not None:
            busy += [self.link.toward_ns(reads, writes / part), self.link.back_ns(reads, writes)]
        return max(busy)

    def peak_gbps(self, read_share: float) -> float:
        """The most that the node carries of traffic with this share of reads, from 0 to 1 [GB/s]."""
        return 1 / self.busy_ns(read_share, 1 - read_share)

    def scaled(self, factor: float) -> Carriers:
        """The same at another speed: all relations stay."""
        return Carriers(
            None if self.link is None else self.link.scaled(factor),
            None if self.medium is None else self.medium.scaled(factor),
        )
