"""Small integers: never worse than what the kernel does, as small as they can be, the same in any unit."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hmexp.errors import ParameterError
from hmexp.machine.weights.automatic import automatic_weights, reduce_as_kernel
from hmexp.machine.weights.choice import Demand, choose_weights, plain_weights
from hmexp.machine.weights.speeds import Reach, bandwidths

GBPS = st.floats(0.1, 2000, allow_nan=False)


@st.composite
def demands(draw: st.DrawFn) -> Demand:
    """Bandwidths of up to four nodes for up to four initiators, some with a limit."""
    nodes = draw(st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True))
    initiators = draw(st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True))
    gbps = {each: {node: draw(GBPS) for node in nodes} for each in initiators}
    return Demand(gbps, {each: draw(GBPS) for each in initiators if draw(st.booleans())})


def kernel_weights(demand: Demand) -> dict[int, int]:
    reaches = {each: {node: Reach(b, b) for node, b in row.items()} for each, row in demand.gbps.items()}
    return automatic_weights(reaches)


@given(demands(), st.sampled_from([0.0, 0.01, 0.1]))
def test_in_range_without_divisor_and_never_worse_than_the_kernels(demand: Demand, tolerance: float) -> None:
    rival = kernel_weights(demand)
    weights = choose_weights(demand, tolerance, (rival,))
    assert math.gcd(*weights.values()) == 1
    assert all(1 <= weight <= 255 for weight in weights.values())
    assert set(weights) == set(demand.nodes)
    assert demand.standing(weights) >= demand.standing(rival)
    assert demand.standing(weights) >= demand.standing(plain_weights(demand))


@given(demands(), st.integers(-20, 20))
def test_the_unit_does_not_matter(demand: Demand, power: int) -> None:
    scale = 2.0**power  # exact in floating point
    other = Demand(
        {each: {node: b * scale for node, b in row.items()} for each, row in demand.gbps.items()},
        {each: b * scale for each, b in demand.draw_gbps.items()},
    )
    assert choose_weights(other) == choose_weights(demand)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=4), st.floats(0.5, 30))
def test_exact_for_whole_ratios(parts: list[int], scale: float) -> None:
    ratio = {node: part // math.gcd(*parts) for node, part in enumerate(parts)}
    demand = Demand({0: {node: float(2 * part) for node, part in ratio.items()}})
    assert choose_weights(demand, 0) == ratio
    assert demand.worst_loss(ratio) == 0
    # A bandwidth in floating point is off by a rounding error, which is far below any tolerance.
    rounded = Demand({0: {node: scale * part for node, part in ratio.items()}})
    assert choose_weights(rounded, 1e-9) == ratio


@given(st.integers(1, 5), st.integers(1, 5))
def test_small_ratios_are_exact_within_the_usual_tolerance(first: int, second: int) -> None:
    divisor = math.gcd(first, second)
    demand = Demand({0: {0: 10.0 * first, 1: 10.0 * second}})
    assert choose_weights(demand) == {0: first // divisor, 1: second // divisor}


@given(demands())
@example(Demand({0: {0: 1.1, 1: 1.9}}))
def test_nothing_smaller_is_within_the_tolerance(demand: Demand) -> None:
    """Against every weighting of a smaller sum, one by one."""
    weights = choose_weights(demand, 0.05)
    found = sum(weights.values())
    if found > 14:
        return
    # Exact: in floating point a weighting just below the tolerance would count as within it.
    most = min(sum(demand.joint().values()), Fraction(1))
    target = min(demand.standing(weights), (1 - Fraction(0.05)) * most)
    for others in itertools.product(range(1, found), repeat=len(demand.nodes)):
        if sum(others) < found:
            assert demand.standing(dict(zip(demand.nodes, others, strict=True))) < target


@given(demands())
def test_no_weights_of_the_same_sum_lose_less(demand: Demand) -> None:
    weights = choose_weights(demand, 0.0)
    if sum(weights.values()) > 14:
        weights = choose_weights(demand, 0.2)
    total = sum(weights.values())
    if total > 14:
        return
    for others in itertools.product(range(1, total + 1), repeat=len(demand.nodes)):
        if sum(others) == total:
            assert demand.standing(dict(zip(demand.nodes, others, strict=True))) <= demand.standing(weights)


def test_a_compromise_is_between_its_initiators() -> None:
    near = {0: {0: 100.0, 1: 25.0}}
    far = {1: {0: 25.0, 1: 100.0}}
    assert choose_weights(Demand(near)) == {0: 4, 1: 1}
    assert choose_weights(Demand(near | far)) == {0: 1, 1: 1}
    both = Demand(near | far)
    assert both.worst_loss({0: 1, 1: 1}) == pytest.approx(0.6)
    assert both.worst_loss({0: 4, 1: 1}) > 0.7


def test_what_the_cpus_cannot_draw_needs_no_weights() -> None:
    """Three times 10 GB/s of slow memory is enough for a CPU that draws 20."""
    free = {0: {0: 30.0, 1: 10.0}}
    assert choose_weights(Demand(free)) == {0: 3, 1: 1}
    assert choose_weights(Demand(free, {0: 20.0})) == {0: 1, 1: 1}
    assert Demand(free, {0: 20.0}).loss({0: 1, 1: 1}, 0) == 0


def test_a_ratio_beyond_the_largest_weight_is_as_good_as_can_be() -> None:
    demand = Demand({0: {0: 1000.0, 1: 1.0}})
    assert choose_weights(demand, 0.0) == {0: 255, 1: 1}
    assert demand.predict_gbps({0: 255, 1: 1}, 0) == 256


@pytest.mark.parametrize(
    ("mbps", "weights"),
    [
        # The lab's topology `hmat`, whose weights on Linux 7.3 a test of the lab reads.
        ({0: 81920, 1: 10240}, {0: 28, 1: 3}),
        ({0: 20480, 1: 6144}, {0: 24, 1: 7}),
        ({0: 1, 1: 1, 2: 1}, {0: 1, 1: 1, 2: 1}),
        ({0: 300, 1: 100}, {0: 3, 1: 1}),
        # Not known, and less than a part in 32: both 1.
        ({0: 5000, 1: 0}, {0: 32, 1: 1}),
        ({0: 5000, 1: 1}, {0: 31, 1: 1}),
        ({0: 0}, {0: 1}),
    ],
)
def test_the_kernels_arithmetic(mbps: dict[int, int], weights: dict[int, int]) -> None:
    assert reduce_as_kernel(mbps) == weights


def test_the_kernel_takes_the_slower_direction_of_the_best_initiator() -> None:
    reaches = {0: {0: Reach(90, 30), 1: Reach(10, 10)}, 1: {0: Reach(20, 20), 1: Reach(15, 30)}}
    # 30 to 15, of which rounding down to parts of 32 makes more than 2:1.
    assert automatic_weights(reaches) == {0: 21, 1: 10}


def test_mixes_of_reads_and_writes() -> None:
    reach = Reach(30, 10)
    assert reach.at(1) == 30 and reach.at(0) == 10
    assert reach.at(0.5) == pytest.approx(15)
    # A link with two directions, measured at 2:1.
    duplex = Reach(30, 30, ((2 / 3, 45.0),))
    assert duplex.at(2 / 3) == 45
    assert duplex.at(1 / 3) == pytest.approx(36)
    found = bandwidths({0: {0: reach, 2: duplex}}, 0.0, (0, 2))
    assert found == {0: {0: 10, 2: 30}}
    assert choose_weights(Demand(found)) == {0: 1, 2: 3}


def test_a_direction_that_was_not_measured_is_asked_for() -> None:
    assert Reach(30, None).at(1) == 30
    with pytest.raises(ParameterError, match="need the write bandwidth"):
        Reach(30, None, ((0.75, 20),)).at(0.5)
    with pytest.raises(ParameterError, match="need the read bandwidth"):
        Reach(None, 10).at(1)
    assert Reach(None, 10, ((0.75, 20),)).at(0.75) == 20
    assert Reach(30, None).slower_gbps == 30 and Reach(None, None).slower_gbps == 0


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_is_a_share(share: float) -> None:
    with pytest.raises(ParameterError, match="not between 0 and 1"):
        Reach(1, 1).at(share)
    with pytest.raises(ParameterError, match="not between 0 and 1"):
        Reach(1, 1, ((share, 1),))


@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan")])
def test_a_bandwidth_is_a_positive_number(value: float) -> None:
    with pytest.raises(ParameterError, match="not a finite number"):
        Reach(value, 1)
    with pytest.raises(ParameterError, match="not a finite number"):
        Demand({0: {0: value}})
    with pytest.raises(ParameterError, match="not a finite number"):
        Demand({0: {0: 1}}, {0: value})


def test_what_was_not_measured_is_said() -> None:
    with pytest.raises(ParameterError, match="node 3 was not measured from the CPUs of node 1"):
        bandwidths({0: {3: Reach(1, 1)}, 1: {2: Reach(1, 1)}}, 1, (3,))
    for empty in ({}, {0: {}}):
        with pytest.raises(ParameterError, match="no bandwidth"):
            Demand(empty)
    with pytest.raises(ParameterError, match="not measured against the same"):
        Demand({0: {0: 1}, 1: {1: 1}})
    with pytest.raises(ParameterError, match="tolerance"):
        choose_weights(Demand({0: {0: 1}}), 1.0)
