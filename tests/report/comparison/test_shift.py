"""Changes of level: found where there are some, and rarely where there are none."""

from __future__ import annotations

import numpy as np
import pytest

from hmexp.report.comparison.shift import LEAST_VALUES, find_shifts, strongest_shift


def test_a_new_level_is_found_where_it_begins() -> None:
    noise = np.random.default_rng(3).normal(0, 0.01, 14)
    for levels in ([0.0, -0.08, 0.03], [0.0, -0.08, -0.2], [0.0, -0.1, 0.0]):
        assert find_shifts(list(np.repeat(levels, [5, 5, 4]) + noise)) == [5, 10]
    assert find_shifts(list(np.repeat([0.0, -0.08], [5, 9]) + noise)) == [5]


def test_the_newest_run_alone_may_differ() -> None:
    quiet = list(np.random.default_rng(4).normal(0, 0.01, 9))
    assert find_shifts(quiet) == []
    assert find_shifts([*quiet, -0.2]) == [9]


def test_rows_without_a_change_are_rarely_said_to_have_one() -> None:
    generator = np.random.default_rng(5)
    for n in (LEAST_VALUES, 9, 20):
        false = sum(strongest_shift(generator.normal(0, 1, n))[1] <= 0.05 for _ in range(400))
        assert false <= 36, f"{false} of 400 rows of {n}"  # 20 are expected, of a standard deviation of 4.4


@pytest.mark.parametrize("values", [[], [1.0], [0.0, 0.0, 5.0, 5.0], [2.0] * 9])
def test_too_few_values_or_equal_ones_have_no_change(values: list[float]) -> None:
    assert find_shifts(values) == [] and strongest_shift(values) == ((), 1.0)
