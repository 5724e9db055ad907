"""A family of measured curves: latency against bandwidth, one curve for each share of reads.

Interpolation, the same everywhere. Along a curve, latency is on straight lines between its points over
``u = bandwidth / peak``, the peak being the highest bandwidth of the curve; beyond either end it stays what
it is there. Between two curves, time per byte at the peak and latency at equal ``u`` are on straight lines
over the share of reads; beyond the first and the last curve they stay what they are there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hmexp.errors import EmulationError
from hmexp.store.machine import FamilyCurveRecord

#: What a curve may have: more is no measurement, but a mistake or an attack.
MOST_POINTS: Final = 1000
MOST_CURVES: Final = 201


@dataclass(frozen=True)
class FamilyCurve:
    """Latency against bandwidth for one share of reads.

    Parameters
    ----------
    read_percent : float
        Share of reads in the traffic, lines that a regular store reads first included [%].
    bandwidth_gbps : tuple of float
        Of all traffic, ascending [GB/s].
    latency_ns : tuple of float
        Of a dependent load under that traffic [ns].
    """

    read_percent: float
    bandwidth_gbps: tuple[float, ...]
    latency_ns: tuple[float, ...]

    @property
    def peak_gbps(self) -> float:
        """The highest bandwidth [GB/s]."""
        return max(self.bandwidth_gbps)

    @property
    def idle_ns(self) -> float:
        """Latency at the lowest bandwidth [ns]."""
        return self.latency_ns[0]

    def latency_at(self, used: float) -> float:
        """Latency at a part of the peak, from 0 to 1 [ns]."""
        parts = np.asarray(self.bandwidth_gbps) / self.peak_gbps
        return float(np.interp(used, parts, self.latency_ns))

    def scaled(self, bandwidth: float, latency: float) -> FamilyCurve:
        """The curve with both axes multiplied."""
        return FamilyCurve(
            self.read_percent,
            tuple(value * bandwidth for value in self.bandwidth_gbps),
            tuple(value * latency for value in self.latency_ns),
        )

    @classmethod
    def from_points(cls, read_percent: float, points: Iterable[tuple[float, float]]) -> FamilyCurve:
        """Make a curve of points in any order, of which equal bandwidths are put together.

        A curve that bends back (more load, less bandwidth) keeps its points, in the order of bandwidth.
        """
        found: dict[float, list[float]] = {}
        for bandwidth, latency in points:
            found.setdefault(float(bandwidth), []).append(float(latency))
        ordered = sorted(found)
        return cls(
            float(read_percent), tuple(ordered), tuple(float(np.mean(found[each])) for each in ordered)
        )

    def to_record(self) -> FamilyCurveRecord:
        """The curve as it is stored."""
        return FamilyCurveRecord(
            read_percent=self.read_percent, bandwidth_gbps=self.bandwidth_gbps, latency_ns=self.latency_ns
        )


@dataclass(frozen=True)
class Family:
    """Curves of one memory, by ascending share of reads.

    Parameters
    ----------
    curves : tuple of FamilyCurve
        One at least.

    Raises
    ------
    EmulationError
        If there is no curve, or one has a figure that cannot be.
    """

    curves: tuple[FamilyCurve, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.curves) <= MOST_CURVES:
            raise EmulationError(
                f"a family has {len(self.curves)} curves",
                f"give 1 to {MOST_CURVES}, one for each share of reads",
            )
        object.__setattr__(self, "curves", tuple(sorted(self.curves, key=lambda c: c.read_percent)))
        shares = [curve.read_percent for curve in self.curves]
        if len(set(shares)) < len(shares):
            twice = next(share for share in shares if shares.count(share) > 1)
            raise EmulationError(f"a family has two curves for {twice:g} % reads", "give each share once")
        for curve in self.curves:
            _check(curve)

    @property
    def idle_ns(self) -> float:
        """Latency with the least load, the median over the curves [ns]."""
        return float(np.median([curve.idle_ns for curve in self.curves]))

    @property
    def read_shares(self) -> tuple[float, ...]:
        """Shares of reads that have a curve, from 0 to 1."""
        return tuple(curve.read_percent / 100 for curve in self.curves)

    def peak_gbps(self, read_share: float) -> float:
        """The most bandwidth of traffic with this share of reads, from 0 to 1 [GB/s]."""
        times = [1 / curve.peak_gbps for curve in self.curves]
        return 1 / float(np.interp(read_share, self.read_shares, times))

    def latency_ns(self, read_share: float, gbps: float) -> float:
        """Latency beside so much traffic with this share of reads [ns]."""
        used = gbps / self.peak_gbps(read_share)
        return self.latency_at(read_share, used)

    def latency_at(self, read_share: float, used: float) -> float:
        """Latency at a part of the peak of this share of reads [ns]."""
        values = [curve.latency_at(used) for curve in self.curves]
        return float(np.interp(read_share, self.read_shares, values))

    def grid(self, shares: int, steps: int) -> NDArray[np.float64]:
        """Latency at so many shares of reads and parts of the peak, both evenly from 0 to 1 [ns]."""
        used, at = np.linspace(0, 1, steps), np.linspace(0, 1, shares)
        rows = np.stack(
            [np.interp(used, np.asarray(c.bandwidth_gbps) / c.peak_gbps, c.latency_ns) for c in self.curves]
        )
        return np.stack([np.interp(at, self.read_shares, column) for column in rows.T], axis=1)

    def scaled(self, bandwidth: float, latency: float) -> Family:
        """The family with both axes multiplied."""
        return Family(tuple(curve.scaled(bandwidth, latency) for curve in self.curves))

    def to_record(self) -> tuple[FamilyCurveRecord, ...]:
        """The family as it is stored."""
        return tuple(curve.to_record() for curve in self.curves)

    @classmethod
    def from_record(cls, record: tuple[FamilyCurveRecord, ...]) -> Family | None:
        """Read back what `to_record` wrote; None where there are no curves."""
        if not record:
            return None
        return cls(tuple(FamilyCurve(c.read_percent, c.bandwidth_gbps, c.latency_ns) for c in record))


def _check(curve: FamilyCurve) -> None:
    where = f"the curve for {curve.read_percent:g} % reads"
    bandwidths, latencies = curve.bandwidth_gbps, curve.latency_ns
    if not 0 <= curve.read_percent <= 100:
        raise EmulationError(f"{where}: a share of reads lies in 0..100 %")
    if not 2 <= len(bandwidths) <= MOST_POINTS or len(bandwidths) != len(latencies):
        raise EmulationError(
            f"{where} has {len(bandwidths)} bandwidths and {len(latencies)} latencies",
            f"give as many of both, 2 to {MOST_POINTS}",
        )
    if any(not 0 <= value <= 1e6 for value in bandwidths) or not bandwidths[-1] >= 1e-3:
        raise EmulationError(f"{where}: a bandwidth is out of range", "bandwidths lie in 0..1e6 GB/s")
    if any(not later > earlier for earlier, later in pairwise(bandwidths)):
        raise EmulationError(f"{where}: its bandwidths do not ascend", "sort the points, each bandwidth once")
    if any(not 1e-3 <= value <= 1e6 for value in latencies):
        raise EmulationError(f"{where}: a latency is out of range", "latencies lie in 0.001..1e6 ns")
