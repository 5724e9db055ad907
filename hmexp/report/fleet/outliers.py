"""Hosts that stand out: further from the middle of all than their spread, and the noise, explain."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from hmexp.report.fleet.facts import Census, FactDifference
from hmexp.report.fleet.reading import Fleet, FleetHost

#: Modified z-scores beyond this are outliers: Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993.
CUTOFF: Final = 3.5
#: A median absolute deviation of a normal distribution, as a part of its standard deviation, inverted.
_TO_SIGMA: Final = 1.4826
#: Less is not worth a person's time, however sure it is.
LEAST: Final = 0.02
#: Of fewer, nobody can say which is the odd one.
LEAST_HOSTS: Final = 3


@dataclass(frozen=True)
class Deviation:
    """How far a host is from the middle of all.

    Parameters
    ----------
    operation : str
        Of what.
    part : float
        Better by this part of the middle; worse if it is negative.
    score : float
        The modified z-score.
    """

    operation: str
    part: float
    score: float

    @property
    def out(self) -> bool:
        """Whether the host stands out by it."""
        return abs(self.score) > CUTOFF and abs(self.part) >= LEAST


@dataclass(frozen=True)
class OddHost:
    """A host that stands out.

    Parameters
    ----------
    host : FleetHost
        The host.
    by : tuple of Deviation
        In what, the furthest first.
    facts : tuple of FactDifference
        What sets its machine apart, the most telling first.
    """

    host: FleetHost
    by: tuple[Deviation, ...]
    facts: tuple[FactDifference, ...]


def find_deviations(fleet: Fleet) -> dict[str, dict[str, Deviation]]:
    """How far each host is from the middle of all, by host and operation.

    The deviation of a host in an operation is the median over all that is compared of it.
    """
    found: dict[str, dict[str, Deviation]] = {host.name: {} for host in fleet.measured}
    for operation in fleet.operations:
        logs: dict[str, list[float]] = {}
        for unit in (unit for unit in fleet.units if unit.operation == operation):
            known = {
                host.name: math.log(host.median(unit)) for host in fleet.measured if unit in host.launches
            }
            middle = float(np.median(list(known.values())))
            for name, value in known.items():
                logs.setdefault(name, []).append((value - middle) * unit.better)
        parts = {name: float(np.median(values)) for name, values in logs.items()}
        scale = _scale(parts, fleet, operation)
        centre = float(np.median(list(parts.values())))
        for name, value in parts.items():
            score = (value - centre) / scale if scale else 0.0
            found[name][operation] = Deviation(operation, math.expm1(value), score)
    return found


def _scale(parts: Mapping[str, float], fleet: Fleet, operation: str) -> float:
    """What a deviation is measured by: the spread of hosts, but never less than launches leave open."""
    values = np.array(list(parts.values()))
    spread = _TO_SIGMA * float(np.median(np.abs(values - np.median(values))))
    inside = [
        float(np.var(np.log(host.launches[unit]), ddof=1)) / len(host.launches[unit])
        for unit in fleet.units
        if unit.operation == operation
        for host in fleet.measured
        if len(host.launches.get(unit, ())) > 1
    ]
    return max(spread, math.sqrt(float(np.median(inside))) if inside else 0.0)


def find_odd(fleet: Fleet, deviations: Mapping[str, Mapping[str, Deviation]]) -> tuple[OddHost, ...]:
    """The hosts that stand out, the furthest first, each with what sets its machine apart."""
    if len(fleet.measured) < LEAST_HOSTS:
        return ()
    census = Census.of([host.facts for host in fleet.measured])
    odd = []
    for host in fleet.measured:
        by = sorted(
            (each for each in deviations[host.name].values() if each.out), key=lambda each: -abs(each.part)
        )
        if by:
            odd.append(OddHost(host, tuple(by), tuple(census.differences(host.facts))))
    return tuple(sorted(odd, key=lambda each: -abs(each.by[0].score)))
