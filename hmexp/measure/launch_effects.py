"""What launches of a run say of one another: whether they are alike in their order, or have two states."""

from __future__ import annotations

import itertools
import math
from collections import Counter
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
GRID: Final = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
_SIMULATED: Final = 20_000
_SEED: Final = 20201
#: Orders of the rounds that are tried: all of up to six, so many of more.
_ORDERS: Final = 1000
#: Rounds are alike in their order if so few orders would show as much of it.
_CHANCE: Final = 0.02
#: Or if what is found is so many standard errors beyond independent series, as many as the points are worth.
_CERTAIN: Final = 2.5
#: With fewer rounds even the rarest order is not that rare: two of 24 are the most ordered ones.
_LEAST_ROUNDS: Final = 5
#: Fewer points say nothing of how launches are alike.
LEAST_POINTS: Final = 8
#: Fewer launches of a point cannot show an order, nor states.
LEAST_LAUNCHES: Final = 4
#: Launches have two states where this part of their range is one gap: 0.37 to 0.57 is it for one state.
_GAP: Final = 0.8


Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LaunchEffects:
    """How launches depend on one another.

    Parameters
    ----------
    weights : tuple of float
        How probable each autocorrelation of `GRID` is; empty if launches are independent.
    two_states : bool
        Launches are at one of two levels, rather than around one.
    spreads : mapping of str to float
        Where either holds: standard deviation of the logarithms of launch medians over all points of an
        operation. Launches of one point may all have been in one state, and look as if they agreed.
    """

    weights: tuple[float, ...] = ()
    two_states: bool = False
    spreads: Mapping[str, float] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.two_states or bool(self.weights)

    @property
    def autocorrelation(self) -> float:
        """Of successive launches of a point: the mean of what is probable, from 0 (independent) to 0.95."""
        return float(np.dot(self.weights, GRID)) if self.weights else 0.0

    def critical_value(self, launches: int) -> float:
        """How many standard errors a 95 % interval over so many launches reaches, two or more."""
        if not self.weights:
            return _student(launches)
        return max(_student(launches), _mixed_quantile(launches, self.weights))


INDEPENDENT: Final = LaunchEffects()


def find_launch_effects(points: Sequence[tuple[str, Sequence[float]]]) -> LaunchEffects:
    """Find how the launches of a run depend on one another.

    A point has too few launches to say; all points together have more. But they are measured in rounds, and
    what disturbs a round disturbs all its points: they are not as many witnesses as they are points. So it
    is asked whether successive rounds differ by less than in other orders, the same for all points (a
    permutation test: E. Pitman, "Significance tests which may be applied to samples from any populations",
    1937; of the statistic of J. von Neumann, "Distribution of the ratio of the mean square successive
    difference to the variance", 1941). Where points go their own ways there are not enough orders to tell,
    and what is found is held against independent series instead.

    If launches are alike, each autocorrelation is as probable as first-order autoregressive series of so
    many launches give what was found, by as many series as the points are worth; the estimate is far below
    the truth for so short ones (G. Marriott, J. Pope, "Bias in the estimation of autocorrelations",
    Biometrika 41, 1954), for which simulated series make up. That a machine changed its state once for many
    launches of all points shows as little as one launch of that state would: such drift can only be avoided,
    by more rounds.

    Parameters
    ----------
    points : sequence of (str, sequence of float)
        The operation of each point, and the medians of its launches in their order.
    """
    usable = [(group, np.log(values)) for group, values in points if _usable(values)]
    if len(usable) < LEAST_POINTS:
        return INDEPENDENT
    weights = _weigh(usable)
    two_states = float(np.mean([_largest_gap(logs) for _, logs in usable])) > _GAP
    if not (weights or two_states):
        return INDEPENDENT
    return LaunchEffects(weights, two_states, _spreads(usable))


def _usable(values: Sequence[float]) -> bool:
    # Launches of which all have one value were not measured by a clock.
    return len(values) >= LEAST_LAUNCHES and min(values) > 0 and min(values) < max(values)


def _weigh(points: Sequence[tuple[str, Array]]) -> tuple[float, ...]:
    """How probable each autocorrelation of `GRID` is; nothing if the launches may well be independent."""
    counts = Counter(logs.size for _, logs in points)
    launches, several = max(counts.items(), key=lambda item: (item[1], item[0]))
    if several < LEAST_POINTS or launches < _LEAST_ROUNDS:
        return ()
    groups: dict[str, list[Array]] = {}
    for group, logs in points:
        if logs.size == launches:
            rest = logs - logs.mean()
            groups.setdefault(group, []).append(rest / np.linalg.norm(rest))
    rounds = np.mean([np.outer(unit, unit) for units in groups.values() for unit in units], axis=0)
    found = float(np.diagonal(rounds, 1).sum())
    table, series = _simulate(launches), sum(_worth(np.array(units)) for units in groups.values())
    # The order and its reverse are the same one.
    as_made = _differences(rounds, np.arange(launches)[np.newaxis])[0]
    chance = float(np.mean(_differences(rounds, _orders(launches)) <= as_made + 1e-12))
    beyond = (found - table.lag_one[0]) / math.sqrt(table.variance[0] / series)
    if chance > _CHANCE and beyond < _CERTAIN:
        return ()
    likelihood = np.exp(-((found - table.lag_one) ** 2) / (2 * table.variance / series))
    likelihood /= np.sqrt(table.variance)
    # What is found may be further out than any series is on average.
    if likelihood.sum() < 1e-12:
        likelihood = (np.arange(len(GRID)) == np.argmin(np.abs(found - table.lag_one))).astype(np.float64)
    return tuple(float(weight) for weight in likelihood / likelihood.sum())


def _differences(rounds: Array, orders: npt.NDArray[np.int64]) -> Array:
    """The mean square of differences of successive rounds, if they had been made in these orders."""
    one, other, own = orders[:, :-1], orders[:, 1:], np.diagonal(rounds)
    return np.asarray((own[one] + own[other] - 2 * rounds[one, other]).sum(axis=1))


@lru_cache(maxsize=128)
def _orders(launches: int) -> npt.NDArray[np.int64]:
    if math.factorial(launches) <= _ORDERS:
        return np.array(list(itertools.permutations(range(launches))))
    generator = np.random.default_rng(_SEED)
    return generator.permuted(np.tile(np.arange(launches), (_ORDERS, 1)), axis=1)


def _worth(units: Array) -> float:
    """How many independent series these are worth: fewer where their rounds go up and down together."""
    count = len(units)
    if count == 1:
        return 1.0
    alike = (float(np.linalg.norm(units.sum(axis=0)) ** 2) - count) / (count * (count - 1))
    return count / (1 + (count - 1) * max(0.0, alike))


def _lag_one(series: Array) -> Array:
    """The autocorrelation at lag one of each row."""
    rest = series - series.mean(axis=1, keepdims=True)
    return np.asarray((rest[:, 1:] * rest[:, :-1]).sum(axis=1) / (rest**2).sum(axis=1))


def _largest_gap(logs: Array) -> float:
    ordered = np.sort(logs)
    return float(np.diff(ordered).max() / (ordered[-1] - ordered[0]))


def _spreads(points: Sequence[tuple[str, Array]]) -> dict[str, float]:
    variances: dict[str, list[float]] = {}
    for group, logs in points:
        variances.setdefault(group, []).append(float(np.var(logs, ddof=1)))
    return {group: math.sqrt(float(np.mean(values))) for group, values in variances.items()}


def _student(launches: int) -> float:
    return _STUDENT[launches - 2] if launches - 2 < len(_STUDENT) else _NORMAL + 2.5 / launches


@lru_cache(maxsize=128)
def _mixed_quantile(launches: int, weights: tuple[float, ...]) -> float:
    """What 95 % of the errors are within, if each autocorrelation is as probable as its weight."""
    errors = _simulate(launches).errors
    order = np.argsort(errors, axis=None)
    each = np.repeat(np.array(weights) / _SIMULATED, _SIMULATED)
    return float(errors.ravel()[order][np.searchsorted(np.cumsum(each[order]), 0.95)])


@dataclass(frozen=True)
class _Table:
    """What autoregressive series of a length give, for each of `GRID`.

    Parameters
    ----------
    lag_one, variance : array
        Mean and variance of the autocorrelation that is found, shape ``(len(GRID),)``.
    errors : array
        Distances of their means from the truth, in standard errors, shape ``(len(GRID), _SIMULATED)``.
    """

    lag_one: Array
    variance: Array
    errors: Array


@lru_cache(maxsize=32)
def _simulate(launches: int) -> _Table:
    generator = np.random.default_rng(_SEED)
    lag_one, variance, errors = [], [], []
    for rho in GRID:
        series = generator.normal(size=(_SIMULATED, launches))
        for step in range(1, launches):
            series[:, step] = rho * series[:, step - 1] + math.sqrt(1 - rho**2) * series[:, step]
        found = _lag_one(series)
        lag_one.append(float(found.mean()))
        variance.append(float(found.var()))
        errors.append(np.abs(series.mean(axis=1)) / (series.std(axis=1, ddof=1) / math.sqrt(launches)))
    return _Table(np.array(lag_one), np.array(variance), np.array(errors))
