"""What may not be used is refused in the plan: nodes outside the cpuset, and more than a cgroup leaves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hmexp.errors import CapacityError, HmexpError, ParameterError, PatternError
from hmexp.measure.point import measure_point, require_room
from hmexp.memory.capacity import check_capacity, check_regions
from hmexp.memory.region import allocate
from hmexp.pattern import Pattern
from hmexp.study.granularity import GranuleParameters, make_granule_study
from hmexp.study.placers import PlacerParameters, make_placer_study
from hmexp.sweep.explanation import explain
from hmexp.sweep.pace import Pace
from hmexp.sweep.parameters import SweepParameters
from hmexp.sweep.plan import SweepPlan, make_plan
from hmexp.system.cpus import allowed_cpus
from hmexp.system.limit import AllowedNodes, CpuQuota, MemoryLimit
from hmexp.system.limits import Limits
from hmexp.system.near import near_dram, near_node
from hmexp.system.topology import Node, NodeKind, Topology

MIB = 1 << 20
GIB = 1 << 30
CPUS = allowed_cpus()
STATUS = Path("/proc/self/status")
SOCKETS = Topology(
    (
        Node(0, NodeKind.DRAM, CPUS, 8 * GIB, 7 * GIB, {0: 10, 1: 21}),
        Node(1, NodeKind.DRAM, (), 8 * GIB, 7 * GIB, {0: 21, 1: 10}),
    )
)
ONLY_1 = replace(
    SOCKETS,
    limits=Limits((
        AllowedNodes((1,), STATUS, "Mems_allowed_list: 1"),
        AllowedNodes((1,), Path("/sys/fs/cgroup/cpuset/job/cpuset.mems"), "1"),
    )),
)  # fmt: skip
MEMORY_MAX = Path("/sys/fs/cgroup/job/memory.max")
SMALL = replace(SOCKETS, limits=Limits(memory=(MemoryLimit(MEMORY_MAX, 300 * MIB, 100 * MIB),)))


def plan(topology: Topology, **values: Any) -> SweepPlan:
    return make_plan(SweepParameters.from_mapping({"emulate": "none", **values}), topology)


def test_a_node_outside_the_cpuset_is_refused_with_the_file_and_the_value() -> None:
    with pytest.raises(PatternError) as refused:
        plan(ONLY_1, patterns=["1", "0,1"])
    assert "pattern 0,1: node 0 may not be used: /proc/self/status says Mems_allowed_list: 1" in str(refused)
    assert "/sys/fs/cgroup/cpuset/job/cpuset.mems" in str(refused.value.remedy)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: measure_point("0", topology=ONLY_1, size="1MiB", baseline=False),
        lambda: allocate("1MiB", "0", topology=ONLY_1),
        lambda: require_room([Pattern((1,)), Pattern((0,))], "1MiB", "auto", ONLY_1),
        lambda: make_placer_study(PlacerParameters(pattern="0"), ONLY_1),
        lambda: make_granule_study(GranuleParameters(pattern="0,1", emulate="none"), ONLY_1),
    ],
    ids=["measure", "allocate", "latency", "placers", "granularity"],
)
def test_so_it_is_everywhere(ask: Any) -> None:
    with pytest.raises(PatternError, match="node 0 may not be used: /proc/self/status says"):
        ask()


def test_what_hmexp_chooses_may_be_used() -> None:
    assert near_node(ONLY_1).id == near_dram(ONLY_1) == 1
    ratio = plan(ONLY_1, patterns=["1:0", "1:1"], emulate="auto")
    assert {point.pattern for point in ratio.points} == {"1", "1,2"}
    assert ratio.backing_node == 1
    assert make_placer_study(PlacerParameters(size="1MiB"), ONLY_1).facts.pattern == "1"


def test_a_machine_of_which_nothing_may_be_used_is_refused_by_name() -> None:
    nothing = replace(SOCKETS, limits=Limits((AllowedNodes((5,), STATUS, "Mems_allowed_list: 5"),)))
    with pytest.raises(PatternError, match="nodes that may be used"):
        plan(nothing, patterns=["1"])


def test_a_region_beyond_the_cgroup_is_refused_with_what_is_used_and_left() -> None:
    with pytest.raises(CapacityError) as refused:
        plan(SMALL, patterns=["0"], size=["1MiB", "190MiB"])
    for part in (str(MEMORY_MAX), "314572800", "100MiB is used", "200MiB is left", "32MiB for the process"):
        assert part in refused.value.message
    assert plan(SMALL, patterns=["0"], size=["160MiB"]).points


def test_the_region_that_this_process_makes_needs_no_process_beside_it() -> None:
    check_capacity(Pattern((0,)), 190 * MIB, SMALL)
    with pytest.raises(CapacityError, match="200MiB is left"):
        check_capacity(Pattern((0,)), 201 * MIB, SMALL)


def test_regions_at_once_are_added_up() -> None:
    check_regions([(Pattern((0,)), 90 * MIB), (Pattern((0, 1)), 90 * MIB)], SMALL)
    with pytest.raises(CapacityError, match="together need 220MiB"):
        check_regions([(Pattern((0,)), 110 * MIB), (Pattern((0, 1)), 110 * MIB)], SMALL)
    with pytest.raises(CapacityError, match="together need 9GiB on node 0, which has free 7GiB"):
        check_regions([(Pattern((0,)), 6 * GIB), (Pattern((0, 1)), 6 * GIB)], SOCKETS)


def test_an_emulated_node_is_named_with_what_holds_it() -> None:
    with pytest.raises(CapacityError, match="pattern 0,2,2, with node 2 emulated on node 0, needs 300MiB"):
        require_room([Pattern((0, 2, 2))], "300MiB", "2=optane-dcpmm", SMALL)


def test_the_size_of_one_process_is_limited_too() -> None:
    limit = MemoryLimit(Path("/proc/self/limits"), GIB, 600 * MIB, "Max address space", "ulimit -v")
    tight = replace(SOCKETS, limits=Limits(process=(limit,)))
    with pytest.raises(CapacityError, match="Max address space: 1073741824") as refused:
        check_capacity(Pattern((0,)), 500 * MIB, tight)
    assert "ulimit -v" in str(refused.value.remedy)
    # A worker does not have what this process has.
    check_capacity(Pattern((0,)), 500 * MIB, tight, fresh=True)
    with pytest.raises(CapacityError, match="160MiB for the process that measures"):
        check_capacity(Pattern((0,)), 900 * MIB, tight, fresh=True)


def test_a_quota_below_the_threads_is_a_note() -> None:
    quota = CpuQuota(Path("/sys/fs/cgroup/job/cpu.max"), 0.5, "50000 100000")
    limited = replace(SOCKETS, limits=Limits(cpu=(quota,)))
    notes = plan(limited, patterns=["0"], threads=[1]).notes
    assert any("1 thread gets the time of 0.5 CPUs" in note and "50000 100000" in note for note in notes)
    enough = replace(SOCKETS, limits=Limits(cpu=(replace(quota, cpus=1.0),)))
    assert not any("gets the time" in note for note in plan(enough, patterns=["0"], threads=[1]).notes)


def test_what_no_longer_fits_is_explained_before_it_is_tried() -> None:
    made = plan(SMALL, patterns=["0"], size=["160MiB"], operations=["read"])
    now = replace(SOCKETS, limits=Limits(memory=(MemoryLimit(MEMORY_MAX, 300 * MIB, 250 * MIB),)))
    found = explain(replace(made, topology=now), Pace(0.1, 0.0, 0.0, {}))
    assert any(str(MEMORY_MAX) in why for why in found.not_measured)


def test_every_refusal_has_a_remedy() -> None:
    for topology, pattern in ((ONLY_1, "0"), (SMALL, "0")):
        with pytest.raises(HmexpError) as refused:
            plan(topology, patterns=[pattern], size=["1GiB"])
        assert refused.value.remedy


@pytest.mark.parametrize("named", [{"dram": "0"}, {"slow": "0"}])
def test_a_node_that_is_named_for_a_ratio_must_be_allowed(named: dict[str, str]) -> None:
    with pytest.raises(ParameterError, match="Mems_allowed_list: 1"):
        plan(ONLY_1, patterns=["1:0"], emulate="auto", **named)


def test_the_only_node_that_may_be_used_is_not_both_sides_of_a_ratio() -> None:
    slow = replace(SOCKETS.nodes[1], kind=NodeKind.UNKNOWN)
    only = replace(ONLY_1, nodes=(SOCKETS.nodes[0], slow))
    assert {point.pattern for point in plan(only, patterns=["1:0", "1:1"], emulate="auto").points} == {
        "1",
        "1,2",
    }
