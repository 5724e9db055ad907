"""A node that the emulator slows: what is asked for, where it is, and what a program inside sees of it."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hmexp.lab
from hmexp.lab.errors import LabError
from hmexp.lab.kernels import Kernel
from hmexp.lab.slow_node import SlowNode, built_plugin, emulated, physical_ranges
from hmexp.lab.topology import find_topology, parse_topology
from hmexp.system.provenance import timing_validity
from hmexp.units import GIB, MIB

HERE = Path(__file__).resolve().parent


def test_a_slow_node_is_read_and_written() -> None:
    slow = SlowNode.parse("2:read=600,write=1200")
    assert (slow.node, slow.read_ns, slow.write_ns, slow.cache_bytes) == (2, 600, 1200, 2 * MIB)
    assert SlowNode.parse("1:write=1, read=0,cache=64KiB").cache_bytes == 64 << 10
    assert SlowNode.parse("1:write=1,read=0,cache=0").cache_bytes == 0
    assert SlowNode.parse(str(slow)) == slow


@pytest.mark.parametrize(
    "text",
    [
        "", "2", "2:", "2:read=600", "2:write=600", "x:read=1,write=1", "2:read=-1,write=1",
        "2:read=1e3,write=1", "2:read=1,write=99999999", "2:read=1,read=2,write=1",
        "2:read=1,write=1,cache=100B", "2:read=1,write=1,x=1", "2:read=1,write=1,cache=2TiB",
        "2:read=\u0661,write=1", "2:read=1,write=1,",
    ],
)  # fmt: skip
def test_what_is_no_slow_node_is_refused(text: str) -> None:
    with pytest.raises(LabError, match="slow node"):
        SlowNode.parse(text)


@given(st.text(max_size=30))
def test_any_text_is_a_slow_node_or_an_error(text: str) -> None:
    with contextlib.suppress(LabError):
        assert SlowNode.parse(text).read_ns >= 0


def test_nodes_are_where_the_machine_lays_them_out() -> None:
    """Below 2 GiB, from 4 GiB on, and on both sides of the hole; NVDIMMs above, the last one first."""
    three = find_topology("three-dram")
    assert [physical_ranges(three, n) for n in (0, 1, 2)] == [
        ((0, 2 * GIB),), ((4 * GIB, 5 * GIB),), ((5 * GIB, 6 * GIB),),
    ]  # fmt: skip
    node = '[[node]]\nid = {}\nkind = "dram"\nsize = "{}MiB"\ncpus = 1\n'
    small = parse_topology(node.format(0, 512) + node.format(1, 512), "small.toml")
    assert physical_ranges(small, 1) == ((512 * MIB, GIB),)
    across = parse_topology(node.format(0, 1024) + node.format(1, 3072), "across.toml")
    assert physical_ranges(across, 1) == ((GIB, 2 * GIB), (4 * GIB, 6 * GIB))
    first, second = (physical_ranges(find_topology("dram-nvm"), n)[0] for n in (2, 1))
    assert first[0] == 4 * GIB and second[0] == 6 * GIB and first[1] <= second[0]
    with pytest.raises(LabError, match="node 7 does not exist"):
        physical_ranges(three, 7)
    with pytest.raises(LabError, match="is of the kind cxl"):
        physical_ranges(find_topology("cxl"), find_topology("cxl").nodes[-1].id)


def test_only_software_emulation_has_plugins() -> None:
    assert emulated("auto") == emulated("tcg") == "tcg"
    with pytest.raises(LabError, match="accelerator is kvm"):
        emulated("kvm")


def test_the_plugin_is_compiled_once(cache: Path) -> None:
    plugin = built_plugin()
    assert plugin.is_file() and plugin.is_relative_to(cache)
    assert built_plugin() == plugin and plugin.read_bytes()[:4] == b"\x7fELF"


def test_times_beside_a_slowed_node_are_labelled() -> None:
    valid, note = timing_validity(environ={"HMEXP_LAB_SLOW_NODE": "2:read=600,write=1200,cache=0"})
    assert not valid and note is not None and note.startswith("emulated: lab plugin") and "node 2" in note


@pytest.mark.lab
@pytest.mark.long
def test_a_slowed_node_is_slow_for_a_program_that_knows_nothing(kernel: Kernel) -> None:
    """Where it is, how slow it is for each ratio, and that a wrong placement shows twice."""
    slow = SlowNode(2, 6000, 12_000, 2 * MIB)
    result = hmexp.lab.run(
        [sys.executable, str(HERE / "slow_node_in_guest.py")],
        os.environ.get("HMEXP_LAB_TEST_KERNEL", "distribution"),
        "three-dram",
        900,
        slow_node=slow,
    )
    found = json.loads(result.check().text)
    topology = find_topology("three-dram")
    for node in (1, 2):
        inside = [
            range(low // found["block_bytes"], high // found["block_bytes"])
            for low, high in physical_ranges(topology, node)
        ]
        assert found["blocks"][str(node)] == [block for part in inside for block in part]
    assert found["timing"][0] is False and "lab plugin" in found["timing"][1]
    latency, writing = found["latency_ns"], found["write_ns"]
    assert latency["2"] - latency["0"] > 0.8 * slow.read_ns
    moved = found["moved"]
    print(json.dumps({name: found[name] for name in ("latency_ns", "write_ns", "moved")}))
    for kind in (latency, writing):
        # The more pages are on the slow node, the slower it is; how linear that is, a quiet host shows.
        assert list(kind.values()) == sorted(kind.values()), kind
        for pattern, share in (("0,0,2", 1 / 3), ("0,2", 1 / 2), ("0,2,2", 2 / 3)):
            # Each access is of one node or the other: both times are the mean over the pages.
            mean = kind["0"] + share * (kind["2"] - kind["0"])
            assert kind[pattern] == pytest.approx(mean, rel=0.4), (pattern, kind)
    assert moved["status"] == 0 and moved["misplaced_before"] == 0 and moved["misplaced"] == 2048
    assert moved["fast_ns"] < 0.5 * moved["slow_ns"]
