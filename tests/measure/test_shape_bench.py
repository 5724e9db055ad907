"""Pieces of a region that shapes are compared on: where they are, and that none is in a cache already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import pytest

from hmexp import native
from hmexp.measure import shape_bench
from hmexp.measure.operation import find_operation
from hmexp.measure.shape_bench import Bench
from hmexp.measure.shapes import ways_of
from hmexp.memory.region import Region, allocate
from hmexp.native import Job, Slice
from hmexp.pattern import Pattern
from hmexp.system.cpus import allowed_cpus
from hmexp.system.near import near_dram
from hmexp.system.topology import read_topology

SIZE = 128 << 20
CPUS = allowed_cpus()[:2]
PATTERN = Pattern((near_dram(read_topology()),))


@pytest.fixture(scope="module")
def region() -> Iterator[Region]:
    with allocate(SIZE, PATTERN) as found:
        yield found


@pytest.fixture
def walked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Sequence[Slice], Job]]:
    """What the core was asked to go over."""
    found: list[tuple[Sequence[Slice], Job]] = []
    real = native.bandwidth

    def bandwidth(mapping: native.PageMapping, slices: Sequence[Slice], job: Job) -> Any:
        found.append((slices, job))
        return real(mapping, slices, job)

    monkeypatch.setattr(shape_bench.native, "bandwidth", bandwidth)
    return found


def stretches(slices: Sequence[Slice], streams: int) -> list[tuple[int, int]]:
    """Where a job's streams are, from the first byte to behind the last [bytes]."""
    starts = [
        one.offset_bytes + stream * (one.part_bytes + one.gap_bytes)
        for one in slices
        for stream in range(streams)
    ]
    length = slices[0].part_bytes
    return sorted((start, start + length) for start in starts)


@pytest.mark.parametrize("threads", range(1, len(CPUS) + 1))
@pytest.mark.parametrize("name", ["read", "copy", "triad", "mix_3_1"])
def test_a_piece_is_apart_from_the_one_before(
    region: Region, walked: list[tuple[Sequence[Slice], Job]], name: str, threads: int
) -> None:
    operation = find_operation(name)
    bench, ways = Bench(region, operation, CPUS[:threads]), ways_of(operation)
    for turn in range(4):
        for way in (*ways[turn:], *ways[:turn]):
            assert bench.gbps(way) > 0
    before: list[tuple[int, int]] = []
    for slices, job in walked:
        assert job.passes == job.samples == 1 and len(slices) == threads
        found = stretches(slices, operation.streams)
        assert found[0][0] >= 0 and found[-1][1] <= SIZE
        assert all(end <= start for (_, end), (start, _) in pairwise(found))
        # Nothing that the last shape has just left in a cache.
        assert all(end <= low or start >= high for start, end in found for low, high in before)
        before = found


@pytest.mark.parametrize("name", ["read", "triad"])
def test_a_shape_walks_its_pieces_in_its_own_way(
    region: Region, walked: list[tuple[Sequence[Slice], Job]], name: str
) -> None:
    """What is left over of whole blocks is walked plainly: it is less than a page."""
    operation = find_operation(name)
    bench = Bench(region, operation, CPUS[:1])
    for way in ways_of(operation):
        bench.gbps(way)
        (slices, job) = walked[-1]
        assert (job.shape, job.bits) == (way.shape.name, way.vector_bits)
        block = max(way.shape.places * job.distance_bytes, native.PAGE_BYTES)
        assert slices[0].part_bytes >= block
        assert slices[0].part_bytes % block < native.PAGE_BYTES


def test_in_time_all_of_the_region_is_walked(
    region: Region, walked: list[tuple[Sequence[Slice], Job]]
) -> None:
    bench, plain = Bench(region, find_operation("read"), CPUS[:1]), ways_of(find_operation("read"))[0]
    for _ in range(SIZE // slices_bytes(bench, walked, plain)):
        bench.gbps(plain)
    pages = {
        page
        for slices, _ in walked
        for start, end in stretches(slices, 1)
        for page in range(start // native.PAGE_BYTES, end // native.PAGE_BYTES)
    }
    assert len(pages) == SIZE // native.PAGE_BYTES


def slices_bytes(bench: Bench, walked: list[tuple[Sequence[Slice], Job]], way: Any) -> int:
    """How long a piece is [bytes]."""
    bench.gbps(way)
    return walked[-1][0][0].part_bytes


def test_every_round_has_a_ratio_to_the_plain_loop(region: Region) -> None:
    operation = find_operation("copy")
    ways = ways_of(operation)[:6]
    found = Bench(region, operation, CPUS[:1]).rounds(ways, 3)
    assert list(found) == [way.name for way in ways]
    assert all(len(rounds) == 3 and all(gbps > 0 for gbps, _ in rounds) for rounds in found.values())
    assert {ratio for _, ratio in found[ways[0].name]} == {1.0}
