"""Each access of a chase is timed by itself, and counted for the node of its line."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pytest

from hmexp import native
from hmexp.errors import NativeError
from hmexp.native import NodeModel, PageMapping
from hmexp.native.emulation import NodeRates
from hmexp.pattern import Pattern

SIZE = 4 << 20


@pytest.fixture
def mapping() -> Iterator[PageMapping]:
    region = PageMapping(SIZE)
    yield region
    region.close()


@pytest.fixture
def cpu() -> int:
    return min(os.sched_getaffinity(0))


def test_every_access_is_counted_once_for_its_node(mapping: PageMapping, cpu: int) -> None:
    pattern = Pattern((0, 2, 2))
    ring = native.build_ring(mapping, 5, pattern=pattern)
    found = native.chase_tail(mapping, cpu, ring.lines, 2, pattern.distinct_nodes, start=ring.marks[0])
    assert found.counts.shape == (2, 2, native.TAIL_BUCKETS)
    pages = pattern.pages_per_node(SIZE // native.PAGE_BYTES, native.PAGE_BYTES)
    lines = [pages[node] * native.PAGE_BYTES // native.LINE_BYTES for node in pattern.distinct_nodes]
    # Once around the ring: each line once, in each sample.
    assert found.counts.sum(axis=2).tolist() == [lines, lines]
    assert found.offset == ring.marks[0]
    assert found.cost_ns >= 0
    spans = found.samples["end_ns"] - found.samples["start_ns"]
    # What single accesses took is part of what all of them took.
    least = (found.counts.sum(axis=1) * found.edges_ns[:-1]).sum(axis=1)
    assert (least <= spans * 1.01).all()


def test_accesses_of_a_slow_emulated_node_take_its_latency(mapping: PageMapping, cpu: int) -> None:
    slow, fast = NodeRates(0, 0, 5000.0), NodeRates(0, 0, 1.0)
    model = NodeModel(Pattern((0, 2)), {0: fast, 2: slow}, 65536)
    ring = native.build_ring(mapping, 5, model)
    found = native.chase_tail(mapping, cpu, 4000, 1, tuple(model.rates), model, ring.marks[0])
    counts = found.counts[0]
    assert counts.sum() == 4000
    assert (found.edges_ns[np.flatnonzero(counts[1])] >= 5000 * 0.96).all()
    assert np.median(np.repeat(found.edges_ns[:-1], counts[0].astype(int))) < 5000


def test_buckets_are_three_percent_wide_and_leave_no_gap(mapping: PageMapping, cpu: int) -> None:
    native.build_ring(mapping, 5, pattern=Pattern((0,)))
    edges = native.chase_tail(mapping, cpu, 10, 1, (0,)).edges_ns
    assert edges[0] == 0
    assert (np.diff(edges) > 0).all()
    assert (np.diff(edges[64:]) / edges[64:-1] <= 1 / 32 + 1e-9).all()


@pytest.mark.parametrize(("turns", "samples", "nodes"), [(0, 1, (0,)), (1, 0, (0,)), (1, 1, ())])
def test_nothing_to_time_is_refused(
    mapping: PageMapping, cpu: int, turns: int, samples: int, nodes: tuple[int, ...]
) -> None:
    native.build_ring(mapping, 5, pattern=Pattern((0,)))
    with pytest.raises((NativeError, ValueError)):
        native.chase_tail(mapping, cpu, turns, samples, nodes)
