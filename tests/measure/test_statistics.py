from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmexp.errors import MeasurementError
from hmexp.measure.statistics import summarise

values = st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=30)


@given(values)
def test_summary_is_ordered(samples: list[float]) -> None:
    s = summarise(samples)
    assert s.n == len(samples)
    assert s.minimum <= s.ci_low <= s.median <= s.ci_high <= s.maximum
    assert s.mad >= 0
    assert s == summarise(samples)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    generator = np.random.default_rng(5)
    covered = 0
    for _ in range(300):
        s = summarise(generator.normal(100, 5, size=20))
        covered += s.ci_low <= 100 <= s.ci_high
    assert covered > 0.88 * 300  # the percentile bootstrap is a little narrow for few samples


@pytest.mark.parametrize("samples", [[], [[1.0]], [1.0, float("nan")], [1.0, float("inf")], [0.0], [-1.0]])
def test_what_is_no_sample_is_refused(samples: list[float]) -> None:
    with pytest.raises(MeasurementError):
        summarise(samples)
