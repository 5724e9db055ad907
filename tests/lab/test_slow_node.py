"""A node that the emulator slows: what is asked for, where it is, and what a program inside sees of it."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

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


SLOW = SlowNode(2, 6000, 12_000, 2 * MIB)
#: Parts of the patterns that are on the slow node, between its ends.
SHARES = {"0,0,2": 1 / 3, "0,2": 1 / 2, "0,2,2": 2 / 3}


@pytest.fixture(scope="module")
def seen(kernel: Kernel) -> dict[str, Any]:
    """What `slow_node_in_guest.py` saw inside, in one run."""
    command = [sys.executable, str(HERE / "slow_node_in_guest.py")]
    result = hmexp.lab.run(command, kernel.release, "three-dram", 1500, slow_node=SLOW)
    found: dict[str, Any] = json.loads(result.check().text)
    print(json.dumps({name: found[name] for name in ("chase", "write", "moved")}))
    return found


@pytest.mark.lab
@pytest.mark.long
def test_what_is_slowed_is_the_node_and_says_so(seen: dict[str, Any]) -> None:
    topology = find_topology("three-dram")
    for node in (1, 2):
        inside = [
            range(low // seen["block_bytes"], high // seen["block_bytes"])
            for low, high in physical_ranges(topology, node)
        ]
        assert seen["blocks"][str(node)] == [block for part in inside for block in part]
    assert seen["timing"][0] is False and "lab plugin" in seen["timing"][1]
    # A delay is a lower bound, on any host.
    for kind, delay_ns in (("chase", SLOW.read_ns), ("write", SLOW.write_ns)):
        assert seen[kind]["2"]["ns"] > 0.97 * delay_ns


@pytest.mark.lab
@pytest.mark.long
@pytest.mark.parametrize(("kind", "tolerance"), [("chase", 0.05), ("write", 0.1)])
def test_each_page_of_a_slowed_node_costs_what_was_asked(
    seen: dict[str, Any], kind: str, tolerance: float
) -> None:
    """Loads are on a straight line against the ratio, and the rate of writes on the harmonic mean."""
    times = seen[kind]
    # Parts as long, at the same time, without a delay: what they show is the host's doing.
    unsure, disturbed = times["0"]["unsure"], times["0"]["disturbed"]
    if unsure > tolerance:
        pytest.skip(
            f"cannot say: the host is too busy. Of the times of {kind} on DRAM alone {disturbed:.0%} are far "
            f"above the least of their part, and {unsure:.0%} of the parts have fewer than three that are not"
        )
    dram, slow = times["0"]["ns"], times["2"]["ns"]
    for pattern, share in SHARES.items():
        # Each access is of one node or of the other: its time is the mean over the pages.
        mean = dram + share * (slow - dram)
        assert times[pattern]["ns"] == pytest.approx(mean, rel=tolerance), (pattern, times)


@pytest.mark.lab
@pytest.mark.long
def test_pages_that_another_process_moves_are_another_speed_and_a_failed_proof(seen: dict[str, Any]) -> None:
    moved = seen["moved"]
    assert moved["status"] == 0 and moved["misplaced_before"] == 0 and moved["misplaced"] == 2048
    assert "2048 of 2048 pages" in moved["refused"]
    assert moved["slow_ns"] > 0.97 * SLOW.read_ns and moved["fast_ns"] < 0.5 * moved["slow_ns"]


@pytest.mark.lab
@pytest.mark.long
def test_the_matrix_contradicts_firmware_that_calls_a_slowed_node_fast(
    kernel: Kernel, tmp_path: Path
) -> None:
    """The NVDIMM, which is slowed, is the fast node by the firmware."""
    options = "--initiators 1 --nodes 1 2 --operations read latency --size 4MiB --launches 3 --samples 2"
    more = "--sample-seconds 0.01 --precision 0 --threads 1 --json --results"
    result = hmexp.lab.run(
        [sys.executable, "-m", "hmexp", "matrix", *options.split(), *more.split(), str(tmp_path)],
        kernel.release, "hmat-false", 2400, writable=[tmp_path], slow_node=SLOW,
    )  # fmt: skip
    assert result.status == 0, result.text + result.stderr.decode(errors="replace")
    found = json.loads(next(line for line in result.text.splitlines() if line.startswith("{")))
    assert len(found["cells"]) == 4 and found["missing"] == []
    assert any("emulated: lab plugin" in label for label in found["labels"])
    texts = [each["text"] for each in found["disagreements"]]
    print(*texts, sep="\n")
    first = "The firmware gives node 2 a read bandwidth of 102.4 GB/s; measured from node 1"
    assert any(first in text for text in texts), texts
    for name in ("bandwidth", "latency"):
        words = f"says node 2 has the better read {name} of nodes 2 and 1; measured from node 1, node 1 has"
        assert any(words in text for text in texts), (words, texts)
