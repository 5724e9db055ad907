"""The stop rule, on samples whose spread is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from hmexp.errors import ParameterError
from hmexp.measure import stopping
from hmexp.measure.stopping import StopRule

Take = Callable[[int], npt.NDArray[np.void]]
KIND = np.dtype([("value", np.float64)])


def source(spread: float) -> tuple[Take, list[int]]:
    """Samples of a median of 100, and how many were asked for each time."""
    generator, asked = np.random.default_rng(3), list[int]()

    def take(count: int) -> npt.NDArray[np.void]:
        asked.append(count)
        found = np.zeros(count, dtype=KIND)
        found["value"] = generator.normal(100, spread, count)
        return found

    return take, asked


def value(found: npt.NDArray[np.void]) -> npt.NDArray[np.float64]:
    return np.asarray(found["value"])


def test_quiet_samples_stop_at_the_least_number() -> None:
    take, asked = source(0.1)
    found, stopped = StopRule.of(5, 0.01).take(take, value)
    assert (len(found), stopped, asked) == (5, "precision", [5])


def test_noisy_samples_double_until_the_cap() -> None:
    take, asked = source(30)
    found, stopped = StopRule.of(5, 0.001, 34).take(take, value)
    assert (len(found), stopped, asked) == (34, "cap", [5, 5, 10, 14])


def test_a_middling_spread_stops_once_the_interval_is_narrow() -> None:
    take, asked = source(3)
    found, stopped = StopRule.of(4, 0.01, 10_000).take(take, value)
    assert stopped == "precision" and 4 < len(found) < 10_000
    assert asked == [4, *(4 * 2**n for n in range(len(asked) - 1))]


def test_without_precision_the_number_is_exact() -> None:
    take, asked = source(30)
    found, stopped = StopRule.of(7).take(take, value)
    assert (len(found), stopped, asked) == (7, "fixed", [7])


@pytest.mark.parametrize(
    ("seconds", "most", "number", "why"),
    [
        (0.004, 10, 5, "time"),  # five took 25 times as long as ten should have
        (0.4, 10, 10, "cap"),  # as long as was asked for
        (0.04, 41, 16, "time"),  # 5, 5 more, and six of the next ten
    ],
)
def test_long_samples_are_fewer(
    seconds: float, most: int, number: int, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock of the test's own: each sample takes 0.1 s."""
    take, asked = source(30)
    monkeypatch.setattr(stopping.time, "perf_counter", lambda: 0.1 * sum(asked))
    rule = replace(StopRule.of(5, 0.001, most), sample_seconds=seconds)
    found, stopped = rule.take(take, value)
    assert (len(found), stopped) == (number, why)
    assert rule.to_record(stopped).stopped == why


def test_one_sample_is_never_precise() -> None:
    take, _ = source(0.0)
    found, _ = StopRule.of(1, 0.5, 4).take(take, value)
    assert len(found) == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((0,), "samples 0"),
        ((True,), "samples True"),
        ((5, -0.1), "precision -0.1"),
        ((5, 1e-7), "precision 1e-07"),
        ((5, float("nan")), "precision nan"),
        ((5, "x"), "precision 'x'"),
        ((5, 0.01, 4), "most_samples 4"),
    ],
)
def test_what_is_no_rule_is_refused(arguments: tuple[int, float, int], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        StopRule.of(*arguments)
