"""How much a median would differ if it were measured again: within a process, and from launch to launch.

All spreads here are of natural logarithms: 0.02 is 2 %. So they are the same for GB/s and for ns, and
ratios are differences.

* Within a launch: the bootstrap's standard error of the median of the samples, not drawn but exact
  (J. Maritz, R. Jarrett, "A note on estimating the variance of the sample median", JASA 73, 1978).
* From launch to launch, which is mostly the larger part: the standard deviation of the medians of launches
  of the same point, pooled over all points of the same unit. Bootstrapping the few launches of one point
  would give intervals that are far too narrow: its resamples are never outside of what was seen. A point
  whose own launches differ more than the pool's keeps its own.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hmexp.report.comparison.reading import Reading
from hmexp.store.records import RunRecord

Floats = npt.NDArray[np.float64]
#: Of a median from launch to launch where the records do not show it: the same command has drifted by 8 %
#: within an hour on a cloud machine while its own spread was 0.01 %; that is the 95 % range of the difference
#: of two launches with this deviation each.
ASSUMED_LAUNCH_NOISE: Final = 0.03
_GRID: Final = 20_001
_FEW: Final = 2


@dataclass(frozen=True)
class LaunchNoise:
    """Standard deviation of the medians of launches [natural logarithm].

    Parameters
    ----------
    deviation : float
        Of one launch.
    freedom : float
        Degrees of freedom that it is known by; infinite if it is assumed.
    source : str
        Where it comes from, for people.
    """

    deviation: float
    freedom: float
    source: str


def launch_noise(
    readings: Iterable[Reading], runs: Sequence[RunRecord], assumed: float | None = None
) -> dict[str, LaunchNoise]:
    """Find the launch-to-launch noise for each unit.

    In this order: as given; the launches of the points; the launches that measured the host of an
    emulation; an assumption.

    Parameters
    ----------
    readings : iterable of Reading
        Of both runs.
    runs : sequence of RunRecord
        What `run.json` of each holds.
    assumed : float, optional
        Given by the reader, used instead of everything else.
    """
    own: dict[str, list[Floats]] = defaultdict(list)
    for reading in readings:
        own[reading.unit or ""] += [reading.launches] if len(reading.launches) else []
    hosts: dict[str, list[Floats]] = defaultdict(list)
    for run in runs:
        for unit, medians in _calibrations(run):
            hosts[unit].append(medians)
    found = {}
    for unit, medians_of_points in own.items():
        if assumed is not None:
            found[unit] = LaunchNoise(assumed, math.inf, "as given")
        elif (pooled := _pool(medians_of_points)) is not None:
            found[unit] = LaunchNoise(*pooled, "launches of the points")
        elif (pooled := _pool(hosts[unit])) is not None:
            found[unit] = LaunchNoise(*pooled, "launches that measured the hosts of the emulation")
        else:
            text = "assumed: the records have one launch of each point"
            found[unit] = LaunchNoise(ASSUMED_LAUNCH_NOISE, math.inf, text)
    return found


def _calibrations(run: RunRecord) -> Iterable[tuple[str, Floats]]:
    groups: dict[tuple[str, str], list[float]] = defaultdict(list)
    for launch in run.calibration:
        if launch.median > 0:
            groups[launch.quantity, launch.unit].append(launch.median)
    return [(unit, np.array(medians)) for (_, unit), medians in groups.items() if len(medians) >= _FEW]


def _pool(groups: Sequence[Floats]) -> tuple[float, float] | None:
    logs = [list(map(math.log, group.tolist())) for group in groups if len(group) >= _FEW]
    freedom = sum(len(group) - 1 for group in logs)
    if not freedom:
        return None
    return math.sqrt(math.fsum(map(_squares, logs)) / freedom), float(freedom)


def standard_error(reading: Reading, noise: LaunchNoise) -> float:
    """Standard error of a reading's median, launches and samples together [natural logarithm]."""
    launches = reading.launches
    if len(launches) >= _FEW:
        own = _deviation([math.log(median) for median in launches.tolist()])
        return max(own, noise.deviation) / math.sqrt(len(launches))
    return math.hypot(noise.deviation, median_error(np.log(reading.samples)))


def _deviation(values: Sequence[float]) -> float:
    return math.sqrt(_squares(values) / (len(values) - 1))


def _squares(values: Sequence[float]) -> float:
    """Squared distances from the mean; of a few values numpy takes ten times as long."""
    mean = math.fsum(values) / len(values)
    return math.fsum([(value - mean) ** 2 for value in values])


def median_error(values: Floats) -> float:
    """Bootstrap standard error of a median, exactly; 0 for a single value.

    Parameters
    ----------
    values : ndarray
        Samples, shape ``(n,)``.
    """
    n = len(values)
    if n < _FEW:
        return 0.0
    weights, ordered = _weights(n), np.sort(values)
    middle = float(weights @ ordered)
    # n / (n - 1), as for every spread of few samples around their own middle.
    return math.sqrt(float(weights @ (ordered - middle) ** 2) * n / (n - 1))


@lru_cache(maxsize=256)
def _weights(n: int) -> Floats:
    """Chance of each order statistic to be the median of a resample: a Beta((n+1)/2, (n+1)/2) over [0, 1]."""
    x = np.linspace(0, 1, _GRID)
    shape = (n + 1) / 2 - 1
    with np.errstate(divide="ignore"):
        density = np.exp(shape * (np.log(4 * x) + np.log1p(-x)))
    cumulated = np.concatenate(([0.0], np.cumsum((density[1:] + density[:-1]) / 2)))
    at = np.interp(np.arange(n + 1) / n, x, cumulated / cumulated[-1])
    weights: Floats = np.diff(at)
    return weights


def chance(t: float, freedom: float) -> float:
    """Two-sided p-value of Student's t, by D. Wallace's approximation (Ann. Math. Statist. 30, 1959)."""
    z = abs(t)
    if math.isfinite(freedom):
        z = (8 * freedom + 1) / (8 * freedom + 3) * math.sqrt(freedom * math.log1p(t * t / freedom))
    return math.erfc(z / math.sqrt(2))


def quantile(probability: float, freedom: float) -> float:
    """Half-width, in standard errors, of a central interval of that probability: the inverse of `chance`."""
    z = NormalDist().inv_cdf((1 + probability) / 2)
    if not math.isfinite(freedom):
        return z
    stretched = z * (8 * freedom + 3) / (8 * freedom + 1)
    return math.sqrt(freedom * math.expm1(stretched * stretched / freedom))


def discoveries(p_values: Sequence[float], rate: float) -> list[bool]:
    """Tell which of many tests hold, if a share `rate` of those that hold may be false.

    The procedure of Y. Benjamini and Y. Hochberg, J. R. Statist. Soc. B 57 (1995).
    """
    order: Any = np.argsort(np.array(p_values, dtype=np.float64), kind="stable")
    held = [False] * len(p_values)
    last = 0
    for rank, index in enumerate(order, start=1):
        if p_values[index] <= rate * rank / len(p_values):
            last = rank
    for index in order[:last]:
        held[index] = True
    return held
