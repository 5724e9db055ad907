"""Shapes by name: where their places stand in a pattern, and that a measurement in one says so."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmexp import native
from hmexp.errors import ParameterError
from hmexp.measure.bandwidth import measure_bandwidth
from hmexp.measure.operation import find_operation
from hmexp.measure.sampling import Sampling
from hmexp.measure.shapes import find_way, ways_of
from hmexp.measure.threads import make_slices
from hmexp.measure.walk import Walk
from hmexp.memory.region import allocate
from hmexp.pattern import Pattern
from hmexp.store.details import BandwidthDetails

READ, COPY = find_operation("read"), find_operation("copy")
SHORT = Sampling(3, 0.001)
PATTERNS = st.builds(
    Pattern,
    st.lists(st.integers(0, 3), min_size=1, max_size=64).map(tuple),
    st.sampled_from([4096, 8192, 65536, 2 << 20]),
)


@given(
    pattern=PATTERNS,
    name=st.sampled_from(
        [f"{name}{near}" for name in ("places2", "places4", "places4x2", "places4x4") for near in ("", "n")]
    ),
)
def test_places_are_spread_over_the_pattern(pattern: Pattern, name: str) -> None:
    """Lines of two places never look alike to a CPU, and places rarely all stand on the same node."""
    way = find_way(name, READ)
    distance = way.distance_bytes(pattern)
    assert distance % way.shape.turn_bytes == 0 and 1 << 17 <= distance <= 5 << 20
    # No two places have lines whose last twelve bits are alike.
    for far in range(1, way.shape.places):
        assert 64 < far * distance % 4096 < 4096 - 64
    if pattern.period_bytes // way.shape.places > 4 << 20:
        return  # too long to be spread over: they stand where the pattern has them
    granule, nodes = pattern.granule_bytes, pattern.nodes
    together: Counter[bool] = Counter()
    for at in range(0, pattern.period_bytes, granule // 4):
        stand = {nodes[(at + place * distance) // granule % len(nodes)] for place in range(way.shape.places)}
        together[len(stand) == 1] += 1
    alike = max(Counter(nodes).values()) / len(nodes)
    if alike <= 0.5 and len(nodes) <= 2:
        assert together[True] < 0.25 * together[False]


def test_two_nodes_in_turn_are_met_at_the_same_time() -> None:
    """The pattern of which one place stands on one node at a time: two places stand on both."""
    pattern = Pattern((0, 2), 4096)
    distance = find_way("places2", READ).distance_bytes(pattern)
    apart = [(at // 4096 % 2) != ((at + distance) // 4096 % 2) for at in range(0, 8192, 64)]
    assert sum(apart) > 0.85 * len(apart)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("sing", "unknown"),
        ("places4-", "unknown"),
        ("places4-77", "unknown"),
        ("plain-x", "unknown"),
        ("auto", "chosen before"),
        ("places4-64-64", "unknown"),
    ],
)
def test_a_shape_that_there_is_not_is_refused(name: str, what: str) -> None:
    with pytest.raises(ParameterError, match=what):
        find_way(name, READ)


def test_an_operation_without_the_shape_walks_plainly() -> None:
    assert find_way("places4w", READ).shape.name == "plain"
    assert find_way("places4w", COPY).shape.name == "places4w"
    assert find_way("ahead-128", find_operation("write")).name == "plain-128"


def test_the_plain_loop_at_the_widest_vectors_is_the_first_candidate() -> None:
    for operation in native.OPERATIONS.values():
        if operation.nontemporal and native.vector_bits() == 64:
            continue
        ways = ways_of(operation)
        assert ways[0].shape.name == "plain" and ways[0].vector_bits == native.vector_bits()
        assert len({way.name for way in ways}) == len(ways) >= 5


@pytest.mark.parametrize("operation", ["read", "copy", "mix_2_1_nt"])
def test_a_measurement_says_its_shape(operation: str) -> None:
    with allocate("16MiB", "0") as region:

        def shape_of(walk: Walk) -> tuple[str, int | None]:
            details = measure_bandwidth(region, operation, walk=walk, sampling=SHORT).details
            assert isinstance(details, BandwidthDetails)
            return details.shape, details.distance_bytes

        assert shape_of(Walk()) == ("plain", None)
        assert shape_of(Walk(shape="single")) == ("single", None)
        assert shape_of(Walk(shape="places4")) == ("places4", (1 << 20) + 1152)
        assert shape_of(Walk(shape="places4n")) == ("places4n", (1 << 20) + 128)
        assert shape_of(Walk("random_line", shape="places4")) == ("plain", None)


@pytest.mark.parametrize("pattern", [Pattern((0,)), Pattern((0,) * 3, 65536)], ids=str)
def test_streams_are_apart_and_stay_in_their_slices(pattern: Pattern) -> None:
    """Slices with gaps neither overlap nor leave the region, and lose little of it."""
    with allocate("160MiB", pattern) as region:
        for name, threads in itertools.product(("single", "places4"), (1, 2)):
            parts = make_slices(region, range(threads), COPY, way=find_way(name, COPY))
            plain = make_slices(region, range(threads), COPY)
            end = 0
            for part, without in zip(parts, plain, strict=True):
                assert part.offset_bytes == without.offset_bytes >= end
                assert part.gap_bytes > 1 << 20 and without.gap_bytes == 0
                end = part.offset_bytes + 2 * part.part_bytes + part.gap_bytes
                assert end <= region.size_bytes
                assert part.part_bytes > 0.96 * without.part_bytes

                # From the start of one stream to that of the next: more than the plain loop's, not the same.
                beyond = part.part_bytes + part.gap_bytes - without.part_bytes
                assert part.gap_bytes // 2 - 3 * 65536 <= beyond <= part.gap_bytes // 2


def test_streams_do_not_stand_a_power_of_two_apart() -> None:
    """Of 512 MiB they would: with pages of 4 KiB that costs some CPUs half of a copy."""
    with allocate("64MiB", "0") as small, allocate("128MiB", "0") as region:
        for memory in (small, region):
            (part,) = make_slices(memory, (0,), COPY, way=find_way("single", COPY))
            apart_bytes = part.part_bytes + part.gap_bytes
            least_bit = apart_bytes & -apart_bytes
            assert (part.gap_bytes > 0) == (memory is region)
            assert (least_bit < 1 << 20) == (memory is region)


def test_short_streams_have_no_gap() -> None:
    with allocate("32MiB", "0") as region:
        assert make_slices(region, (0,), COPY, way=find_way("places4", COPY))[0].gap_bytes == 0
