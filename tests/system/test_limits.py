"""What a process may use: cpusets, cgroups of both versions, containers, and trees that are damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmexp.process import ChildError
from hmexp.system.cgroups import anonymous
from hmexp.system.limits import Limits, count_throttled, read_limits
from hmexp.system.oom import OomKills
from hmexp.system.topology import Topology, read_topology

MIB = 1 << 20
HEX = "0d" * 32
POD = "kubepods/burstable/pod1b4f9c2e-0000-4000-8000-000000000001"


class Tree:
    """A machine of two sockets, with the files of its cgroups."""

    def __init__(self, sys_root: Path, proc_root: Path) -> None:
        self.sys_root, self.proc_root = sys_root, proc_root
        self.cgroup = self.sys_root / "fs/cgroup"

    def write(self, files: dict[str, str]) -> Tree:
        """Write files: those below ``self/`` to `/proc`, others to `/sys/fs/cgroup`."""
        for name, text in files.items():
            path = self.path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n", encoding="utf-8")
        return self

    def path(self, name: str) -> Path:
        return (self.proc_root if name.startswith("self/") else self.cgroup) / name

    def limits(self) -> Limits:
        return read_limits(self.sys_root, self.proc_root)

    def topology(self) -> Topology:
        return read_topology(self.sys_root, self.proc_root)


@pytest.fixture
def tree(capture: Callable[[str], tuple[Path, Path]]) -> Tree:
    return Tree(*capture("two-sockets"))


def mount(root: str, point: str, controllers: str | None = None) -> str:
    kind, options = ("cgroup2", "rw") if controllers is None else ("cgroup", f"rw,{controllers}")
    return f"31 23 0:28 {root} {point} rw,relatime shared:9 - {kind} {kind} {options}"


def test_nothing_said_is_no_limit(tree: Tree) -> None:
    limits = tree.limits()
    assert limits == Limits()
    assert limits.may_use(0)
    assert limits.may_use(1)
    assert limits.memory_left_bytes is None
    assert limits.to_record() is None


def test_mems_allowed_forbids_the_other_node(tree: Tree) -> None:
    tree.write({"self/status": "Name:\tpython\nMems_allowed:\t2\nMems_allowed_list:\t1"})
    topology = tree.topology()
    assert [topology.may_use(node) for node in (0, 1)] == [False, True]
    assert str(topology.limits.forbids(0)) == f"{tree.proc_root}/self/status says Mems_allowed_list: 1"
    assert topology.node(0).free_bytes == 0
    assert topology.node(1).free_bytes > 0
    assert [node.id for node in topology.usable_nodes] == [node.id for node in topology.dram_nodes] == [1]
    assert "Node 0 may not be used: /proc/self/status says Mems_allowed_list: 1." in topology.notes


def test_the_nodes_as_bits_will_do(tree: Tree) -> None:
    tree.write({"self/status": "Mems_allowed:\t00000001,00000002"})
    assert tree.limits().nodes[0].nodes == (1, 32)


def test_a_cpuset_that_is_mounted_without_prefix(tree: Tree) -> None:
    tree.write({
        "self/cgroup": "4:cpuset:/job",
        "self/mountinfo": "31 23 0:28 / /dev/cpuset rw - cgroup none rw,cpuset,noprefix",
        "../../../dev/cpuset/job/mems": "1",
    })  # fmt: skip
    assert [tree.limits().may_use(node) for node in (0, 1)] == [False, True]


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
    note = next(note for note in tree.topology().notes if "limited" in note)
    assert "/sys/fs/cgroup/*/memory.max says 314572800 (300MiB)" in note


def test_high_counts_as_well_as_max(tree: Tree) -> None:
    tree.write({
        "self/cgroup": "0::/job",
        "job/memory.max": str(300 * MIB),
        "job/memory.high": str(200 * MIB),
        "job/memory.current": str(50 * MIB),
    })  # fmt: skip
    assert tree.limits().memory[0].path.name == "memory.high"
    assert tree.limits().memory_left_bytes == 150 * MIB


def test_version_1_beside_the_unified_hierarchy(tree: Tree) -> None:
    tree.write({
        "self/cgroup": "4:memory:/job\n3:cpuset:/job/part\n0::/other",
        "memory/job/memory.limit_in_bytes": str(300 * MIB),
        "memory/job/memory.usage_in_bytes": str(50 * MIB),
        "memory/job/memory.stat": f"inactive_file 1\ntotal_inactive_file {10 * MIB}",
        "memory/memory.limit_in_bytes": "9223372036854771712",
        # A new cpuset of version 1 is empty, and whoever is in it has its parent's.
        "cpuset/job/part/cpuset.mems": "",
        "cpuset/job/cpuset.mems": "1",
        "other/cpuset.mems.effective": "0",
    })  # fmt: skip
    limits = tree.limits()
    assert [limit.limit_bytes for limit in limits.memory] == [300 * MIB]
    assert limits.memory_left_bytes == 260 * MIB
    assert str(limits.forbids(0)) == f"{tree.cgroup}/cpuset/job/cpuset.mems says 1"


def test_groups_without_hierarchy_are_not_limited_from_above(tree: Tree) -> None:
    tree.write({
        "self/cgroup": "4:memory:/a/b",
        "memory/a/b/memory.limit_in_bytes": str(300 * MIB),
        "memory/a/memory.limit_in_bytes": str(10 * MIB),
        "memory/a/memory.use_hierarchy": "0",
    })  # fmt: skip
    assert [limit.limit_bytes for limit in tree.limits().memory] == [300 * MIB]


def test_a_limit_above_what_a_container_sees_is_found_in_its_statistics(tree: Tree) -> None:
    tree.write({
        "self/cgroup": f"4:memory:/docker/{HEX}",
        "self/mountinfo": mount(f"/docker/{HEX}", "/sys/fs/cgroup/memory", "memory"),
        "memory/memory.limit_in_bytes": "9223372036854771712",
        "memory/memory.usage_in_bytes": str(30 * MIB),
        "memory/memory.stat": f"hierarchical_memory_limit {100 * MIB}",
    })  # fmt: skip
    assert tree.limits().memory_left_bytes == 70 * MIB
    assert "memory.stat says hierarchical_memory_limit: 104857600" in str(tree.limits().memory[0])


@pytest.mark.parametrize(
    ("cgroup", "mounts", "folder"),
    [
        # docker, podman and Kubernetes with version 1, no cgroup namespace: the mount starts at the group
        (f"4:memory:/docker/{HEX}", [mount(f"/docker/{HEX}", "/sys/fs/cgroup/memory", "memory")], "memory"),
        (f"4:memory:/{POD}/{HEX}", [mount(f"/{POD}/{HEX}", "/sys/fs/cgroup/memory", "memory")], "memory"),
        (f"4:memory:/{POD}/{HEX}/inner", [mount(f"/{POD}", "/sys/fs/cgroup/memory", "memory")],
         f"memory/{HEX}/inner"),
        # the same, where the path does not exist in the mounted hierarchy
        (f"4:memory:/docker/{HEX}", [mount("/", "/sys/fs/cgroup/memory", "memory")], "memory"),
        (f"4:memory:/docker/{HEX}/x", [mount("/", "/sys/fs/cgroup/memory", "memory")], "memory/x"),
        (f"4:memory:/docker/{HEX}", [], "memory"),
        # two controllers in one hierarchy, and a link to it
        ("4:cpu,memory:/job", [mount("/", "/sys/fs/cgroup/cpu,memory", "cpu,memory")], "cpu,memory/job"),
        # version 2: a cgroup namespace, one entered from outside, systemd, LXC
        ("0::/", [mount("/", "/sys/fs/cgroup")], "."),
        ("0::/", [], "."),
        ("0::/../..", [mount("/../..", "/sys/fs/cgroup")], "."),
        ("0::/../../job", [mount("/../..", "/sys/fs/cgroup")], "job"),
        ("0::/../..", [mount("/", "/sys/fs/cgroup")], "."),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-u1.scope",
         [mount("/", "/sys/fs/cgroup")],
         "user.slice/user-1000.slice/user@1000.service/app.slice/run-u1.scope"),
        ("0::/lxc.payload.box/.lxc", [mount("/lxc.payload.box", "/sys/fs/cgroup")], ".lxc"),
        # both: version 2 in its own place
        ("1:name=systemd:/x\n0::/job", [mount("/", "/sys/fs/cgroup/unified")], "unified/job"),
        ("1:name=systemd:/x\n0::/job", [], "unified/job"),
        # elsewhere, with a space in the name
        ("0::/job", [mount("/", "/mnt/my\\040groups")], "../../../mnt/my groups/job"),
        # removed while we are in it: what is above still limits
        ("0::/job/gone (deleted)", [mount("/", "/sys/fs/cgroup")], "job"),
    ],
)  # fmt: skip
def test_where_the_own_group_is(tree: Tree, cgroup: str, mounts: list[str], folder: str) -> None:
    version_1 = "memory" in cgroup
    name = "memory.limit_in_bytes" if version_1 else "memory.max"
    tree.write({
        "self/cgroup": cgroup,
        "self/mountinfo": "\n".join(["23 1 0:22 / /proc rw - proc proc rw", "torn", *mounts]),
        f"{folder}/{name}": str(300 * MIB),
    })  # fmt: skip
    limits = tree.limits().memory
    assert [limit.limit_bytes for limit in limits] == [300 * MIB]
    assert limits[0].path.resolve() == (tree.cgroup / folder / name).resolve()


def test_a_group_below_an_unknown_name_is_found_by_its_processes(tree: Tree) -> None:
    """`unshare --cgroup` keeps the old mount, whose root is then ``/../..``: the names between are hidden."""
    tree.write({
        "self/cgroup": "0::/",
        "self/status": "Name:\tpython\nPid:\t4711",
        "self/mountinfo": mount("/../..", "/sys/fs/cgroup"),
        "a/one/cgroup.procs": "1\n2",
        "a/one/memory.max": "1",
        "a/two/cgroup.procs": "2\n4711",
        "a/two/memory.max": str(300 * MIB),
    })  # fmt: skip
    assert tree.limits().memory[0].path == tree.cgroup / "a/two/memory.max"


def test_a_group_outside_of_its_namespace_is_not_mistaken_for_another(tree: Tree) -> None:
    tree.write({
        "self/cgroup": "0::/../sibling",
        "self/status": "Name:\tpython\nPid:\t4711",
        "self/mountinfo": mount("/", "/sys/fs/cgroup"),
        "cgroup.procs": "1\n2",
        "memory.max": "1",
    })  # fmt: skip
    assert tree.limits().memory == ()


def test_files_of_another_group_do_not_overrule_the_kernel(tree: Tree) -> None:
    tree.write({
        "self/cgroup": "0::/",
        "self/status": "Mems_allowed_list:\t1",
        "cpuset.mems.effective": "0",
    })  # fmt: skip
    limits = tree.limits()
    assert [limits.may_use(node) for node in (0, 1)] == [False, True]


def test_quotas(tree: Tree) -> None:
    tree.write({
        "self/cgroup": "0::/a/b", "a/b/cpu.max": "max 100000", "a/cpu.max": "150000 100000",
    })  # fmt: skip
    quota = tree.limits().cpu[0]
    assert (quota.cpus, quota.value, quota.path) == (1.5, "150000 100000", tree.cgroup / "a/cpu.max")


def test_throttling_is_counted_where_there_is_a_quota(tree: Tree) -> None:
    tree.write({"self/cgroup": "0::/a", "a/cpu.max": "max 100000", "a/cpu.stat": "nr_throttled 7"})
    assert count_throttled(tree.sys_root, tree.proc_root) is None
    tree.write({"a/cpu.max": "50000 100000"})
    assert count_throttled(tree.sys_root, tree.proc_root) == 7


def test_limits_of_one_process(tree: Tree) -> None:
    tree.write({
        "self/limits": "Limit   Soft Limit  Hard Limit  Units\n"
        "Max data size             unlimited            unlimited            bytes     \n"
        "Max address space         1073741824           unlimited            bytes     ",
        "self/status": "VmSize:\t  102400 kB\nVmData:\t 1 kB",
    })  # fmt: skip
    (limit,) = tree.limits().process
    assert (limit.name, limit.limit_bytes, limit.left_bytes) == ("Max address space", 1 << 30, 924 * MIB)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (f"/x/sys/fs/cgroup/memory/docker/{HEX}/memory.max", "/sys/fs/cgroup/memory/docker/*/memory.max"),
        ("/sys/fs/cgroup/user.slice/ada.scope/a", "/sys/fs/cgroup/user.slice/*/a"),
        ("/home/ada/groups/b/memory.max", "*/memory.max"),
        ("/proc/self/status", "/proc/self/status"),
    ],
)  # fmt: skip
def test_what_is_stored_names_nobody(path: str, shown: str) -> None:
    assert anonymous(Path(path)) == shown


KILLED = ChildError("Killed", "was killed by SIGKILL (see dmesg)", "", "SIGKILL")


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        ("memory/job/memory.oom_control", "memory/job/memory.limit_in_bytes"),
        ("job/memory.events", "memory.max"),
    ],
)
def test_a_kill_is_explained_by_the_counter_that_rose(tree: Tree, path: str, limit: str) -> None:
    tree.write({
        "self/cgroup": "4:memory:/job" if "control" in path else "0::/job",
        path: "low 0\noom_kill 3", limit: str(300 * MIB),
    })  # fmt: skip
    kills = OomKills.read(tree.sys_root, tree.proc_root)
    assert kills.explain(KILLED) == KILLED.reason
    tree.write({path: "low 0\noom_kill 5"})
    assert f"{tree.cgroup / path} counts 2 more oom_kill" in kills.explain(KILLED)
    assert f"{tree.cgroup / limit} says {300 * MIB}" in kills.explain(KILLED)
    assert kills.explain(ChildError("Timeout", "took too long")) == "took too long"


def test_a_kill_without_a_group_is_looked_for_on_the_machine(tree: Tree) -> None:
    (tree.proc_root / "vmstat").write_text("oom_kill 7\n")
    kills = OomKills.read(tree.sys_root, tree.proc_root)
    (tree.proc_root / "vmstat").write_text("oom_kill 8\n")
    assert "bound to" in kills.explain(KILLED)


PATHS = (
    "self/cgroup", "self/mountinfo", "self/status", "self/limits", "memory.max", "memory.high",
    "memory.current", "memory.stat", "memory.events", "cpuset.mems.effective", "cpu.max",
    "memory/job/memory.limit_in_bytes",
    "memory/job/memory.usage_in_bytes", "memory/job/memory.stat", "memory/job/memory.use_hierarchy",
    "memory/job/memory.oom_control", "cpuset/job/cpuset.mems", "cpu/cpu.cfs_quota_us",
    "cpu/cpu.cfs_period_us", "job/memory.max", "job/cpuset.mems",
)  # fmt: skip
DAMAGE = st.one_of(
    st.text(alphabet=st.characters(codec="utf-8"), max_size=40),
    st.sampled_from([
        "", "max", "-1", "0", "9" * 30, "9" * 5000, "18446744073709551615", "max 100000", "100000 0",
        "100000 max",
        "0-", "5-1", "0-99999999999", "4:memory:/job\n3:cpuset:/job\n1:cpu:/\n0::/", "0::/../..", "0::/\0",
        "4:memory:job", "::", "0::/" + "x/" * 600, "0::/" + "y" * 5000, mount("/", "/sys/fs/cgroup"),
        mount("/../..", "/sys/fs/cgroup"), mount("/x", "/sys/fs/cgroup/memory", "memory"),
        mount("/", "/../../\\000"), "1 2 3 - cgroup2", "Mems_allowed_list:\t", "Mems_allowed_list:\t0-1,9",
        "Mems_allowed_list:\t\u0661", "Max address space", "Max address space 1 1 bytes", "oom_kill x",
        "inactive_file -5", "inactive_file " + "9" * 400,
    ]),
)  # fmt: skip


@given(files=st.dictionaries(st.sampled_from(PATHS), st.one_of(st.none(), DAMAGE), max_size=len(PATHS)))
def test_no_damage_ends_in_an_exception(captures: ModuleType, files: dict[str, str | None]) -> None:
    """None stands for a folder where a file should be, which cannot be read even by root."""
    with TemporaryDirectory() as folder:
        damaged = Tree(*captures.write_capture("two-sockets", Path(folder)))
        for name, text in files.items():
            if text is not None:
                damaged.write({name: text})
            else:
                damaged.path(name).mkdir(parents=True)
        limits = damaged.limits()
        assert all(limit.left_bytes >= 0 for limit in (*limits.memory, *limits.process))
        assert all(quota.cpus > 0 for quota in limits.cpu)
        assert OomKills.read(damaged.sys_root, damaged.proc_root).explain(KILLED)
        assert all(node.free_bytes >= 0 for node in damaged.topology().nodes)
