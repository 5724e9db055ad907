"""Topology files, and the virtual machine that they mean."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from hmexp.lab.errors import LabTopologyError
from hmexp.lab.machine import (
    Share,
    cxl_request,
    kernel_command_line,
    machine_arguments,
    online_request,
    share_arguments,
)
from hmexp.lab.topology import find_topology, parse_topology, shipped_topologies
from hmexp.units import GIB, MIB


def parse(text: str) -> list[str]:
    return machine_arguments(parse_topology(text, "mine.toml"), "tcg")


def options(arguments: list[str], name: str) -> list[str]:
    return [value for option, value in pairwise(arguments) if option == name]


def test_two_dram_nodes_give_exactly_these_arguments() -> None:
    assert parse(
        """
        distances = [[10, 21], [21, 10]]
        [[node]]
        id = 0
        kind = "dram"
        size = "2GiB"
        cpus = 2
        [[node]]
        id = 1
        kind = "dram"
        size = "512MiB"
        """
    ) == [
        "-machine", "q35", "-accel", "tcg,thread=single", "-cpu", "max", "-m", "2560M",
        "-smp", "cpus=2,maxcpus=2,sockets=2,cores=1,threads=1",
        "-object", "memory-backend-ram,id=m0,size=2048M", "-numa", "node,nodeid=0,memdev=m0",
        "-object", "memory-backend-ram,id=m1,size=512M", "-numa", "node,nodeid=1,memdev=m1",
        "-numa", "cpu,node-id=0,socket-id=0", "-numa", "cpu,node-id=0,socket-id=1",
        "-numa", "dist,src=0,dst=1,val=21", "-numa", "dist,src=1,dst=0,val=21",
    ]  # fmt: skip


def test_nvdimms_are_larger_than_their_node_and_described_last_first() -> None:
    topology = find_topology("dram-nvm")
    arguments = machine_arguments(topology, "kvm")
    assert options(arguments, "-machine") == ["q35,nvdimm=on"]
    assert (options(arguments, "-accel"), options(arguments, "-cpu")) == (["kvm"], ["host"])
    # 2 MiB for the label, and the first block of 128 MiB, are lost.
    assert options(arguments, "-device") == [
        "nvdimm,id=nvdimm2,memdev=nv2,node=2,label-size=2M",
        "nvdimm,id=nvdimm1,memdev=nv1,node=1,label-size=2M",
    ]
    assert "memory-backend-ram,id=nv1,size=1282M" in arguments
    assert options(arguments, "-m") == ["2048M,slots=2,maxmem=8192M"]
    assert "node,nodeid=1" in options(arguments, "-numa")
    assert online_request(topology) == "1:movable 2:movable"


def test_an_absent_node_is_known_only_by_a_cpu_that_never_runs() -> None:
    topology = find_topology("sparse")
    arguments = machine_arguments(topology, "tcg")
    assert options(arguments, "-smp") == ["cpus=2,maxcpus=3,sockets=3,cores=1,threads=1"]
    assert options(arguments, "-numa")[-3:] == [
        "cpu,node-id=0,socket-id=0", "cpu,node-id=0,socket-id=1", "cpu,node-id=1,socket-id=2",
    ]  # fmt: skip
    assert "nr_cpus=2" in kernel_command_line(topology).split()


def test_speeds_become_hmat_entries() -> None:
    arguments = machine_arguments(find_topology("hmat"), "tcg")
    assert options(arguments, "-machine") == ["q35,nvdimm=on,hmat=on"]
    numa = options(arguments, "-numa")
    assert "node,nodeid=1,initiator=0" in numa
    entry = "hmat-lb,initiator=0,target=1,hierarchy=memory,data-type="
    assert [one.removeprefix(entry) for one in numa if one.startswith(entry)] == [
        "read-latency,latency=300", "write-latency,latency=320",
        "read-bandwidth,bandwidth=30720M", "write-bandwidth,bandwidth=10240M",
    ]  # fmt: skip


def test_every_shipped_topology_is_whole() -> None:
    shipped = shipped_topologies()
    assert {"one", "three-dram", "dram-nvm", "sparse", "tiny-node", "memoryless", "hmat"} <= set(shipped)
    for topology in shipped.values():
        assert topology.title
        assert machine_arguments(topology, "tcg")
    assert shipped["dram-nvm"].summary == "0 dram 2GiB, 1 nvm 1152MiB, 2 nvm 1152MiB"
    assert shipped["tiny-node"].nodes[1].size_bytes == 128 * MIB


def test_a_file_of_ones_own_is_named_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[[node]]\nid = 0\nkind = "dram"\nsize = "1GiB"\ncpus = 1\n', encoding="utf-8-sig")
    topology = find_topology(str(path))
    assert (topology.name, topology.nodes[0].size_bytes) == ("mine", GIB)


DRAM = '[[node]]\nid = 0\nkind = "dram"\nsize = "1GiB"\ncpus = 1\n'
NVM = '[[node]]\nid = 1\nkind = "nvm"\nsize = "1152MiB"\n'
CXL = '[[node]]\nid = 1\nkind = "cxl"\nsize = "1GiB"\n'
SPEED = "[node.speed]\nread_latency_ns = 1\nwrite_latency_ns = 1\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("title = 3 3", "mine.toml is not valid TOML"),
        ("title = 'none'", r"mine.toml has no \[\[node\]\]"),
        ("colour = 'red'\n" + DRAM, "mine.toml: unknown field 'colour'"),
        (DRAM + "speeed = 1\n", "mine.toml, node 0: unknown field 'speeed'"),
        (DRAM.replace("dram", "ram"), "node 0: kind 'ram' is unknown"),
        (DRAM.replace('"1GiB"', '"much"'), "node 0: size 'much' is not a number"),
        (DRAM.replace("cpus = 1", "cpus = -1"), "node 0: field 'cpus' is -1"),
        (DRAM.replace("cpus = 1", "cpus = true"), "node 0: field 'cpus' is True"),
        (DRAM.replace("id = 0\n", ""), "node 0: field 'id' is missing"),
        (DRAM.replace("id = 0", "id = 2"), r"node ids are \[2\]"),
        (DRAM.replace("cpus = 1", "cpus = 0"), "node 0 must be DRAM with CPUs"),
        (DRAM + NVM.replace("1152MiB", "1GiB").replace("1GiB", "1000MiB"), "not a multiple of 128MiB"),
        (DRAM + NVM + "cpus = 1\n", "an nvm node cannot have CPUs"),
        (
            DRAM + '[[node]]\nid = 1\nkind = "absent"\nsize = "1GiB"\n',
            "has no memory, so it cannot have a size",
        ),
        (DRAM + '[[node]]\nid = 1\nkind = "absent"\ncpus = 0\n', "a node of kind absent needs CPUs"),
        (DRAM + NVM + DRAM.replace("id = 0", "id = 2"), "an nvm node precedes a node of another kind"),
        (DRAM + CXL.replace("1GiB", "128MiB"), "not a multiple of 256MiB"),
        (DRAM + CXL + "cpus = 1\n", "a cxl node cannot have CPUs"),
        (DRAM + CXL + "initiator = 0\n", "the HMAT does not describe a cxl node"),
        (
            DRAM + CXL + CXL.replace("id = 1", "id = 2"),
            "a cxl node is not the last one, or there are several",
        ),
        (DRAM + CXL + NVM.replace("id = 1", "id = 2"), "a cxl node is not the last one"),
        (DRAM + NVM + "initiator = 0\n", "node 1: initiator = 0 cannot be claimed"),
        (DRAM + SPEED, "speed: field 'read_bandwidth_mibps' is missing"),
        ("distances = [[10, 20]]\n" + DRAM, "distances is not a table of 1 rows of 1"),
        ("distances = [[11]]\n" + DRAM, "distances is not a table of 1 rows of 1"),
        ("distances = 3\n" + DRAM, "distances is not a table of 1 rows of 1"),
    ],
)
def test_a_bad_topology_is_refused_with_its_place(text: str, complaint: str) -> None:
    with pytest.raises(LabTopologyError, match=complaint) as caught:
        parse_topology(text, "mine.toml")
    assert caught.value.remedy


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(LabTopologyError, match="topology 'nonsense' does not exist") as caught:
        find_topology("nonsense")
    assert "dram-nvm" in str(caught.value)
    with pytest.raises(LabTopologyError, match="cannot be read"):
        find_topology("./nonsense.toml")


def test_a_comma_in_a_path_does_not_end_the_option() -> None:
    [_, fsdev, *_] = share_arguments([Share("t", Path("/a,b"), writable=True)])
    assert fsdev == "local,id=t,path=/a,,b,security_model=none,multidevs=remap"


def test_a_cxl_device_has_a_bridge_a_port_and_a_window_and_no_numa_option() -> None:
    topology = find_topology("cxl")
    arguments = machine_arguments(topology, "tcg")
    assert options(arguments, "-machine") == ["q35,cxl=on,cxl-fmw.0.targets.0=cxl1,cxl-fmw.0.size=1024M"]
    assert options(arguments, "-cpu") == ["max,-hypervisor"]
    assert options(arguments, "-device") == [
        "pxb-cxl,bus=pcie.0,bus_nr=64,id=cxl1",
        "cxl-rp,bus=cxl1,id=port1,chassis=0,slot=2,port=0",
        "cxl-type3,bus=port1,volatile-memdev=cm1,id=mem1",
    ]
    # The kernel numbers the node itself: the firmware does not know it.
    assert options(arguments, "-numa")[0] == "node,nodeid=0,memdev=m0"
    assert not any("nodeid=1" in value for value in options(arguments, "-numa"))
    assert (cxl_request(topology), online_request(topology)) == ("1:movable", "")
    assert cxl_request(find_topology("cxl-raw")) == "raw"
    assert cxl_request(find_topology("one")) == ""


def test_the_firmware_may_claim_the_wrong_node_to_be_near() -> None:
    arguments = machine_arguments(find_topology("hmat-false"), "tcg")
    assert "node,nodeid=2,initiator=1" in options(arguments, "-numa")
    assert "dist,src=2,dst=1,val=12" in options(arguments, "-numa")
    # Every node from every node with CPUs, by four figures.
    assert sum(value.startswith("hmat-lb,") for value in options(arguments, "-numa")) == 2 * 3 * 4
