"""Which ratio is safe on nearly all hosts: of those that were measured, and of others like them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from hmexp.report.fleet.comparable import Unit
from hmexp.report.fleet.reading import Fleet, FleetHost
from hmexp.report.model.advice import KEEP

#: Hosts on which a ratio must be safe, and the confidence in it for hosts that were not measured.
PART: Final = 0.95
CONFIDENCE: Final = 0.95


@dataclass(frozen=True)
class RatioOfFleet:
    """What a ratio keeps of all DRAM's speed, in the bandwidth that it keeps least of.

    Parameters
    ----------
    ratio : str
        DRAM:slow.
    share : float
        Share of pages on DRAM.
    hosts : int
        Hosts that have measured it.
    median : float
        What half of the hosts keep at least.
    kept : float
        What 95 % of these hosts keep at least.
    bound : float or None
        What 95 % of all hosts like them keep at least, with 95 % confidence (Wilks, Annals of Mathematical
        Statistics 12, 1941, 91-96); None of too few hosts for that.
    """

    ratio: str
    share: float
    hosts: int
    median: float
    kept: float
    bound: float | None

    @property
    def safe(self) -> bool:
        """Whether 95 % of the measured hosts keep enough."""
        return self.kept >= KEEP


def find_ratios(fleet: Fleet) -> tuple[RatioOfFleet, ...]:
    """Every ratio that hosts have measured beside all DRAM, the most DRAM first."""
    by_share: dict[float, list[float]] = {}
    names: dict[float, str] = {}
    for host in fleet.measured:
        for share, (ratio, value) in _worst(host).items():
            by_share.setdefault(share, []).append(value)
            names[share] = ratio
    found = []
    for share, values in by_share.items():
        values.sort()
        rank = tolerance_rank(len(values))
        found.append(
            RatioOfFleet(
                ratio=names[share],
                share=share,
                hosts=len(values),
                median=values[(len(values) - 1) // 2],
                # The largest value that at least so many hosts reach.
                kept=values[len(values) - math.ceil(PART * len(values))],
                bound=None if rank is None else values[rank - 1],
            )
        )
    return tuple(sorted(found, key=lambda each: -each.share))


def _worst(host: FleetHost) -> dict[float, tuple[str, float]]:
    """What each share keeps in the operation in which it keeps least.

    As in a report of one machine, bandwidths decide, and latencies only where there are no others.
    """
    found: dict[float, tuple[str, float]] = {}
    bandwidths: dict[Unit, float] = {unit: value for unit, value in host.kept.items() if unit.better > 0}
    for unit, value in (bandwidths or host.kept).items():
        if unit.share is not None and (unit.share not in found or value < found[unit.share][1]):
            found[unit.share] = (unit.ratio, value)
    return found


def find_safe(ratios: tuple[RatioOfFleet, ...]) -> RatioOfFleet | None:
    """The ratio with the least DRAM such that it, and every one with more, is safe on 95 % of the hosts."""
    safe = None
    for each in ratios:
        if not each.safe:
            break
        safe = each
    return safe


def tolerance_rank(count: int) -> int | None:
    """Which of so many values, from the smallest, 95 % of all are above with 95 % confidence.

    The r-th smallest of n is such a bound if at least r of n fall into the lower 5 % with that
    probability; None if not even the smallest is, as of fewer than 59.
    """
    below = 0.0
    for rank in range(count + 1):
        # Fewer than `rank + 1` in the lower part.
        below += math.exp(
            math.lgamma(count + 1)
            - math.lgamma(rank + 1)
            - math.lgamma(count - rank + 1)
            + rank * math.log(1 - PART)
            + (count - rank) * math.log(PART)
        )
        if below > 1 - CONFIDENCE:
            return rank or None
    return None
