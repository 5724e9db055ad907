"""Whether weights hold: their neighbours, what is measured, and what is said of it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmexp.errors import ParameterError
from hmexp.machine.weights.advice import advise
from hmexp.machine.weights.runs import MeasuredReaches, operation_of
from hmexp.machine.weights.source import choose_initiators, choose_nodes, nodes_of_profile, reaches_of_profile
from hmexp.machine.weights.speeds import Reach
from hmexp.machine.weights.verification import (
    Verification,
    WeightReading,
    neighbours,
    plan_verification,
)
from hmexp.memory.profile import Profile
from hmexp.system.cpus import allowed_cpus
from hmexp.system.limits import AllowedNodes, Limits
from hmexp.system.node import Node
from hmexp.system.settings import Machine
from hmexp.system.topology import NodeKind, Topology

GIB = 1 << 30


def node(number: int, kind: NodeKind, cpus: tuple[int, ...] = ()) -> Node:
    return Node(number, kind, cpus, 64 * GIB, 60 * GIB, {number: 10})


def machine_of(tmp_path: Path, **texts: str) -> Machine:
    machine = Machine(tmp_path / "sys", tmp_path / "proc", tmp_path / "run")
    machine.weights_directory.mkdir(parents=True)
    for name, text in texts.items():
        (machine.weights_directory / name).write_text(text)
    return machine


@given(st.dictionaries(st.integers(0, 9), st.integers(1, 255), min_size=2, max_size=4))
def test_neighbours_differ_by_one_in_one_node(weights: dict[int, int]) -> None:
    divisor = math.gcd(*weights.values())
    own = {n: weight // divisor for n, weight in weights.items()}
    found = neighbours(weights)
    assert own not in found
    assert len({tuple(sorted(each.items())) for each in found}) == len(found)
    for each in found:
        assert math.gcd(*each.values()) == 1 and min(each.values()) >= 1 and max(each.values()) <= 255
        # Some multiple of it is one step away.
        assert any(sum(abs(factor * each[n] - own[n]) for n in own) == 1 for factor in range(1, 256)), (
            own,
            each,
        )


def test_the_neighbours_of_three_to_one() -> None:
    assert neighbours({0: 6, 2: 2}) == ({0: 4, 2: 1}, {0: 2, 2: 1}, {0: 3, 2: 2})
    assert neighbours({0: 1, 2: 1}) == ({0: 2, 2: 1}, {0: 1, 2: 2})


@pytest.mark.parametrize(
    ("reads", "operation"),
    [(1.0, "read"), (0.0, "write"), (0.75, "mix_3_1"), (0.7, "mix_2_1"), (0.5, "mix_1_1")],
)
def test_the_operation_is_the_nearest_mix(reads: float, operation: str) -> None:
    assert operation_of(reads) == operation


def test_the_plan_measures_weights_and_neighbours_from_each_initiator() -> None:
    cpus = tuple(allowed_cpus())
    topology = Topology((node(0, NodeKind.DRAM, cpus), node(1, NodeKind.NVM)))
    plan = plan_verification({0: 3, 1: 1}, [0], 1.0, topology, {"size": "1MiB"}, [{0: 1, 1: 1}])
    asked = [point for point in plan.points if point.id not in plan.added]
    ratios = {tuple(point.parsed_pattern.ratio().items()) for point in asked}
    assert ratios == {
        ((0, 3), (1, 1)), ((0, 4), (1, 1)), ((0, 2), (1, 1)), ((0, 3), (1, 2)), ((0, 1), (1, 1)),
    }  # fmt: skip
    assert {point.placer for point in asked} == {"weighted"}
    assert {point.cpu_node for point in asked} == {"0"}


def reading(weights: dict[int, int], gbps: float, spread: float = 1.0, initiator: int = 0) -> WeightReading:
    return WeightReading(initiator, weights, gbps, gbps - spread, gbps + spread)


def test_a_neighbour_is_better_only_beyond_the_interval() -> None:
    chosen = {0: 3, 1: 1}
    near = Verification(chosen, (reading(chosen, 100), reading({0: 2, 1: 1}, 101.5)), Path("run"), "read")
    assert near.better == () and near.loss == pytest.approx(1.5 / 101.5)
    assert "No neighbour is better beyond the interval" in str(near)
    far = Verification(
        chosen,
        (reading(chosen, 100), reading({0: 2, 1: 1}, 104), reading({0: 4, 1: 1}, 90)),
        Path("run"),
        "read",
    )
    assert far.better == ({0: 2, 1: 1},)
    assert "node 0 = 2, node 1 = 1 is better than what is set, by 4.0%" in str(far)
    assert far.to_record()["better"] == [{0: 2, 1: 1}]
    assert "timings not valid" in str(
        Verification(chosen, (reading(chosen, 100),), Path("run"), "read", timing_valid=False)
    )


def test_of_several_initiators_the_worst_counts() -> None:
    chosen, other = {0: 1, 1: 1}, {0: 4, 1: 1}
    found = Verification(
        chosen,
        (
            reading(chosen, 60, initiator=0), reading(other, 100, initiator=0),
            reading(chosen, 60, initiator=1), reading(other, 30, initiator=1),
        ),
        Path("run"), "read",
    )  # fmt: skip
    assert found.better == ()
    assert found.standing(other)[0] == pytest.approx(0.5)
    assert found.loss == pytest.approx(0.4)


def test_advice_in_words_and_as_a_record(tmp_path: Path) -> None:
    machine = machine_of(tmp_path, node0="5\n", node2="1\n", node7="1\n", __auto_type="true\n")
    reaches = {0: {0: Reach(90, 30), 2: Reach(30, 15)}}
    advice = advise(MeasuredReaches("a test", reaches, {}), (0, 2), machine=machine)
    assert advice.weights == {0: 3, 2: 1}
    text, folder = str(advice), machine.weights_directory
    assert f"echo 3 > {folder}/node0\n" in text and f"echo 1 > {folder}/node2\n" in text
    assert f"echo true > {folder}/__auto_type" in text
    assert "numactl --weighted-interleave=0,2 --cpunodebind=0 PROGRAM" in text
    assert "what is set now, automatic: node 0 = 5, node 2 = 1" in text
    assert "+33% on node 0 alone" in text
    record = advice.to_record()
    assert record["weights"] == {0: 3, 2: 1} and record["worst_loss"] == 0
    assert next(each["name"] for each in record["rivals"]) == "plain interleave"
    assert advise(MeasuredReaches("a test", reaches, {}), (0, 2), 0.0, machine=machine).weights == {
        0: 2,
        2: 1,
    }


def test_interleaving_that_does_not_pay_is_said(tmp_path: Path) -> None:
    reaches = {0: {0: Reach(1000, 1000), 2: Reach(1, 1)}}
    advice = advise(MeasuredReaches("a test", reaches, {}), (0, 2), machine=machine_of(tmp_path))
    assert "do not interleave for these CPUs" in str(advice)


def test_which_nodes_and_whose_cpus() -> None:
    row = {0: Reach(9, 9), 1: Reach(3, 3), 2: Reach(5, 5), 3: Reach(1, 1)}
    reaches = {0: row, 1: row}
    allowed = AllowedNodes((0, 1, 2), Path("/proc/self/status"), "0-2")
    kinds = (NodeKind.DRAM, NodeKind.NVM, NodeKind.DRAM, NodeKind.CXL)
    topology = Topology(
        tuple(node(number, kind) for number, kind in enumerate(kinds)), limits=Limits(nodes=(allowed,))
    )
    assert choose_nodes(reaches, topology, None) == (0, 1, 2)
    assert choose_nodes(reaches, topology, (2, 0)) == (2, 0)
    with pytest.raises(ParameterError, match="node 3 may not be used"):
        choose_nodes(reaches, topology, (0, 3))
    with pytest.raises(ParameterError, match="nothing to interleave"):
        choose_nodes(reaches, topology, (1,))
    assert choose_initiators(reaches, None) == reaches
    assert choose_initiators(reaches, 1) == {1: row}
    with pytest.raises(ParameterError, match="initiator 7 was not measured"):
        choose_initiators(reaches, 7)


def test_a_profile_has_two_memories() -> None:
    profile = Profile.load("cxl-expander")
    assert reaches_of_profile(profile, (0, 2)) == {0: {0: Reach(208.5, 200.9), 2: Reach(24.5, 22.2)}}
    topology = Topology((node(0, NodeKind.DRAM, tuple(allowed_cpus())), node(4, NodeKind.CXL)))
    assert nodes_of_profile(topology) == (0, 4)
    assert nodes_of_profile(Topology(topology.nodes[:1])) == (0, 1)
