"""Multiples of all DRAM, round by round."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from hmexp.measure.rounds import Made, interval_of_rounds, rounds_of
from hmexp.measure.statistics import summarise_launches


def launches(medians: Sequence[float], first: int = 0, step: int = 10, number: int = 0) -> list[Made]:
    """One launch each `step` seconds, from second `first`."""
    begun = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=first)
    return [
        Made(number + each, (begun + timedelta(seconds=step * each)).isoformat(), median)
        for each, median in enumerate(medians)
    ]


def test_launches_in_turns_are_compared_round_by_round() -> None:
    assert rounds_of(launches([2.0, 4.0]), launches([1.0, 8.0], 5)) == (2.0, 0.5)
    # The order within a round is free, and a round without one of the two is left out.
    mixed = [*launches([2.0], 5), *launches([4.0, 9.0], 10, number=1)]
    assert rounds_of(mixed, launches([1.0, 8.0], 0, 15)) == (2.0, 0.5)
    assert rounds_of(launches([2.0, 4.0], number=1), launches([1.0, 8.0, 2.0], 5, number=0)) == ()


@pytest.mark.parametrize(
    ("mine", "other"),
    [
        (launches([1.0, 1.0]), launches([1.0, 1.0], 30)),  # one after the other: no rounds
        (launches([1.0]), launches([1.0], 5)),
        ([], launches([1.0, 1.0])),
        ([Made(0, "", 1.0), Made(1, "", 1.0)], [Made(0, "", 1.0), Made(1, "", 1.0)]),  # an older record
        ([Made(0, "a", 0.0), Made(1, "b", 1.0)], [Made(0, "a", 1.0), Made(1, "b", 1.0)]),
    ],
)
def test_what_was_not_made_in_turns_has_no_rounds(mine: Sequence[Made], other: Sequence[Made]) -> None:
    assert rounds_of(mine, other) == ()


def test_the_interval_over_rounds_covers_what_it_says_whatever_disturbs_whole_rounds() -> None:
    """A machine drifts by a tenth; the multiple is 0.7, and each launch has a noise of 1 %."""
    generator = np.random.default_rng(5)
    covered, widths, apart = [], [], []
    for _ in range(2000):
        drift = 0.1 * np.cumsum(generator.normal(size=5))
        base = np.exp(drift + generator.normal(0, 0.01, 5))
        mine = 0.7 * np.exp(drift + generator.normal(0, 0.01, 5))
        quotients = rounds_of(launches(mine.tolist()), launches(base.tolist(), 5))
        low, high = interval_of_rounds(quotients, float(np.median(mine) / np.median(base)))
        covered.append(low <= 0.7 <= high)
        widths.append(high / low)
        top, bottom = (summarise_launches([[value] for value in row]) for row in (mine, base))
        assert top.interval is not None
        assert bottom.interval is not None
        apart.append(top.interval[1] / bottom.interval[0] / (top.interval[0] / bottom.interval[1]))
    assert 0.94 <= np.mean(covered) <= 0.99  # the median of the two is held in any case
    assert np.median(widths) < 1.1 < np.median(apart)
