"""What `hmexp nodes` says in guests whose memory is of several kinds, or whose firmware is wrong."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hmexp.lab import LabKernelError, LabResult
from hmexp.lab.catalogue import upstream_version
from hmexp.lab.errors import LabNeedError
from hmexp.lab.kernels import Kernel
from hmexp.lab.qemu import CXL_KERNEL, CXL_QEMU, check_kernel, emulator_version, tools_for
from hmexp.lab.tools import Tools
from hmexp.lab.topology import find_topology
from hmexp.units import GIB, MIB

pytestmark = pytest.mark.lab

ROOT = Path(__file__).resolve().parents[2]
REQUIRED_VARIABLE = "HMEXP_LAB_REQUIRED"
NODES = [sys.executable, "-m", "hmexp", "nodes", "--json"]

Guest = Callable[..., LabResult]


@dataclass(frozen=True)
class Seen:
    """A node as `hmexp nodes --json` gives it."""

    kind: str
    total_bytes: int
    cpus: tuple[int, ...]
    evidence: str
    entry: dict[str, Any]


def nodes(result: LabResult) -> dict[int, Seen]:
    entries = json.loads(result.check().text.splitlines()[-1])["nodes"]
    return {
        entry["id"]: Seen(
            entry["kind"], entry["total_bytes"], tuple(entry["cpus"]), " ".join(entry["evidence"]), entry
        )
        for entry in entries
    }


@pytest.fixture(scope="session")
def cxl_guest(guest: Guest, tools: Tools, kernel: Kernel) -> Guest:
    """`guest`, where the kernel and an emulator are there that can do CXL memory."""
    if upstream_version(kernel.release) < CXL_KERNEL:
        # No fault of the machine's: the test of the refusal runs there instead.
        pytest.skip(f"Linux {kernel.release} makes no regions of volatile CXL memory")
    try:
        assert emulator_version(tools_for(find_topology("cxl"), tools)) >= CXL_QEMU
    except LabNeedError as error:
        if os.environ.get(REQUIRED_VARIABLE):
            raise
        # QEMU 10 is downloaded; with HMEXP_LAB_REQUIRED, as in CI, this is a failure.
        pytest.skip(f"no QEMU for CXL memory here: {error.message}")
    return guest


def test_a_cxl_node_is_told_as_cxl_with_its_evidence(cxl_guest: Guest) -> None:
    seen = nodes(cxl_guest(NODES, topology="cxl", timeout_seconds=300))
    assert {node_id: node.kind for node_id, node in seen.items()} == {0: "dram", 1: "cxl"}
    assert (seen[1].total_bytes, seen[1].cpus) == (GIB, ())
    assert "CXL" in seen[1].evidence


def test_cxl_memory_is_movable_and_a_pattern_is_laid_on_it(cxl_guest: Guest) -> None:
    # Few pages and no measurement: under software emulation this memory is far too slow for a sweep.
    lay = "import hmexp; region = hmexp.allocate('384KiB', '0,1,1'); print(region.placement().summary)"
    command = f'{sys.executable} -c "{lay}" && daxctl list'
    text = cxl_guest(command, topology="cxl", timeout_seconds=300, directory=ROOT).check().text
    summary, _, devices = text.partition("\n")
    assert summary == "all 96 pages are in place (32 on node 0, 64 on node 1)"
    [device] = json.loads(devices)
    assert (device["mode"], device["target_node"], device["movable"]) == ("system-ram", 1, True)


def test_a_raw_cxl_device_is_there_and_no_node(cxl_guest: Guest) -> None:
    result = cxl_guest(
        "cat /sys/devices/system/node/has_memory; cxl list -M; "
        "ls /sys/bus/cxl/devices | grep -c region; true",
        topology="cxl-raw", timeout_seconds=300,
    )  # fmt: skip
    has_memory, _, rest = result.check().text.partition("\n")
    devices, _, regions = rest.rpartition("]")
    assert has_memory == "0"
    assert [device["ram_size"] for device in json.loads(devices + "]")] == [GIB]
    assert regions.strip() == "0"


def test_a_kernel_too_old_for_a_cxl_node_is_refused_before_it_boots(guest: Guest, kernel: Kernel) -> None:
    with pytest.raises(
        LabKernelError, match=r"topology cxl: Linux 6\.1\.0 cannot make a node of a CXL device"
    ):
        check_kernel(find_topology("cxl"), "6.1.0")
    check_kernel(find_topology("cxl-raw"), "6.1.0")
    if upstream_version(kernel.release) < CXL_KERNEL:
        with pytest.raises(LabKernelError, match="topology cxl"):
            guest("true", topology="cxl")


def test_raw_nvdimms_are_devices_and_no_nodes(guest: Guest) -> None:
    command = "modprobe -a nfit nd_pmem; cat /sys/devices/system/node/has_memory; ndctl list -N"
    text = guest(command, topology="nvdimm-raw").check().text
    has_memory, _, namespaces = text.partition("\n")
    assert has_memory == "0"
    assert [namespace["mode"] for namespace in json.loads(namespaces)] == ["raw", "raw"]


def test_what_false_firmware_claims_reaches_the_kernel_and_does_not_make_nvm_dram(guest: Guest) -> None:
    result = guest(
        "cd /sys/devices/system/node/node2; cat distance; ls -d access0/initiators/node?; "
        + " ".join(NODES),
        topology="hmat-false", timeout_seconds=300, directory=ROOT,
    )  # fmt: skip
    seen = nodes(result)
    assert result.text.splitlines()[:2] == ["28 12 10", "access0/initiators/node1"]
    assert {node_id: node.kind for node_id, node in seen.items()} == {0: "dram", 1: "dram", 2: "nvm"}
    latency = {node_id: node.entry["read_latency_ns"] for node_id, node in seen.items()}
    assert latency[2] < latency[0] == latency[1]


@pytest.mark.long
def test_two_sockets_have_their_slow_nodes_crossed(guest: Guest) -> None:
    seen = nodes(guest(NODES, topology="two-sockets", timeout_seconds=300))
    assert {node_id: node.kind for node_id, node in seen.items()} == dict(
        enumerate(("dram", "dram", "nvm", "nvm"))
    )
    assert [seen[node_id].cpus for node_id in range(4)] == [(0,), (1,), (), ()]
    assert seen[2].total_bytes == seen[3].total_bytes == 1152 * MIB
    assert seen[1].entry["distances"] == {"0": 21, "1": 10, "2": 17, "3": 28}


@pytest.mark.long
def test_a_cpuset_leaves_the_other_nodes_unused(guest: Guest) -> None:
    command = f"""
        cd /sys/fs/cgroup && echo "+cpuset" >cgroup.subtree_control && mkdir one || exit 9
        echo 0-1 >one/cpuset.cpus; echo 1 >one/cpuset.mems; echo $$ >one/cgroup.procs
        cd {ROOT} && exec {" ".join(NODES)}
        """
    result = guest(command, topology="two-sockets", timeout_seconds=300)
    seen = nodes(result)
    assert {node_id for node_id, node in seen.items() if node.entry["free_bytes"]} == {1}
    assert "Mems_allowed_list: 1" in result.text
