"""The points of a sweep over a program: what each way can do, and what all are compared with."""

from __future__ import annotations

from typing import Any

import pytest

from hmexp.errors import ParameterError
from hmexp.program.experiment import ProgramStudy, make_program_study
from hmexp.program.parameters import ProgramParameters
from hmexp.program.predict import PredictParameters, make_prediction
from hmexp.system.cpus import allowed_cpus
from hmexp.system.topology import Node, NodeKind, Topology

GIB = 1 << 30
DRAM = Node(0, NodeKind.DRAM, allowed_cpus(), 8 * GIB, 7 * GIB, {0: 10, 2: 21})
SLOW = Node(2, NodeKind.CXL, (), 8 * GIB, 8 * GIB, {0: 21, 2: 10})
TWO = Topology((DRAM, SLOW))
ONE = Topology((DRAM,))


def study(topology: Topology = TWO, **values: Any) -> ProgramStudy:
    return make_program_study(ProgramParameters.from_mapping(values), topology)


def points(made: ProgramStudy) -> list[tuple[str, str | None]]:
    return [(point.parameters.way, point.parameters.pattern) for point in made.points]  # type: ignore[union-attr]


def test_ratios_ways_and_the_point_that_all_are_compared_with() -> None:
    made = study(ways=["follow", "default"], patterns=["1:0", "1:2", "0:1"])
    assert points(made) == [
        ("follow", "0"), ("follow", "0,2,2"), ("follow", "2"), ("default", None), ("node", "0"),
    ]  # fmt: skip
    alone = made.points[-1]
    assert made.added == {alone.id}
    # DRAM alone in the same way, too: the difference is what the way costs.
    assert made.baselines == dict.fromkeys([point.id for point in made.points[:-1]], alone.id)
    assert (made.dram_nodes, made.slow_nodes) == ((0,), (2,))
    assert made.ranks(made.points)[alone.id] == 0
    assert {point.launches for point in made.points} == {3}
    # Whether it was asked for or added, it is the same point.
    asked = study(ways=["node"], patterns=["0"])
    assert asked.points[0].id == alone.id and not asked.added and not asked.baselines


def test_a_way_has_the_patterns_that_it_can_have() -> None:
    made = study(ways=["node", "numactl"], patterns=["0", "0,2", "0,2,2"])
    assert points(made) == [("node", "0"), ("numactl", "0,2")]
    assert any(
        "node has all pages on one node: it is not measured with 0,2, 0,2,2" in note for note in made.notes
    )
    with pytest.raises(ParameterError, match="no way can do any of these patterns"):
        study(ways=["node"], patterns=["0,2"])


def test_the_id_is_of_what_is_done() -> None:
    first = study(patterns=["0,2"], ways=["follow"]).points[0].id
    assert study(patterns=["0,2"], ways=["follow"], seed=3, budget="1h").points[0].id == first
    for other in ({"values": ["lines=5"]}, {"granule": "64KiB"}, {"workload": "numpy"}, {"ways": ["policy"]}):
        assert study(**{"patterns": ["0,2"], "ways": ["follow"], **other}).points[0].id != first


def test_without_slow_memory_there_is_one_pattern_and_a_note() -> None:
    made = study(ONE, ways=["follow"])
    assert points(made) == [("follow", "0"), ("node", "0")] and made.slow_nodes == ()
    assert any("is the only memory" in note for note in made.notes)


@pytest.mark.parametrize(
    ("topology", "values", "words"),
    [
        (ONE, {"patterns": ["0,2"]}, "node 2 does not exist: there is node 0"),
        (ONE, {"patterns": ["1:1"]}, "a ratio such as 1:1 needs two nodes, and there is node 0"),
        (TWO, {"ways": ["magic"]}, "way 'magic' is unknown"),
        (TWO, {"launches": 0}, "launches 0 is not a whole number from 1"),
        (TWO, {"budget": "soon"}, "budget 'soon' is not a time"),
        (TWO, {"values": ["lines"]}, "values 'lines' is not NAME=VALUE"),
        (TWO, {"values": ["line=4"]}, "did you mean lines"),
        (TWO, {"pattern": "0"}, "did you mean 'patterns'"),
        (TWO, {"granule": "5KiB"}, "5"),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_refused(topology: Topology, values: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError) as caught:
        study(topology, **values)
    assert words in str(caught.value)


def test_a_prediction_takes_a_run_without_slow_memory_three_with_and_one_to_check() -> None:
    made = make_prediction(PredictParameters(way="follow", launches=2), TWO, ["true"])
    assert points(made) == [("follow", pattern) for pattern in ("0", "0,0,2,0", "0,2", "2", "0,2,2")]
    assert made.name == "predict" and not made.added
    # Compared in the same way: only the ratio differs.
    assert set(made.baselines.values()) == {made.points[0].id} and len(made.baselines) == 4
    few = make_prediction(PredictParameters(patterns=("1:1", "0:1"), check="none"), TWO, ["true"])
    assert points(few)[0] == ("auto", "0") and any(
        "2 patterns with slow memory" in note for note in few.notes
    )
    for values, words in (
        ({"check": "1:1"}, "is one of the patterns that the prediction is made of"),
        ({"patterns": ("1:0",)}, "no pattern has slow memory"),
        ({"launches": 1}, "gives no interval"),
    ):
        with pytest.raises(ParameterError, match=words):
            make_prediction(PredictParameters(**values), TWO, ["true"])  # type: ignore[arg-type]
