"""Topologies of machines of many shapes, and of this one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from hmexp.errors import LibnumaError, ParseError, TopologyError
from hmexp.store.machine import NodeRecord
from hmexp.system.topology import NodeKind, Topology, read_topology

if TYPE_CHECKING:
    from types import ModuleType

GIB = 1 << 30
Capture = Callable[[Any], tuple[Path, Path]]


def kinds(topology: Topology) -> dict[int, str]:
    return {node.id: node.kind.value for node in topology.nodes}


@pytest.mark.parametrize(
    ("name", "expected", "slow"),
    [
        ("one-node", {0: "dram"}, []),
        ("two-sockets", {0: "dram", 1: "dram"}, []),
        ("optane", {0: "dram", 1: "dram", 2: "nvm", 3: "nvm"}, [2, 3]),
        ("cxl", {0: "dram", 1: "cxl"}, [1]),
        ("cxl-pmem", {0: "dram", 1: "nvm"}, [1]),
        ("sparse", {0: "dram", 2: "nvm"}, [2]),
        ("memory-less", {0: "unknown", 1: "dram"}, []),
        ("cpu-less", {0: "dram", 1: "unknown"}, [1]),
        ("hmem", {0: "dram", 1: "hbm"}, []),
        ("hmat", {0: "dram", 1: "nvm"}, [1]),
    ],
)
def test_kinds_of_nodes(capture: Capture, name: str, expected: dict[int, str], slow: list[int]) -> None:
    topology = read_topology(*capture(name))
    assert kinds(topology) == expected
    assert [node.id for node in topology.slow_nodes] == slow
    assert {node.id for node in topology.dram_nodes}.isdisjoint(slow)


def test_optane_in_full(capture: Capture) -> None:
    node = read_topology(*capture("optane")).node(2)
    assert node.cpus == ()
    assert node.has_memory
    assert node.total_bytes == 126 * GIB
    assert node.free_bytes == 126 * GIB  # MemFree 125 GiB and 1 GiB of page cache not used lately
    assert node.distances == {0: 17, 1: 28, 2: 10, 3: 28}
    assert node.read_latency_ns is None


def test_cpus_of_sockets(capture: Capture) -> None:
    topology = read_topology(*capture("two-sockets"))
    assert topology.node(0).cpus == (0, 1, 2, 3, 8, 9, 10, 11)
    assert topology.node(0).free_bytes == 13 * GIB


def test_sparse_ids_keep_their_distances(capture: Capture) -> None:
    topology = read_topology(*capture("sparse"))
    assert topology.node(2).distances == {0: 40, 2: 10}
    with pytest.raises(TopologyError, match=r"node 1 does not exist: this machine has 0,2") as caught:
        topology.node(1)
    assert caught.value.remedy


def test_hmat_in_our_units(capture: Capture) -> None:
    topology = read_topology(*capture("hmat"))
    dram, nvm = topology.node(0), topology.node(1)
    assert (dram.read_latency_ns, dram.write_latency_ns) == (76.0, 78.0)
    assert (dram.read_gbps, dram.write_gbps) == (131.072, 100.5)
    # access0 says nothing there, so access1 does; 0 means unknown.
    assert (nvm.read_latency_ns, nvm.write_latency_ns) == (200.0, None)
    assert (nvm.read_gbps, nvm.write_gbps) == (30.0, 7.5)


def test_memory_that_is_faster_than_dram_is_hbm(capture: Capture) -> None:
    assert any("Node 1 is HBM, faster than DRAM" in note for note in read_topology(*capture("hmem")).notes)


def test_memory_less_node_is_kept(capture: Capture) -> None:
    topology = read_topology(*capture("memory-less"))
    assert [node.id for node in topology.nodes] == [0, 1]
    assert topology.node(0).total_bytes == 0
    assert not topology.node(0).has_memory
    assert [node.id for node in topology.memory_nodes] == [1]
    assert [node.id for node in topology.dram_nodes] == [1]
    assert "Node 0 has no memory." in topology.notes


def test_memory_that_is_initialised_late(capture: Capture) -> None:
    topology = read_topology(*capture("late-memory"))
    assert topology.node(0).total_bytes == 24_684_084 * 1024
    assert topology.node(0).free_bytes == 24_415_444 * 1024
    assert any("says it has 3.4GiB, the machine says 23.5GiB" in note for note in topology.notes)


def test_small_difference_needs_no_note(capture: Capture) -> None:
    assert read_topology(*capture("one-node")).notes == ()


def test_several_nodes_do_not_take_the_machines_total(capture: Capture) -> None:
    topology = read_topology(*capture("two-sockets"))
    assert [node.total_bytes for node in topology.nodes] == [16 * GIB, 16 * GIB]


def test_node_without_distance(captures: ModuleType, capture: Capture) -> None:
    machine = captures.Machine([captures.CapturedNode(0, "0-1", distance=None)])
    topology = read_topology(*capture(machine))
    assert topology.node(0).distances == {}
    assert "Node 0 has no distances." in topology.notes


def test_distances_that_do_not_fit_the_nodes(captures: ModuleType, capture: Capture) -> None:
    near = captures.CapturedNode(0, "0-1", distance="10 20 20")
    machine = captures.Machine([near, captures.CapturedNode(4, "2-3", distance="20 10")])
    topology = read_topology(*capture(machine))
    assert topology.node(0).distances == {}
    assert topology.node(4).distances == {0: 20, 4: 10}
    assert any("3 distances for 2 nodes" in note for note in topology.notes)


def test_offline_node_is_left_out(captures: ModuleType, capture: Capture) -> None:
    machine = captures.Machine(
        [captures.CapturedNode(0, "0-1"), captures.CapturedNode(1, distance="10")], online="0", possible="0-3"
    )
    topology = read_topology(*capture(machine))
    assert [node.id for node in topology.nodes] == [0]
    assert any("Node 1 is shown in /sys but not online" in note for note in topology.notes)


def test_without_the_file_online(capture: Capture) -> None:
    sys_root, proc_root = capture("sparse")
    (sys_root / "devices/system/node/online").unlink()
    assert [node.id for node in read_topology(sys_root, proc_root).nodes] == [0, 2]


def test_without_proc(capture: Capture, tmp_path: Path) -> None:
    sys_root, _ = capture("one-node")
    assert read_topology(sys_root, tmp_path / "nowhere").node(0).total_bytes == 16 * GIB


def test_dax_device_with_another_driver_is_no_memory(captures: ModuleType, capture: Capture) -> None:
    nodes = [captures.CapturedNode(0, "0-1", distance="10 20"), captures.CapturedNode(1, distance="20 10")]
    dax = [
        captures.CapturedDax(0, captures.OPTANE_DAX, 1, driver="device_dax"),
        captures.CapturedDax(1, captures.OPTANE_DAX, 1, driver=None),
        captures.CapturedDax(2, captures.OPTANE_DAX, -1),
    ]
    assert read_topology(*capture(captures.Machine(nodes, dax=dax))).node(1).kind is NodeKind.UNKNOWN


def test_slow_memory_lent_to_a_node_with_cpus(captures: ModuleType, capture: Capture) -> None:
    dax = [captures.CapturedDax(0, captures.OPTANE_DAX, 0)]
    topology = read_topology(*capture(captures.Machine([captures.CapturedNode(0, "0-1")], dax=dax)))
    assert topology.node(0).kind is NodeKind.DRAM
    assert any("dax0.0 (nvm)" in note and "mixed" in note for note in topology.notes)


def test_two_kinds_in_one_node(captures: ModuleType, capture: Capture) -> None:
    nodes = [captures.CapturedNode(0, "0-1", distance="10 20"), captures.CapturedNode(1, distance="20 10")]
    dax = [captures.CapturedDax(0, captures.OPTANE_DAX, 1), captures.CapturedDax(1, captures.CXL_DAX, 1)]
    topology = read_topology(*capture(captures.Machine(nodes, dax=dax)))
    assert topology.node(1).kind is NodeKind.UNKNOWN
    assert any("cxl, nvm" in note for note in topology.notes)


def test_cxl_is_told_by_its_bus_where_names_say_nothing(captures: ModuleType, capture: Capture) -> None:
    nodes = [captures.CapturedNode(0, "0-1", distance="10 20"), captures.CapturedNode(1, distance="20 10")]
    dax = [captures.CapturedDax(0, "devices/platform/bridge/window/dax{0}.0", 1)]
    sys_root, proc_root = capture(captures.Machine(nodes, dax=dax))
    (sys_root / "bus" / "cxl").mkdir()
    (sys_root / "devices/platform/bridge/subsystem").symlink_to(sys_root / "bus" / "cxl")
    assert read_topology(sys_root, proc_root).node(1).kind is NodeKind.CXL


def test_kernel_without_numa(tmp_path: Path) -> None:
    with pytest.raises(TopologyError, match="shows no NUMA nodes") as caught:
        read_topology(tmp_path, tmp_path)
    assert "CONFIG_NUMA" in str(caught.value)


def test_empty_node_folder(tmp_path: Path) -> None:
    (tmp_path / "devices/system/node").mkdir(parents=True)
    with pytest.raises(TopologyError, match="lists none that is online"):
        read_topology(tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("file", "text"),
    [("node0/cpulist", "0-x"), ("node0/distance", "ten"), ("node0/meminfo", "rubbish"), ("online", "5-1")],
)
def test_damaged_file_is_named(capture: Capture, file: str, text: str) -> None:
    sys_root, proc_root = capture("one-node")
    (sys_root / "devices/system/node" / file).write_text(text)
    with pytest.raises(ParseError, match=file):
        read_topology(sys_root, proc_root)


def test_node_without_meminfo(capture: Capture) -> None:
    sys_root, proc_root = capture("two-sockets")
    (sys_root / "devices/system/node/node1/meminfo").unlink()
    topology = read_topology(sys_root, proc_root)
    assert not topology.node(1).has_memory
    assert any("Node 1 does not report its memory size" in note for note in topology.notes)


@pytest.mark.parametrize("name", ["optane", "hmat", "sparse", "memory-less"])
def test_records_are_plain_data(capture: Capture, name: str) -> None:
    topology = read_topology(*capture(name))
    records = topology.as_records()
    assert msgspec.json.decode(msgspec.json.encode(records), type=list[NodeRecord]) == list(records)
    assert [record.id for record in records] == [node.id for node in topology.nodes]
    assert [record.cpus for record in records] == [node.cpus for node in topology.nodes]


class FakeLibNuma:
    """libnuma as it would be if it misread the machine."""

    def __init__(self, ids: tuple[int, ...], distances: dict[tuple[int, int], int]) -> None:
        self.ids, self.distances = ids, distances

    def node_ids(self) -> tuple[int, ...]:
        return self.ids

    def distance(self, a: int, b: int) -> int:
        assert {a, b} <= set(self.ids), "an id that libnuma does not know must never reach it"
        if (a, b) not in self.distances:
            raise LibnumaError(f"no distance from {a} to {b}")
        return self.distances[a, b]


def test_libnuma_that_agrees_leaves_no_note(capture: Capture) -> None:
    roots = capture("sparse")
    libnuma: Any = FakeLibNuma((0, 2), {(0, 0): 10, (0, 2): 40, (2, 0): 40, (2, 2): 10})
    assert read_topology(*roots, libnuma).notes == read_topology(*roots).notes


def test_libnuma_that_misreads_sparse_ids(capture: Capture) -> None:
    libnuma: Any = FakeLibNuma((0, 1), {(0, 0): 10})
    topology = read_topology(*capture("sparse"), libnuma)
    assert [node.id for node in topology.nodes] == [0, 2]
    assert any("shows nodes 0,2, libnuma 0-1" in note for note in topology.notes)


def test_libnuma_with_other_distances(capture: Capture) -> None:
    libnuma: Any = FakeLibNuma((0, 1), {(0, 0): 10, (0, 1): 20, (1, 1): 10})
    topology = read_topology(*capture("two-sockets"), libnuma)
    assert topology.node(0).distances == {0: 10, 1: 21}
    assert any("from node 0 to 1 is 21 by the kernel, 20 by libnuma" in note for note in topology.notes)
    assert any("from node 1 to 0 is 21 by the kernel, unknown by libnuma" in note for note in topology.notes)


@pytest.mark.skipif(not Path("/sys/devices/system/node").exists(), reason="this kernel has no NUMA nodes")
def test_this_machine() -> None:
    topology = read_topology()
    assert topology.memory_nodes
    for node in topology.memory_nodes:
        assert 0 < node.free_bytes <= node.total_bytes
        assert node.distances.get(node.id, 10) == 10
