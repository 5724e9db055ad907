"""Disturbed samples are kept and marked."""

from __future__ import annotations

import numpy as np

from hmexp import native
from hmexp.measure.noise import Noise


def samples(**changes: list[list[int]]) -> np.ndarray:
    taken = np.zeros((3, 2), dtype=native.SAMPLE)
    taken["end_ns"] = 10_000_000
    for name, values in changes.items():
        taken[name] = values
    return taken


def test_quiet_samples_have_no_mark() -> None:
    noise = Noise.of(samples())
    assert noise.flags == ((), (), ()) and noise.disturbed == 0 and noise.warnings == ()


def test_each_disturbance_has_its_mark() -> None:
    noise = Noise.of(
        samples(
            preempted=[[0, 2], [0, 0], [0, 0]],
            migrated=[[0, 0], [1, 0], [0, 0]],
            off_cpu_ns=[[0, 60_000], [0, 0], [0, 0]],
            stolen_ns=[[0, 0], [0, 0], [200_000, 0]],
        )
    )
    assert noise.flags == (("preempted",), ("migrated",), ("steal",))
    assert noise.disturbed == 3
    assert "3 of 3 samples were disturbed" in noise.warnings[0] and "all are kept" in noise.warnings[0]


def test_a_switch_that_cost_no_time_is_counted_and_marks_nothing() -> None:
    noise = Noise.of(
        samples(preempted=[[1, 1], [3, 0], [0, 0]], off_cpu_ns=[[40_000, 40_000], [60_000, 0], [0, 60_000]])
    )
    assert noise.preempted == (2, 3, 0)
    assert noise.flags == ((), ("preempted",), ("foreign",))


def test_a_short_sample_is_marked() -> None:
    noise = Noise.of(samples(end_ns=[[10_000_000] * 2, [900_000] * 2, [10_000_000] * 2]))
    assert noise.flags == ((), ("short",), ())


def test_a_model_that_nobody_waited_for_did_not_set_the_speed() -> None:
    waited = [[5_000_000, 5_000_000]] * 3
    assert Noise.of(samples(waited_ns=waited), modelled=True).warnings == ()
    assert "speed of the host" in Noise.of(samples(), modelled=True).warnings[0]
    assert Noise.of(samples()).waited is None
    assert Noise.of(samples(), modelled=True).host_bound
    assert not Noise.of(samples(waited_ns=waited), modelled=True).host_bound
    assert not Noise.of(samples()).host_bound, "real nodes are nobody's model"
