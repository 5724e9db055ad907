from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmexp.errors import MeasurementError
from hmexp.measure.statistics import Summary, say_interval, summarise, summarise_launches


def _covers(summary: Summary, truth: float) -> bool:
    assert summary.interval is not None
    return summary.interval[0] <= truth <= summary.interval[1]


values = st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=30)


@given(values)
def test_summary_is_ordered(samples: list[float]) -> None:
    s = summarise(samples)
    assert s.n == len(samples)
    assert (s.interval is None) == (len(samples) == 1)
    low, high = s.interval or (s.median, s.median)
    assert s.minimum <= low <= s.median <= high <= s.maximum
    assert s.mad >= 0
    assert s == summarise(samples)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    generator = np.random.default_rng(5)
    covered = 0
    for _ in range(300):
        s = summarise(generator.normal(100, 5, size=20))
        covered += _covers(s, 100)
    assert covered > 0.88 * 300  # the percentile bootstrap is a little narrow for few samples


@pytest.mark.parametrize("samples", [[], [[1.0]], [1.0, float("nan")], [1.0, float("inf")], [0.0], [-1.0]])
def test_what_is_no_sample_is_refused(samples: list[float]) -> None:
    with pytest.raises(MeasurementError):
        summarise(samples)


@pytest.mark.parametrize(
    ("launches", "said"),
    [
        ([[1966.0]], "too few samples to say"),
        ([[1966.0], [3.4e9]], "too few launches to say"),
        ([[100.0], [101.0], [100.5]], "99 to 102"),
    ],
)
def test_an_interval_that_says_nothing_is_not_said(launches: list[list[float]], said: str) -> None:
    assert say_interval(summarise_launches(launches), lambda value: f"{value:.0f}") == said


@given(st.lists(values, min_size=2, max_size=8))
def test_the_summary_of_launches_is_ordered_and_says_what_it_is_over(launches: list[list[float]]) -> None:
    s = summarise_launches(launches)
    assert s.interval_over == "launches"
    assert s.n == sum(map(len, launches))
    assert s.interval is not None
    assert 0 < s.interval[0] <= s.median <= s.interval[1]
    assert s.minimum <= s.median <= s.maximum
    assert s == summarise_launches(launches)


def test_one_launch_has_the_interval_of_its_samples() -> None:
    samples = [1.0, 1.1, 1.2, 1.05]
    assert summarise_launches([samples]) == summarise(samples)
    assert summarise(samples).interval_over == "samples"


@pytest.mark.parametrize("count", [3, 5, 8])
def test_the_interval_over_launches_covers_drift_that_the_one_over_samples_misses(count: int) -> None:
    """Launches differ by ten times what samples within them do."""
    generator = np.random.default_rng(count)
    over_launches = over_samples = 0
    for _ in range(200):
        launches = [generator.normal(100 * np.exp(d), 0.1, 5) for d in generator.normal(0, 0.01, count)]
        s = summarise_launches(launches)
        over_launches += _covers(s, 100)
        one = summarise(launches[0])
        over_samples += _covers(one, 100)
    assert over_launches >= 0.93 * 200
    assert over_samples < 0.5 * 200
