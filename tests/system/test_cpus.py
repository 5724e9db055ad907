"""Which CPUs threads get."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmexp.errors import ParameterError
from hmexp.system.cpus import allowed_cpus, choose_cpus

Capture = Callable[[Any], tuple[Path, Path]]


def test_allowed_cpus_are_the_affinity() -> None:
    assert set(allowed_cpus()) == os.sched_getaffinity(0)
    assert list(allowed_cpus()) == sorted(allowed_cpus())


def test_one_thread_per_core_first(capture: Capture) -> None:
    sys_root, _ = capture("two-sockets")  # CPUs 0-7 are cores, 8-15 their second threads
    assert choose_cpus(4, allowed=range(16), sys_root=sys_root) == (0, 1, 2, 3)
    assert choose_cpus(10, allowed=range(16), sys_root=sys_root) == (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)


def test_cpus_of_the_node_first(capture: Capture) -> None:
    sys_root, _ = capture("two-sockets")
    node1 = (4, 5, 6, 7, 12, 13, 14, 15)
    assert choose_cpus(4, node1, range(16), sys_root) == (4, 5, 6, 7)
    assert choose_cpus(8, node1, range(16), sys_root) == node1
    assert choose_cpus(10, node1, range(16), sys_root) == (*node1, 0, 1)


def test_only_allowed_cpus(capture: Capture) -> None:
    sys_root, _ = capture("two-sockets")
    # The first thread of core 0 is not ours: its second one counts as its first.
    assert choose_cpus(3, (4, 5), (1, 5, 8, 9), sys_root) == (5, 1, 8)


def test_machine_that_does_not_tell_its_cores(tmp_path: Path) -> None:
    assert choose_cpus(2, allowed=(3, 1, 2), sys_root=tmp_path) == (1, 2)


def test_threads_beyond_the_cpus() -> None:
    message = r"threads 5 is beyond the CPUs: .* may use 3 \(0,2-3\)"
    with pytest.raises(ParameterError, match=message) as caught:
        choose_cpus(5, allowed=(0, 2, 3))
    assert "at most 3" in str(caught.value)
    there = len(allowed_cpus())
    with pytest.raises(ParameterError, match=f"may use {there} "):
        choose_cpus(there + 1)


@pytest.mark.parametrize("threads", [0, -1, True, 1.0, "2", None])
def test_what_is_no_number_of_threads(threads: Any) -> None:
    with pytest.raises(ParameterError, match="not a positive whole number"):
        choose_cpus(threads)


@given(st.data())
def test_every_choice_is_distinct_and_a_beginning_of_the_next(data: st.DataObject) -> None:
    allowed = data.draw(st.sets(st.integers(0, 63), min_size=1))
    preferred = data.draw(st.sets(st.integers(0, 63)))
    everything = choose_cpus(len(allowed), preferred, allowed)
    assert set(everything) == allowed
    assert set(everything[: len(allowed & preferred)]) == allowed & preferred
    for threads in range(1, len(allowed)):
        assert choose_cpus(threads, preferred, allowed) == everything[:threads]
