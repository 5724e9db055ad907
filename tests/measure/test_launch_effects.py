"""Intervals over launches cover what they say, by simulation, for six ways in which launches differ.

The truth is 0 on the scale of logarithms; a run has 25 points of 5 launches. What drifts or has states does
so for each point by itself. Where all points share what disturbs a round, they are one witness: values are
then covered as far as one series can show it, and multiples of a point that was measured in the same rounds
have none of it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from hmexp.measure.launch_effects import GRID, INDEPENDENT, LaunchEffects, find_launch_effects
from hmexp.measure.statistics import summarise_launches

POINTS, LAUNCHES = 25, 5
Array = npt.NDArray[np.float64]
Effect = Callable[[np.random.Generator], Array]


def gauss(generator: np.random.Generator) -> Array:
    return generator.normal(size=(POINTS, LAUNCHES))


def heavy(generator: np.random.Generator) -> Array:
    return generator.standard_t(2, size=(POINTS, LAUNCHES))


def skewed(generator: np.random.Generator) -> Array:
    return generator.exponential(size=(POINTS, LAUNCHES)) - np.log(2)


def two_levels(generator: np.random.Generator) -> Array:
    states = generator.random((POINTS, LAUNCHES)) < 0.5
    return 2 * states - 1 + generator.normal(0, 0.1, size=states.shape)


def drift(generator: np.random.Generator, rho: float = 0.7) -> Array:
    series = generator.normal(size=(POINTS, LAUNCHES))
    for step in range(1, LAUNCHES):
        series[:, step] = rho * series[:, step - 1] + np.sqrt(1 - rho**2) * series[:, step]
    return series


def rounds(generator: np.random.Generator) -> Array:
    """What disturbs a round disturbs all of its points, and rounds are independent."""
    return generator.normal(size=(1, LAUNCHES)) + generator.normal(0, 0.1, size=(POINTS, LAUNCHES))


def slow_drift(generator: np.random.Generator) -> Array:
    return drift(generator, 0.9)


def cover(effect: Effect, seed: int) -> tuple[float, float, float]:
    """How often intervals cover the truth as they were, and widened; and how much wider they are."""
    generator = np.random.default_rng(seed)
    plain, wide, times = [], [], []
    # Points that are one witness take more runs.
    for _ in range(100 if effect is rounds else 20):
        medians = np.exp(0.01 * effect(generator))
        effects = find_launch_effects([("read", row.tolist()) for row in medians])
        for row in medians:
            launches = [[value] for value in row]
            one, two = summarise_launches(launches), summarise_launches(launches, effects, "read")
            assert one.interval is not None
            assert two.interval is not None
            plain.append(one.interval[0] <= 1 <= one.interval[1])
            wide.append(two.interval[0] <= 1 <= two.interval[1])
            times.append(two.half_width / one.half_width)
    return float(np.mean(plain)), float(np.mean(wide)), float(np.median(times))


@pytest.mark.parametrize(
    ("effect", "unwidened", "least", "most_times"),
    [
        (gauss, (0.93, 0.97), 0.93, 1.05),
        (heavy, (0.93, 0.985), 0.93, 1.05),
        (skewed, (0.92, 0.97), 0.92, 1.05),
        (two_levels, (0.90, 0.96), 0.95, 1.5),
        (drift, (0.60, 0.72), 0.90, 5.0),
        (slow_drift, (0.32, 0.46), 0.90, 7.0),
        (rounds, (0.90, 0.99), 0.93, 1.05),
    ],
)
def test_coverage(effect: Effect, unwidened: tuple[float, float], least: float, most_times: float) -> None:
    plain, wide, times = cover(effect, 7)
    print(f"{effect.__name__}: covers {plain:.3f}, widened {times:.2f} times {wide:.3f}")
    assert unwidened[0] <= plain <= unwidened[1]
    assert wide >= least
    assert times <= most_times


def test_of_few_points_or_launches_nothing_is_found() -> None:
    rows = drift(np.random.default_rng(1), 0.95)
    few = [("read", np.exp(row).tolist()) for row in rows[:7]]
    assert find_launch_effects(few) == INDEPENDENT
    short = [("read", np.exp(row[:3]).tolist()) for row in rows]
    assert find_launch_effects(short) == INDEPENDENT
    assert find_launch_effects([("read", [5.0] * 5)] * 20) == INDEPENDENT
    assert find_launch_effects([("read", [0.0, 1.0, 2.0, 3.0])] * 20) == INDEPENDENT
    assert not INDEPENDENT


def test_independent_launches_have_students_t_and_others_more() -> None:
    assert INDEPENDENT.critical_value(5) == 2.776
    assert INDEPENDENT.critical_value(100) == pytest.approx(1.985, abs=0.002)
    values = [_of(rho).critical_value(5) for rho in (0.0, 0.3, 0.6, 0.95)]
    assert values == sorted(values)
    assert values[-1] > 10


def _of(rho: float) -> LaunchEffects:
    return LaunchEffects(tuple(float(each == rho) for each in GRID))


def test_rounds_that_drift_together_are_one_witness() -> None:
    """Each run is one series: independent ones are rarely taken for a drift."""
    generator = np.random.default_rng(3)
    found = [
        find_launch_effects([("read", np.exp(0.01 * row).tolist()) for row in rounds(generator)])
        for _ in range(200)
    ]
    assert np.mean([bool(effects.weights) for effects in found]) <= 0.05
    # A slope in all of them is an order, but nobody knows of how slow a drift it is a part.
    slope = np.linspace(0, 1, LAUNCHES) + generator.normal(0, 0.1, size=(POINTS, LAUNCHES))
    together = find_launch_effects([("read", np.exp(0.01 * row).tolist()) for row in slope])
    signs = generator.choice([-1, 1], size=(POINTS, 1))
    apart = find_launch_effects([("read", np.exp(0.01 * row).tolist()) for row in slope * signs])
    assert together.weights and apart.weights
    assert together.autocorrelation < apart.autocorrelation


def test_two_launches_have_no_smaller_spread_than_the_operation_where_states_are_known() -> None:
    effects = LaunchEffects(two_states=True, spreads={"read": 0.1})
    agreed = [[1.0], [1.0], [1.0], [1.0]]
    assert summarise_launches(agreed).half_width == 0
    assert summarise_launches(agreed, effects, "read").half_width > 0.1
    assert summarise_launches(agreed, effects, "latency").half_width == 0
