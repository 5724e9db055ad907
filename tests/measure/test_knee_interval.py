"""The interval of a knee: what it covers, drawn on published curves. No clock is read."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hmexp.measure.knee import Knee, find_knee, furthest_load
from hmexp.measure.knee_interval import RateSamples, with_interval
from tests.published_curves import published_curves

Launches = list[list[RateSamples]]


def published() -> list[tuple[np.ndarray, np.ndarray, float]]:
    """Load, latency and knee without noise of each published curve that has a knee [GB/s, ns, GB/s]."""
    every = [(load, latency, furthest_load(load, latency)) for load, latency in published_curves()]
    return [each for each in every if math.isfinite(each[2])]


def noisy(
    load: np.ndarray, latency: np.ndarray, chance: np.random.Generator, shape: tuple[int, int], noise: float
) -> Launches:
    """So many launches of so many samples: both differ by this noise, loads by half of it."""
    launches = []
    for _ in range(shape[0]):
        own = chance.normal(1, noise, (2, load.size)) if shape[0] > 1 else np.ones((2, load.size))
        latencies = latency[:, None] * own[:1].T * chance.normal(1, noise, (load.size, shape[1]))
        loads = load[:, None] * (1 + (own[1:].T - 1) / 2) * chance.normal(1, noise / 2, latencies.shape)
        launches.append(
            [RateSamples(tuple(x), tuple(y)) for x, y in zip(loads.tolist(), latencies.tolist(), strict=True)]
        )
    return launches


def knee_of(launches: Launches) -> Knee:
    """The knee of the medians over launches of medians over samples, with its interval."""
    load = np.median([[np.median(step.load_gbps) for step in steps] for steps in launches], axis=0)
    latency = np.median([[np.median(step.latency_ns) for step in steps] for steps in launches], axis=0)
    return with_interval(find_knee(load.tolist(), latency.tolist()), launches)


@pytest.mark.parametrize("shape", [(1, 5), (3, 5)])
@pytest.mark.parametrize("noise", [0.01, 0.03])
def test_nine_of_ten_intervals_and_more_have_the_knee_without_noise(
    shape: tuple[int, int], noise: float
) -> None:
    chance, covered, widths = np.random.default_rng(11), [], []
    for load, latency, true in published():
        for _ in range(5):
            knee = knee_of(noisy(load, latency, chance, shape, noise))
            # A latency that rises to twice that without load, just so, may seem not to: it has no knee then.
            if knee.interval is not None:
                low, high = knee.interval
                covered.append(low / 1.001 <= true <= high * 1.001)
                widths.append(high / low - 1)
    print(f"{shape}, noise {noise:.0%}: {np.mean(covered):.1%} covered, width {np.median(widths):.1%}")
    assert len(covered) > 0.8 * 5 * len(published())
    assert np.mean(covered) >= 0.9
    # It also says something: half of the intervals reach over less than a third of the load.
    assert np.median(widths) < 0.33


def test_more_noise_is_a_wider_interval() -> None:
    load, latency, _ = published()[3]
    widths = []
    for noise in (0.002, 0.02, 0.06):
        chance = np.random.default_rng(5)
        ends = [knee_of(noisy(load, latency, chance, (1, 5), noise)).interval for _ in range(9)]
        widths.append(np.median([high / low for low, high in filter(None, ends)]))
    assert widths == sorted(widths)


VALUES = st.floats(0.1, 1e4)


@st.composite
def curves(draw: st.DrawFn) -> Launches:
    """Any samples: launches with the same rates, each with samples of its own."""
    steps = draw(st.integers(2, 6))
    launches = []
    for _ in range(draw(st.integers(1, 3))):
        counts = draw(st.lists(st.integers(1, 4), min_size=steps, max_size=steps))
        launches.append(
            [
                RateSamples(*(tuple(draw(st.lists(VALUES, min_size=n, max_size=n))) for _ in range(2)))
                for n in counts
            ]
        )
    return launches


@settings(deadline=None, max_examples=60)
@given(curves())
def test_an_interval_is_around_its_knee_and_within_what_was_measured(launches: Launches) -> None:
    knee = knee_of(launches)
    plain = Knee(knee.saturated, knee.load_gbps, knee.latency_ns, knee.highest_gbps, knee.rise)
    assert with_interval(plain, launches) == knee, "the same samples give the same interval"
    one_each = len(launches) == 1 and any(len(step.latency_ns) == 1 for step in launches[0])
    if knee.load_gbps is None or one_each:
        assert knee.interval is None
    if knee.interval is not None:
        assert knee.load_gbps is not None
        every = [load for steps in launches for step in steps for load in step.load_gbps]
        assert min(every) <= knee.interval[0] <= knee.load_gbps <= knee.interval[1] <= max(every)
        assert knee.interval_over == ("launches" if len(launches) > 1 else "samples")
        record = knee.to_record()
        assert (record.ci_low, record.ci_high) == knee.interval
        assert f"95 % interval over {knee.interval_over}" in str(knee)


@settings(deadline=None, max_examples=30)
@given(curves(), st.floats(0.01, 100), st.floats(0.01, 100))
def test_an_interval_scales_with_the_load(launches: Launches, loads: float, latencies: float) -> None:
    """Another unit of either axis is another unit of the interval, and nothing else."""
    scaled = [
        [
            RateSamples(
                tuple(loads * x for x in step.load_gbps), tuple(latencies * y for y in step.latency_ns)
            )
            for step in steps
        ]
        for steps in launches
    ]
    mine, other = knee_of(launches).interval, knee_of(scaled).interval
    if mine is not None and other is not None:
        assert other == pytest.approx((loads * mine[0], loads * mine[1]), rel=1e-6)


def test_samples_that_agree_have_an_interval_of_one_point() -> None:
    load, latency, _ = published()[0]
    same = [RateSamples((x,) * 4, (y,) * 4) for x, y in zip(load.tolist(), latency.tolist(), strict=True)]
    knee = knee_of([same])
    assert knee.interval is not None
    furthest = furthest_load(load, latency)
    assert knee.interval == (min(furthest, knee.load_gbps), max(furthest, knee.load_gbps))  # type: ignore[type-var]


def test_where_some_draws_do_not_saturate_the_memory_there_is_no_interval() -> None:
    # One sample of three under the highest load is not even twice the latency without load.
    steps = [
        RateSamples((0.0,) * 3, (100.0,) * 3), RateSamples((5.0,) * 3, (110.0,) * 3),
        RateSamples((10.0,) * 3, (150.0, 210.0, 220.0)),
    ]  # fmt: skip
    knee = knee_of([steps])
    assert knee.saturated and knee.interval is None and "interval" not in str(knee)
