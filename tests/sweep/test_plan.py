from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from hmexp.errors import CapacityError, EmulationError, HmexpError, ParameterError, PatternError
from hmexp.memory.emulation import EmulationRequest
from hmexp.sweep.parameters import SweepParameters
from hmexp.sweep.plan import SweepPlan, make_plan
from hmexp.system.cpus import allowed_cpus
from hmexp.system.topology import Node, NodeKind, Topology

GIB = 1 << 30
CPUS = allowed_cpus()
ONE = Topology((Node(0, NodeKind.DRAM, CPUS, 8 * GIB, 7 * GIB, {0: 10}),))
OPTANE = Topology(
    (
        Node(0, NodeKind.DRAM, CPUS, 8 * GIB, 7 * GIB, {0: 10, 3: 17}),
        Node(3, NodeKind.NVM, (), 64 * GIB, 64 * GIB, {0: 17, 3: 10}),
    )
)
SOCKETS = Topology(
    (
        Node(0, NodeKind.DRAM, CPUS, 8 * GIB, 7 * GIB, {0: 10, 1: 21}),
        Node(1, NodeKind.DRAM, (10_000,), 8 * GIB, 8 * GIB, {0: 21, 1: 10}),
    )
)


def plan(topology: Topology, **values: Any) -> SweepPlan:
    return make_plan(SweepParameters.from_mapping(values), topology)


def test_the_default_sweep_of_a_machine_with_one_node_is_emulated() -> None:
    made = plan(ONE)
    assert str(made.emulate) == "2=optane-dcpmm"
    assert made.headline.startswith("EMULATED")
    assert {p.pattern for p in made.points} == {"0", "0,0,2,0", "0,2", "0,2,2", "2"}
    assert {p.operation for p in made.points} == {"read", "write", "latency"}
    assert len(made.points) == len({p.id for p in made.points}) == 15
    assert (made.dram_nodes, made.slow_nodes, made.backing_node) == ((0,), (2,), 0)


def test_the_default_sweep_of_a_machine_with_optane_is_not() -> None:
    made = plan(OPTANE)
    assert made.emulate is None
    assert "Nothing is emulated" in made.headline
    assert {p.pattern for p in made.points} == {"0", "0,0,3,0", "0,3", "0,3,3", "3"}
    assert (made.dram_nodes, made.slow_nodes) == ((0,), (3,))


def test_the_far_socket_may_stand_for_slow_memory_and_is_said_to() -> None:
    made = plan(SOCKETS, patterns=["0", "0,1", "1"], emulate="none")
    assert (made.dram_nodes, made.slow_nodes) == ((0,), (1,))
    assert any("taken for it" in note for note in made.notes)


FOUR = Topology(
    (
        Node(0, NodeKind.DRAM, CPUS, 8 * GIB, 7 * GIB, {0: 10, 1: 21, 2: 28, 3: 17, 4: 15}),
        Node(1, NodeKind.DRAM, (10_000,), 8 * GIB, 8 * GIB, {0: 21, 1: 10, 2: 17, 3: 28, 4: 15}),
        Node(2, NodeKind.NVM, (), 64 * GIB, 64 * GIB, {0: 28, 1: 17, 2: 10}),
        Node(3, NodeKind.NVM, (), 64 * GIB, 64 * GIB, {0: 17, 1: 28, 3: 10}),
        Node(4, NodeKind.HBM, (), 64 * GIB, 64 * GIB, {0: 15, 1: 15, 4: 10}),
    )
)


@pytest.mark.parametrize(
    ("named", "pattern", "dram", "slow"),
    [
        ({}, "0,3", (0,), (3,)),
        ({"slow": "2"}, "0,2", (0,), (2,)),
        ({"slow": 4}, "0,4", (0,), (4,)),
        ({"dram": "1"}, "1,3", (1,), (3,)),
        ({"dram": "1", "slow": "0"}, "1,0", (1,), (0,)),
        ({"emulate": "9=cxl-expander", "slow": 9}, "0,9", (0,), (9,)),
    ],
)
def test_a_ratio_takes_the_nearest_nodes_or_those_that_are_named(
    named: dict[str, Any], pattern: str, dram: tuple[int, ...], slow: tuple[int, ...]
) -> None:
    made = plan(FOUR, patterns=["1:1"], operations=["read"], threads=[1], **named)
    assert made.points[0].pattern == pattern
    assert (made.dram_nodes, made.slow_nodes) == (dram, slow)
    assert made.ratio_nodes == (*dram, *slow)
    assert made.emulate is None or "emulate" in named


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"slow": "7"}, "slow '7' is not a node with memory"),
        ({"dram": "x"}, "dram 'x' is not a node with memory"),
        ({"dram": "1", "slow": "1"}, "is the DRAM of the ratio already"),
        ({"emulate": "9=cxl-expander", "slow": "2"}, "is not the emulated node"),
    ],
)
def test_nodes_of_a_ratio_that_cannot_be_used(named: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        plan(FOUR, patterns=["1:1"], **named)


def test_high_bandwidth_memory_is_never_slow_by_itself() -> None:
    fast = Topology((FOUR.nodes[0], FOUR.nodes[4]))
    assert plan(fast, patterns=["1:1"], operations=["read"], threads=[1]).emulate is not None
    with pytest.raises(PatternError, match="needs 2 nodes"):
        plan(fast, patterns=["1:1"], emulate="none")


def test_latency_has_one_thread_and_is_planned_once() -> None:
    count = min(2, len(CPUS))
    made = plan(ONE, threads=[1, count], patterns=["0"])
    assert [p.threads for p in made.points if p.operation == "latency"] == [1]
    assert {p.threads for p in made.points if p.operation == "read"} == {1, count}
    assert set(made.cpus) == {(1, "near"), (count, "near")}


def test_ids_are_stable_and_tell_points_apart() -> None:
    point = plan(ONE, patterns=["0,2,2"], operations=["read"], threads=[1]).points[0]
    assert point.id == plan(ONE, patterns=["1:2"], operations=["read"], threads=[1]).points[0].id
    changes = {
        "pattern": "0,2",
        "granule_bytes": 8192,
        "size_bytes": 4096,
        "placer": "x",
        "operation": "write",
        "threads": 9,
        "samples": 1,
        "sample_seconds": 1.0,
        "emulate": None,
        "page_bytes": 2 << 20,
        "launches": 9,
        "precision": 0.5,
        "most_samples": 9,
        "access": "random_line",
        "cpu_node": "0",
    }
    assert set(changes) == set(point.to_record().__struct_fields__)
    for change in ({name: value} for name, value in changes.items()):
        assert dataclasses.replace(point, **change).id != point.id  # type: ignore[arg-type]


def test_the_hash_of_a_plan_does_not_depend_on_order_or_folder() -> None:
    one = plan(ONE, patterns=["0", "0,2"], results="a", seed=1)
    two = plan(ONE, patterns=["0,2", "0"], results="b", seed=2)
    assert one.hash == two.hash != plan(ONE, patterns=["0"]).hash


def test_the_hash_of_a_plan_depends_on_the_profile() -> None:
    made = plan(ONE, patterns=["0"])
    assert made.emulate is not None
    profile = made.emulate.profile
    other = dataclasses.replace(profile, slow=dataclasses.replace(profile.slow, latency_ns=1.0))
    assert dataclasses.replace(made, emulate=EmulationRequest(2, other)).hash != made.hash


def test_automatic_threads_leave_a_cpu() -> None:
    made = plan(ONE, patterns=["0"], operations=["read"])
    assert made.points[0].threads == max(1, len(CPUS) - 1)


@pytest.mark.parametrize(
    ("topology", "values", "error", "says"),
    [
        (ONE, {"patterns": [""]}, PatternError, "empty"),
        (ONE, {"patterns": ["0,,2"]}, PatternError, "entry 2"),
        (ONE, {"patterns": ["0,-1"]}, PatternError, "not a node id"),
        (ONE, {"patterns": ["0;2"]}, PatternError, "not a node id"),
        (ONE, {"patterns": ["99"]}, PatternError, "node 99 is neither a real node"),
        (ONE, {"patterns": ["0,2"], "emulate": "none"}, PatternError, "node 2 .*emulate 2=optane-dcpmm"),
        (
            ONE,
            {"patterns": ["1:2"], "emulate": "none"},
            PatternError,
            "needs 2 nodes, and there is only node",
        ),
        (OPTANE, {"patterns": ["0,2"]}, PatternError, "real are 0, 3, none is emulated"),
        (ONE, {"size": 0}, ParameterError, "zero"),
        (ONE, {"size": "3 bananas"}, ParameterError, "bananas"),
        (ONE, {"size": "9GiB"}, CapacityError, "needs 9GiB on node 0, which has 8GiB"),
        (ONE, {"threads": len(CPUS) + 1}, ParameterError, "beyond the CPUs"),
        (ONE, {"threads": -1}, ParameterError, "not a number of threads"),
        (ONE, {"operations": ["sort"]}, ParameterError, "read, write, .*latency"),
        (ONE, {"placers": ["by_hand"]}, ParameterError, "first_touch"),
        (ONE, {"granules": ["5KiB"]}, PatternError, "power of two"),
        (ONE, {"granules": ["2GiB"]}, PatternError, "power of two"),
        (ONE, {"emulate": "0=optane-dcpmm"}, ParameterError, "real node"),
        (ONE, {"emulate": "yes"}, ParameterError, "NODE=PROFILE"),
        (ONE, {"samples": 0}, ParameterError, "samples"),
        (ONE, {"launches": 0}, ParameterError, "launches 0 is not a whole number from 1 to 100"),
        (ONE, {"precision": 1e-9}, ParameterError, "precision 1e-09"),
        (ONE, {"samples": 5, "most_samples": 4}, ParameterError, "most_samples 4"),
        (ONE, {"pages": ["1MiB"]}, ParameterError, "use 4KiB or 2MiB"),
        (ONE, {"pages": ["2MiB"]}, ParameterError, "granules of 4KiB cannot .*use granules of 2MiB or more"),
        (ONE, {"operations": ["loaded_sort"]}, ParameterError, "loaded_sort.*loaded_OPERATION"),
        (ONE, {"operations": ["store_nt"], "emulate": "2=cxl-expander"}, EmulationError, "store_nt_ns"),
        (ONE, {"operations": ["loaded"], "threads": len(CPUS)}, ParameterError, "use fewer threads"),
        (ONE, {"sample_seconds": 1e-6}, ParameterError, "sample_seconds"),
    ],
)
def test_what_cannot_be_done_is_refused(
    topology: Topology, values: dict[str, Any], error: type[HmexpError], says: str
) -> None:
    import re

    with pytest.raises(error) as caught:
        plan(topology, **values)
    assert re.search(says, str(caught.value), re.DOTALL), str(caught.value)


def test_hybrid_points_get_an_all_dram_point_alike_in_all_but_the_pattern() -> None:
    made = plan(
        ONE, patterns=["0,2", "2"], operations=["read", "latency"], granules=["4KiB", "2MiB"], threads=[1]
    )
    added = [p for p in made.points if p.id in made.added]
    assert {(p.pattern, p.operation, p.granule_bytes) for p in added} == {
        ("0", operation, granule) for operation in ("read", "latency") for granule in (4096, 2 << 20)
    }
    by_id = {p.id: p for p in made.points}
    asked = [p for p in made.points if p.id not in made.added]
    assert set(made.baselines) == {p.id for p in asked}
    for point in asked:
        assert dataclasses.replace(point, pattern="0") == by_id[made.baselines[point.id]]


def test_an_all_dram_point_that_was_asked_for_is_not_added() -> None:
    made = plan(ONE, patterns=["1:0", "1:1"], operations=["read"])
    assert not made.added
    assert list(made.baselines.values()) == [next(p.id for p in made.points if p.pattern == "0")]


def test_dram_too_small_for_the_baseline_is_said_and_no_obstacle() -> None:
    made = plan(OPTANE, patterns=["3"], operations=["read"], size="20GiB")
    assert not made.added and not made.baselines
    assert any("no all-DRAM point" in note for note in made.notes)


def test_pages_of_2_mib_make_other_points_and_whole_pages() -> None:
    made = plan(
        ONE, patterns=["0,2"], granules=["2MiB"], pages=["4KiB", "2MiB"], operations=["read"], size="5MiB"
    )
    assert {p.page_bytes for p in made.points} == {4096, 2 << 20}
    assert {p.size_bytes for p in made.points} == {6 << 20}
    assert len(made.added) == 2


def test_loaded_latency_takes_a_cpu_more_than_it_has_threads() -> None:
    # CI has two CPUs: it always runs there.
    if len(CPUS) < 2:
        # Loaded latency takes two CPUs by its nature; CI has two.
        pytest.skip("one CPU cannot chase and load")
    made = plan(ONE, patterns=["0"], operations=["loaded", "loaded_3:1"], threads=[1])
    assert [p.operation for p in made.points] == ["loaded_read", "loaded_mix_3_1"]
    assert all(len(made.cpus_of(p)) == 2 for p in made.points)
