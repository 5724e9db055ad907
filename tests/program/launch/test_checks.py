"""What is said before a program starts."""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from hmexp.errors import CapacityError, HmexpError, StartError
from hmexp.native.refusal import Call
from hmexp.pattern import Pattern
from hmexp.program.launch import checks, linkage, ways
from hmexp.program.launch.checks import check_call, check_nodes, check_program, find_warnings, read_zones
from hmexp.program.launch.counters import find_fallback
from hmexp.program.launch.executable import Executable, find_executable
from hmexp.program.launch.request import Request, StartOptions
from hmexp.store.program_records import PlacementSample
from hmexp.system.dax import NodeKind
from hmexp.system.limit import AllowedNodes, MemoryLimit
from hmexp.system.limits import Limits
from hmexp.system.node import Node
from hmexp.system.topology import Topology

GIB = 1 << 30
NODES = (
    Node(0, NodeKind.DRAM, (0,), 8 * GIB, 4 * GIB),
    Node(1, NodeKind.DRAM, (1,), 0, 0),
    Node(2, NodeKind.CXL, (), 8 * GIB, 8 << 20),
    Node(3, NodeKind.CXL, (), 8 * GIB, 2 * GIB),
)
ZONES = """Node 0, zone    DMA32
        managed  262144
Node 0, zone   Normal
  pages free     17
        managed  1835008
Node 3, zone   Normal
        managed  0
Node 3, zone  Movable
        managed  2097152
"""


def request_for(text: str | None, *words: str, options: StartOptions | None = None) -> Request:
    pattern = None if text is None else Pattern.parse(text)
    program = Executable("/bin/true")
    return Request(words or ("true",), program, pattern, Topology(NODES), options or StartOptions())


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("0,4", None, "node 4 does not exist: this machine has 0-3"),
        ("0,1", None, "node 1 has no memory"),
        ("0,2", None, "node 2 is full: 8MiB of 8GiB are free"),
        ("0,3", StartOptions(needs_bytes=6 * GIB), "needs 3GiB on node 3"),
    ],
)
def test_nodes_without_room_are_refused(text: str, options: StartOptions | None, said: str) -> None:
    with pytest.raises(HmexpError, match=said) as error:
        check_nodes(request_for(text, options=options))
    assert error.value.remedy
    check_nodes(request_for("0,3", options=StartOptions(needs_bytes=2 * GIB)))
    check_nodes(request_for(None))


def test_a_cpuset_and_a_limit_are_named() -> None:
    allowed = AllowedNodes((0,), Path("/proc/self/status"), "Mems_allowed_list: 0")
    limit = MemoryLimit(Path("/sys/fs/cgroup/memory.max"), GIB, GIB - (1 << 20))
    asked = request_for("0,3")
    with pytest.raises(HmexpError, match=r"node 3 may not be used: .*Mems_allowed_list: 0"):
        check_nodes(replace(asked, topology=Topology(NODES, limits=Limits((allowed,)))))
    with pytest.raises(CapacityError, match=r"only 1MiB more: .*memory.max"):
        check_nodes(replace(asked, topology=Topology(NODES, limits=Limits(memory=(limit,)))))


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        ("systemctl start redis", True),
        ("/usr/bin/systemctl --user restart x", True),
        ("docker run -it debian", True),
        ("systemd-run sort x", True),
        ("systemd-run --scope sort x", False),
        ("systemctl status redis", False),
        ("sort start", False),
    ],
)
def test_launchers_place_no_process(words: str, refused: bool) -> None:
    asked = request_for("0", *words.split())
    if not refused:
        check_program(asked)
        return
    with pytest.raises(StartError, match="no process would be placed") as error:
        check_program(asked)
    assert "hmexp move" in str(error.value)


def test_a_filter_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    check_call(Call.SET_MEMPOLICY, "policy")
    monkeypatch.setattr(checks, "is_filtered", lambda call: call is Call.SET_MEMPOLICY)
    with pytest.raises(StartError, match="seccomp filter refuses set_mempolicy here, which policy needs"):
        check_call(Call.SET_MEMPOLICY, "policy")


def test_exact_ways_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel takes nodes in the order of their numbers: a policy has the ratio of 3,0, not its order."""
    nodes = Topology((replace(NODES[0], free_bytes=8 * GIB), NODES[3]))
    monkeypatch.setattr(ways, "read_topology", lambda: nodes)
    for text, way in (("0,3", "policy"), ("3,0", "follow")):
        prepared = ways.prepare(["true"], "auto", Pattern.parse(text))
        prepared.close()
        assert (prepared.plan.way, prepared.plan.promise) == (way, "exact"), prepared.plan
        refused = {each.way: each.reason for each in prepared.refused}
        assert ("the ratio only: the kernel takes nodes" in refused.get("policy", "")) is (way == "follow")
    # Where pages may not be moved, the ratio is better than nothing; asked for by its name, it needs no more.
    monkeypatch.setattr(checks, "is_filtered", lambda call: call is Call.MOVE_PAGES)
    for asked in ("auto", "policy"):
        prepared = ways.prepare(["true"], asked, Pattern.parse("3,0"))
        prepared.close()
        assert (prepared.plan.way, prepared.plan.promise) == ("policy", "ratio"), prepared.plan
        names = [each.way for each in prepared.refused]
        assert names == (["preload", "follow"] if asked == "auto" else [])
        assert ("no way puts each page in its place here" in prepared.plan.why) is (asked == "auto")


def test_warnings(tmp_path: Path) -> None:
    """Zones by node, overcommit, balancing: each where it matters, and nothing on a plain machine."""
    sysctl = tmp_path / "sys" / "vm"
    (tmp_path / "sys" / "kernel").mkdir(parents=True)
    sysctl.mkdir()
    assert find_warnings(request_for("0,3"), "policy", tmp_path) == ()
    (tmp_path / "zoneinfo").write_text(ZONES)
    (sysctl / "overcommit_memory").write_text("2\n")
    (sysctl / "max_map_count").write_text("65530\n")
    (tmp_path / "meminfo").write_text("CommitLimit:  1048576 kB\nCommitted_AS:  524288 kB\n")
    (tmp_path / "sys" / "kernel" / "numa_balancing").write_text("1\n")
    assert read_zones(tmp_path) == {0: {"DMA32": GIB, "Normal": 7 * GIB}, 3: {"Movable": 8 * GIB}}
    zones, overcommit = find_warnings(request_for("0,3"), "policy", tmp_path)
    assert "node 3 has movable memory alone (zone Movable, 8GiB)" in zones
    assert "512MiB may still be promised" in overcommit and "BGSAVE" in overcommit
    found = find_warnings(request_for("0"), "preload", tmp_path)
    assert "max_map_count, 65530" in found[0] and "numa_balancing is on" in found[1]


def test_programs_are_found_and_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "script"
    script.write_text("#!/usr/bin/env -S sh -e\n")
    script.chmod(0o755)
    assert find_executable(["script"], {"PATH": str(tmp_path)}) == Executable(str(script))
    program = tmp_path / "program"
    shutil.copy("/bin/true", program)
    program.chmod(0o755 | stat.S_ISUID)
    assert find_executable([str(program)]).privileges is None  # one's own rights
    monkeypatch.setattr(linkage.os, "geteuid", lambda: os.getuid() + 1)
    found = find_executable([str(program)])
    assert found.privileges is not None and "set-user-ID" in found.privileges
    warning = find_warnings(replace(request_for("0"), executable=found), "policy", tmp_path)
    assert "only root can see" in warning[0]
    for words, status in (
        (["gone"], 127),
        ([str(tmp_path)], 126),
        ([str(tmp_path / "gone")], 127),
        ([""], 125),
    ):
        with pytest.raises(StartError) as error:
            find_executable(words, {"PATH": str(tmp_path)})
        assert error.value.status == status


def test_falling_back_is_said() -> None:
    pattern = Pattern.parse("0,2,2")
    before = {"numa_foreign.2": 10}
    fine = PlacementSample(seconds=1, anonymous_by_node={0: 1000, 2: 2000}, in_place=3000)
    assert find_fallback(pattern, fine, before, before).text is None
    short = PlacementSample(seconds=1, anonymous_by_node={0: 2000, 2: 1000}, in_place=2000, misplaced=1000)
    found = find_fallback(pattern, short, before, {"numa_foreign.2": 1010})
    assert (found.misplaced_pages, found.outside_pages, found.missed) == (1000, 0, {2: 1000})
    assert (
        found.text is not None
        and "node 2 has 1000 pages less" in found.text
        and "1000 meant for" in found.text
    )
    outside = PlacementSample(seconds=1, anonymous_by_node={0: 1000, 1: 2000}, misplaced=2000)
    assert "2000 pages are on nodes that the pattern does not have" in str(
        find_fallback(pattern, outside, before, before).text
    )
    assert "not known" in str(find_fallback(pattern, None, before, {"numa_foreign.2": 11}).text)
