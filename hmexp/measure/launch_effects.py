"""What launches of a run say of one another: whether they are alike in their order, or have two states."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

#: Student's t for 95 %, both sides, by degrees of freedom from 1.
_STUDENT: Final = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086,
)  # fmt: skip
_NORMAL: Final = 1.960
#: Autocorrelations of which the critical values are simulated.
_GRID: Final = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
_SIMULATED: Final = 20_000
_SEED: Final = 20201
#: Fewer points say nothing of how launches are alike.
LEAST_POINTS: Final = 8
#: Fewer launches of a point cannot show an order, nor states.
LEAST_LAUNCHES: Final = 4
#: An autocorrelation counts from so many standard errors above that of independent launches.
_CERTAIN: Final = 2.0
#: Launches have two states where this part of their range is one gap: 0.37 to 0.57 is it for one state.
_GAP: Final = 0.8


@dataclass(frozen=True)
class LaunchEffects:
    """How launches depend on one another.

    Parameters
    ----------
    autocorrelation : float
        Of successive launches of a point, from 0 (independent) to 0.95.
    two_states : bool
        Launches are at one of two levels, rather than around one.
    spreads : mapping of str to float
        Where either holds: standard deviation of the logarithms of launch medians over all points of an
        operation. Launches of one point may all have been in one state, and look as if they agreed.
    """

    autocorrelation: float = 0.0
    two_states: bool = False
    spreads: Mapping[str, float] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.two_states or self.autocorrelation > 0

    def critical_value(self, launches: int) -> float:
        """How many standard errors a 95 % interval over so many launches reaches, two or more."""
        if not self.autocorrelation:
            return _student(launches)
        table = _simulate(launches)
        return max(_student(launches), float(np.interp(self.autocorrelation, _GRID, table.critical)))


INDEPENDENT: Final = LaunchEffects()


def find_launch_effects(points: Sequence[tuple[str, Sequence[float]]]) -> LaunchEffects:
    """Find how the launches of a run depend on one another.

    A point has too few launches to say; all points together have enough. The autocorrelation at lag one is
    the mean over the points, and held against what first-order autoregressive series of as many launches
    give (which is below zero for independent ones: G. Marriott, J. Pope, "Bias in the estimation of
    autocorrelations", Biometrika 41, 1954), by simulation. It counts if it is above that of independent
    launches by two standard errors. That a machine changed its state once for many launches of all points
    shows as little as one launch of that state would: such drift can only be avoided, by more rounds.

    Parameters
    ----------
    points : sequence of (str, sequence of float)
        The operation of each point, and the medians of its launches in their order.
    """
    usable = [(group, np.log(values)) for group, values in points if _usable(values)]
    if len(usable) < LEAST_POINTS:
        return INDEPENDENT
    autocorrelation = _autocorrelation([logs for _, logs in usable])
    two_states = float(np.mean([_largest_gap(logs) for _, logs in usable])) > _GAP
    if not (autocorrelation or two_states):
        return INDEPENDENT
    return LaunchEffects(autocorrelation, two_states, _spreads(usable))


def _usable(values: Sequence[float]) -> bool:
    # Launches of which all have one value were not measured by a clock.
    return len(values) >= LEAST_LAUNCHES and min(values) > 0 and min(values) < max(values)


def _autocorrelation(points: Sequence[npt.NDArray[np.float64]]) -> float:
    found = np.array([_lag_one(logs[np.newaxis])[0] for logs in points])
    tables = [_simulate(logs.size) for logs in points]
    expected = np.mean([table.lag_one for table in tables], axis=0)
    # The points may share what moves them: their own scatter counts if it is more than independent ones have.
    scatter = max(float(found.std(ddof=1)), math.sqrt(float(np.mean([table.variance for table in tables]))))
    excess = float(found.mean()) - float(expected[0])
    if excess < _CERTAIN * scatter / math.sqrt(len(points)):
        return 0.0
    return float(np.interp(found.mean(), expected, _GRID))


def _lag_one(series: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The autocorrelation at lag one of each row."""
    rest = series - series.mean(axis=1, keepdims=True)
    return np.asarray((rest[:, 1:] * rest[:, :-1]).sum(axis=1) / (rest**2).sum(axis=1))


def _largest_gap(logs: npt.NDArray[np.float64]) -> float:
    ordered = np.sort(logs)
    return float(np.diff(ordered).max() / (ordered[-1] - ordered[0]))


def _spreads(points: Sequence[tuple[str, npt.NDArray[np.float64]]]) -> dict[str, float]:
    variances: dict[str, list[float]] = {}
    for group, logs in points:
        variances.setdefault(group, []).append(float(np.var(logs, ddof=1)))
    return {group: math.sqrt(float(np.mean(values))) for group, values in variances.items()}


def _student(launches: int) -> float:
    return _STUDENT[launches - 2] if launches - 2 < len(_STUDENT) else _NORMAL + 2.5 / launches


@dataclass(frozen=True)
class _Table:
    """What autoregressive series of a length give, for each of `_GRID`."""

    lag_one: npt.NDArray[np.float64]
    critical: npt.NDArray[np.float64]
    variance: float


@lru_cache(maxsize=128)
def _simulate(launches: int) -> _Table:
    generator = np.random.default_rng(_SEED)
    lag_one, critical, variance = [], [], 0.0
    for rho in _GRID:
        series = generator.normal(size=(_SIMULATED, launches))
        for step in range(1, launches):
            series[:, step] = rho * series[:, step - 1] + math.sqrt(1 - rho**2) * series[:, step]
        found = _lag_one(series)
        errors = series.std(axis=1, ddof=1) / math.sqrt(launches)
        lag_one.append(float(found.mean()))
        critical.append(float(np.quantile(np.abs(series.mean(axis=1)) / errors, 0.95)))
        variance = variance or float(found.var())
    return _Table(np.array(lag_one), np.array(critical), variance)
