"""What a process may use: cpusets, cgroups of both versions, and trees that are damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from hmexp.system.limits import Limits, read_limits
from hmexp.system.topology import Topology, read_topology
from tests.captures import write_capture

MIB = 1 << 20


class Tree:
    """A machine of two sockets, with the files of its cgroups."""

    def __init__(self, folder: Path) -> None:
        self.sys_root, self.proc_root = write_capture("two-sockets", folder)
        self.cgroup = self.sys_root / "fs/cgroup"

    def write(self, files: dict[str, str]) -> Tree:
        """Write files: those below ``self/`` to `/proc`, others to `/sys/fs/cgroup`."""
        for name, text in files.items():
            path = (self.proc_root if name.startswith("self/") else self.cgroup) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n")
        return self

    def limits(self) -> Limits:
        return read_limits(self.sys_root, self.proc_root)

    def topology(self) -> Topology:
        return read_topology(self.sys_root, self.proc_root)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def mount(root: str, point: str, kind: str = "cgroup2", options: str = "rw") -> str:
    return f"31 23 0:28 {root} {point} rw,relatime shared:9 - {kind} {kind} {options}"


def test_nothing_said_is_no_limit(tree: Tree) -> None:
    limits = tree.limits()
    assert limits.may_use(0)
    assert limits.may_use(1)
    assert limits.memory_left_bytes is None


def test_mems_allowed_forbids_the_other_node(tree: Tree) -> None:
    tree.write({"self/status": "Name:\tpython\nMems_allowed:\t2\nMems_allowed_list:\t1"})
    topology = tree.topology()
    assert [topology.may_use(node) for node in (0, 1)] == [False, True]
    assert str(topology.limits.forbids(0)) == f"{tree.proc_root}/self/status says Mems_allowed_list: 1"
    assert topology.node(0).free_bytes == 0
    assert any("Node 0 may not be used" in note for note in topology.notes)


def test_an_ancestor_of_version_2_limits_too(tree: Tree) -> None:
    tree.write({
        "self/cgroup": "0::/a.slice/b.scope",
        "self/mountinfo": mount("/", "/sys/fs/cgroup"),
        "a.slice/b.scope/memory.max": "max",
        "a.slice/memory.max": str(300 * MIB),
        "a.slice/memory.current": str(120 * MIB),
        "a.slice/memory.stat": f"anon 5\nfile 4\ninactive_file {20 * MIB}",
    })  # fmt: skip
    limits = tree.limits()
    assert limits.memory_left_bytes == 200 * MIB
    assert limits.memory[0].path == tree.cgroup / "a.slice/memory.max"
    assert max(node.free_bytes for node in tree.topology().nodes) == 200 * MIB


def test_version_1_beside_the_unified_hierarchy(tree: Tree) -> None:
    tree.write({
        "self/cgroup": "4:memory:/job\n3:cpuset:/job/part\n0::/other",
        "memory/job/memory.limit_in_bytes": str(300 * MIB),
        "memory/job/memory.usage_in_bytes": str(50 * MIB),
        "memory/job/memory.stat": f"inactive_file 1\ntotal_inactive_file {10 * MIB}",
        "memory/memory.limit_in_bytes": "9223372036854771712",
        "cpuset/job/part/cpuset.mems": "",
        "cpuset/job/cpuset.mems": "1",
    })  # fmt: skip
    limits = tree.limits()
    assert [limit.limit_bytes for limit in limits.memory] == [300 * MIB]
    assert limits.memory_left_bytes == 260 * MIB
    assert str(limits.forbids(0)) == f"{tree.cgroup}/cpuset/job/cpuset.mems says 1"
