"""The doctor's findings on machines that are not here: trees in which a few files of a good one differ."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmexp.errors import TopologyError
from hmexp.machine.doctor import Diagnosis, Finding, Group, Severity, Subject, diagnose
from hmexp.machine.doctor.activity import Activity, Snapshot, compare, parse_interrupts, parse_stat
from hmexp.machine.doctor.cpus import judge_activity
from hmexp.machine.doctor.finding import Section
from hmexp.machine.doctor.kernel_options import parse_options, read_options
from hmexp.machine.doctor.registry import Check, carry_out
from hmexp.machine.doctor.results import find_file_system
from hmexp.machine.doctor.screen import Screen
from hmexp.system.lasting_record import LastingChange, LastingWeights

GIB_KB = 1 << 20
RELEASE = "6.12.0"
OPTIONS = (
    "NUMA", "PROC_PAGE_MONITOR", "MIGRATION", "USERFAULTFD", "TRANSPARENT_HUGEPAGE", "MODULES",
    "MEMORY_HOTPLUG",
)  # fmt: skip


def configure(*more: str) -> str:
    """The configuration of a kernel with what every machine needs, and more."""
    return "".join(f"CONFIG_{name}=y\n" for name in (*OPTIONS, *more))


#: A quiet machine with one node, on which all is fine.
GOOD = {
    "proc/sys/kernel/osrelease": RELEASE,
    "proc/sys/kernel/numa_balancing": "0",
    "proc/sys/vm/zone_reclaim_mode": "0",
    "proc/sys/vm/overcommit_memory": "0",
    "proc/sys/vm/max_map_count": "65530",
    "proc/cpuinfo": "processor\t: 0\nmodel name\t: Some Xeon\nflags\t\t: fpu sse2\n",
    "proc/meminfo": (
        f"MemTotal: {16 * GIB_KB} kB\nMemAvailable: {12 * GIB_KB} kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n"
    ),
    "proc/self/status": "Name:\tx\nCapEff:\t000001ffffffffff\nSeccomp:\t0\nMems_allowed_list:\t0\n",
    "proc/self/cgroup": "0::/job\n",
    "sys/fs/cgroup/cgroup.controllers": "cpuset cpu memory",
    "boot/config-6.12.0": configure(),
    "sys/devices/system/node/online": "0",
    "sys/devices/system/node/node0/cpulist": "0-1",
    "sys/devices/system/node/node0/distance": "10",
    "sys/devices/system/node/node0/meminfo": (
        f"Node 0 MemTotal: {16 * GIB_KB} kB\nNode 0 MemFree: {12 * GIB_KB} kB\n"
    ),
    "sys/devices/system/cpu/online": "0-1",
    "sys/devices/system/cpu/smt/active": "0",
    "sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc",
    "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never",
    "lib/modules/6.12.0/build/Makefile": "",
    "dev/hybridmem": "",
    "sys/module/hybridmem/version": "1.0",
    "sys/module/hybridmem/srcversion": "ABC",
    "checkout/kernel_module/main.c": 'MODULE_LICENSE("GPL");\nMODULE_VERSION("1.0");\n',
}


def examine_tree(folder: Path, changes: Mapping[str, str | None] = {}) -> Diagnosis:
    """Write the good machine with some files changed (None: not there), and examine it."""
    root = folder / "machine"
    for name, text in (GOOD | dict(changes)).items():
        if text is not None:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return diagnose(Subject(root, root / "checkout"))


def about(diagnosis: Diagnosis, what: str) -> Finding:
    """The one finding about something."""
    [found] = [finding for finding in diagnosis.findings if finding.about == what]
    return found


def test_a_good_machine_has_nothing_in_the_way(tmp_path: Path) -> None:
    diagnosis = examine_tree(tmp_path)
    assert diagnosis.ok
    # One node alone: that a sweep emulates the other is the only thing to know.
    assert [finding.about for finding in diagnosis.of(Severity.KNOW)] == ["slow memory"]
    assert {finding.group for finding in diagnosis.findings} >= set(Group) - {Group.RESULTS}


@pytest.mark.parametrize(
    ("changes", "what", "words", "remedy"),
    [
        ({"proc/sys/vm/zone_reclaim_mode": "1"}, "reclaim", "zone_reclaim_mode is 1", "sysctl"),
        ({"sys/kernel/mm/numa/demotion_enabled": "true"}, "demotion", "demotes", "demotion_enabled"),
        ({"sys/kernel/mm/ksm/run": "1"}, "KSM", "merges", "ksm/run"),
        ({"proc/meminfo": "SwapTotal: 8192 kB\nSwapFree: 4096 kB"}, "swap", "4MiB", "swapoff"),
        ({"sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages": "512"},
         "reserved huge pages", "1GiB", "sysctl"),
        ({"sys/kernel/mm/transparent_hugepage/enabled": None}, "huge pages", "has no transparent", None),
        (
            {"sys/kernel/mm/transparent_hugepage/enabled": "always madvise [never]"},
            "huge pages",
            "switched off",
            "echo madvise",
        ),
        ({"proc/sys/vm/overcommit_memory": "2"}, "overcommit", "refused", "sysctl"),
        ({"proc/sys/vm/max_map_count": "1024"}, "mappings", "is 1024", "max_map_count=65530"),
        (
            {
                "sys/devices/system/memory/auto_online_blocks": "offline",
                "sys/bus/dax/devices/dax0.0/size": "1073741824",
                "sys/bus/dax/devices/dax0.0/target_node": "-1",
                "boot/config-6.12.0": configure("DEV_DAX", "DEV_DAX_KMEM"),
            },
            "memory blocks",
            "auto_online_blocks is offline",
            "online_movable",
        ),
        ({"proc/cpuinfo": "flags\t: fpu hypervisor"}, "virtual machine", "neighbours", "--watch-noise"),
        ({"sys/devices/system/cpu/smt/active": "1"}, "SMT", "sibling", "smt/control"),
        (
            {"sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave"},
            "frequency",
            "powersave",
            "cpupower",
        ),
        ({"sys/devices/system/cpu/intel_pstate/no_turbo": "0"}, "turbo", "turbo is on", "no_turbo"),
        ({"sys/devices/system/cpu/cpufreq/boost": "1"}, "turbo", "turbo is on", "boost"),
        (
            {"sys/devices/system/clocksource/clocksource0/current_clocksource": "hpet"},
            "kernel's clock",
            "hpet",
            "tsc=reliable",
        ),
        ({"proc/self/status": "CapEff:\t0000000000000000\n"}, "rights", "CAP_SYS_ADMIN", "sudo"),
        ({"boot/config-6.12.0": None}, "kernel options", "unknown", "modprobe configs"),
        (
            {"boot/config-6.12.0": configure("KASAN")},
            "debugging kernel",
            "KASAN",
            "without these options",
        ),
        ({"sys/fs/cgroup/cpu.max": "150000 100000", "sys/fs/cgroup/job/cpu.max": "max 100000"},
         "CPU quota", "1.5 CPUs", "--cpus"),
        ({"proc/self/cgroup": "3:cpu,cpuacct:/job",
          "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": "200000",
          "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "100000"},
         "CPU quota", "2 CPUs", "--cpus"),
        ({"sys/fs/cgroup/job/memory.max": str(4 << 30)}, "memory limit", "memory.max", "--memory"),
        (
            {
                "sys/devices/system/node/online": "0-1",
                "sys/devices/system/node/node0/distance": "10 20",
                "sys/devices/system/node/node1/cpulist": "2-3",
                "sys/devices/system/node/node1/distance": "20 10",
                "sys/devices/system/node/node1/meminfo": (
                    f"Node 1 MemTotal: {16 * GIB_KB} kB\nNode 1 MemFree: {12 * GIB_KB} kB\n"
                ),
            },
            "nodes allowed",
            "node 1 may not be used",
            "--cpuset-mems",
        ),
        ({"sys/module/hybridmem/version": "0.9"}, "kernel module", "0.9 is loaded", "rmmod"),
        (
            {"checkout/kernel_module/hybridmem.ko": "\0version=1.0\0srcversion=DEF\0"},
            "kernel module",
            "not DEF",
            "rmmod",
        ),
        ({"dev/hybridmem": None}, "module's device", "cannot be found", "--device"),
    ],
)  # fmt: skip
def test_what_is_worth_knowing(
    tmp_path: Path, changes: Mapping[str, str | None], what: str, words: str, remedy: str | None
) -> None:
    diagnosis = examine_tree(tmp_path, changes)
    found = about(diagnosis, what)
    assert found.severity is Severity.KNOW
    assert words in found.seen
    assert found.remedy is None if remedy is None else remedy in (found.remedy or "")
    assert diagnosis.ok


WEIGHTS = "sys/kernel/mm/mempolicy/weighted_interleave"


def lasting(boot: str) -> str:
    """The record of weights 3 and 1 that were set for good, where automatic ones were."""
    changes = [
        LastingChange(f"/{WEIGHTS}/{name}", before, before, used)
        for name, before, used in (("node0", "5", "3"), ("node2", "2", "1"), ("auto", "true", "false"))
    ]
    return json.dumps(asdict(LastingWeights(boot, 1, tuple(changes))))


@pytest.mark.parametrize(
    ("now", "words"),
    [("1", "3 for node 0, 1 for node 2"), ("9", f"changed them: /{WEIGHTS}/node2 is 9 now, not 1")],
)
def test_weights_that_were_set_for_good(tmp_path: Path, now: str, words: str) -> None:
    files = {
        "proc/sys/kernel/random/boot_id": "this-boot", "run/hmexp/weights.applied": lasting("this-boot"),
        f"{WEIGHTS}/node0": "3", f"{WEIGHTS}/node2": now, f"{WEIGHTS}/auto": "false",
    }  # fmt: skip
    found = about(examine_tree(tmp_path, files), "lasting weights")
    assert found.severity is Severity.KNOW and found.seen.endswith(words)
    assert found.remedy == "hmexp weights --undo"
    # Of another boot, they are gone.
    files["run/hmexp/weights.applied"] = lasting("another-boot")
    diagnosis = examine_tree(tmp_path, files)
    assert "lasting weights" not in {each.about for each in diagnosis.findings}


@pytest.mark.parametrize(
    ("changes", "what", "words"),
    [
        ({"proc/cpuinfo": "model name\t: QEMU TCG CPU version 2.5+"}, "timings", "emulated in software"),
        ({"boot/config-6.12.0": "CONFIG_MODULES=y\n"}, "kernel options", "without NUMA"),
        (
            {"sys/devices/system/node/online": "", "sys/devices/system/node/node0/cpulist": "x"},
            "nodes",
            "nodes",
        ),
        ({"sys/fs/cgroup/job/cpu.max": "50000 100000"}, "CPU quota", "0.5 CPUs"),
        ({"sys/fs/cgroup/job/memory.max": str(64 << 20)}, "memory limit", "limited"),
        ({"proc/self/status": None}, "files of the kernel", "not mounted"),
    ],
)
def test_what_is_in_the_way(tmp_path: Path, changes: Mapping[str, str | None], what: str, words: str) -> None:
    diagnosis = examine_tree(tmp_path, changes)
    assert not diagnosis.ok
    blocked = [finding for finding in diagnosis.of(Severity.BLOCK) if finding.about == what]
    assert any(words in finding.seen for finding in blocked)


def test_the_next_step_to_the_module(tmp_path: Path) -> None:
    """What to do depends on what is missing: the module, its file, the headers, or any way to load one."""
    gone = {"sys/module/hybridmem/version": None, "sys/module/hybridmem/srcversion": None}
    absent = about(examine_tree(tmp_path / "a", gone), "kernel module")
    assert absent.remedy is not None and absent.remedy.startswith("make -C kernel_module")
    bare = gone | {"lib/modules/6.12.0/build/Makefile": None}
    absent = about(examine_tree(tmp_path / "b", bare), "kernel module")
    assert "headers" in absent.seen and "linux-headers-6.12.0" in (absent.remedy or "")
    installed = gone | {"lib/modules/6.12.0/updates/hybridmem.ko.xz": ""}
    assert about(examine_tree(tmp_path / "c", installed), "kernel module").remedy == "sudo modprobe hybridmem"
    fixed = gone | {"boot/config-6.12.0": "CONFIG_NUMA=y\n# CONFIG_MODULES is not set\n"}
    absent = about(examine_tree(tmp_path / "d", fixed), "kernel module")
    assert "loads no modules" in absent.seen and "hmexp lab" in (absent.remedy or "")


def test_options_matter_where_the_machine_needs_them(tmp_path: Path) -> None:
    """A kernel without CXL is fine, unless the firmware says that there is CXL memory."""
    assert not examine_tree(tmp_path / "a").of(Severity.BLOCK)
    with_cxl = examine_tree(tmp_path / "b", {"sys/firmware/acpi/tables/CEDT": "x"})
    seen = [finding.seen for finding in with_cxl.findings if finding.about == "kernel options"]
    assert any("CXL_REGION" in text for text in seen)
    assert any("DEV_DAX_KMEM" in text for text in seen)


def test_memory_that_is_there_but_not_usable(tmp_path: Path) -> None:
    """It is named with the next command, once, and a sweep emulates meanwhile."""
    device = {"sys/bus/dax/devices/dax0.0/size": str(8 << 30), "sys/bus/dax/devices/dax0.0/target_node": "1"}
    diagnosis = examine_tree(tmp_path, device)
    found = about(diagnosis, "idle memory")
    assert found.severity is Severity.KNOW
    assert "dax0.0" in found.seen and "8GiB" in found.seen
    assert "daxctl reconfigure-device --mode=system-ram dax0.0" in (found.remedy or "")
    assert sum("dax0.0" in one.seen for one in diagnosis.findings if one.group is Group.MEMORY) == 1
    assert about(diagnosis, "slow memory").severity is Severity.KNOW


def test_options_are_found_where_distributions_put_them(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/config.gz").write_bytes(gzip.compress(b"CONFIG_NUMA=y\n# CONFIG_KSM is not set\n")[:-9])
    folder = tmp_path / "lib/modules/7.3.1"
    folder.mkdir(parents=True)
    (folder / "config").write_text("CONFIG_CXL_BUS=m\n")
    # The first is cut off: the next one counts.
    assert read_options(tmp_path, "7.3.1") == ({"CXL_BUS": "m"}, folder / "config")
    assert read_options(tmp_path, None) is None


@given(st.text())
def test_any_text_of_options_is_read(text: str) -> None:
    assert all(name.isidentifier() or name[:1].isdigit() for name in parse_options(text))


@given(st.text(), st.text())
def test_any_text_of_the_kernel_is_read(stat: str, interrupts: str) -> None:
    parse_stat(stat)
    parse_interrupts(interrupts)


def test_interrupts_by_cpu_and_source() -> None:
    text = """           CPU0       CPU3
 24:          1          5  IO-APIC   5-edge      nvme0q1
LOC:     160442     237769   Local timer interrupts
ERR:          0
 25:          2          0  PCI-MSI 65536-edge      nvme0q1
"""
    assert parse_interrupts(text) == {
        0: {"nvme0q1": 3, "Local timer interrupts": 160442},
        3: {"nvme0q1": 5, "Local timer interrupts": 237769},
    }


def test_what_ran_between_two_moments() -> None:
    before = Snapshot(parse_stat("cpu0 100 0 0 900 0 0 0 0\ncpu1 0 0 0 1000 0 0 0 0"), {7: ("make", 10)})
    after = Snapshot(
        parse_stat("cpu0 180 0 10 910 0 0 0 0 0 0\ncpu1 0 0 0 1090 0 0 0 10 0 0"),
        {7: ("make", 70), 8: ("cc1", 30), 9: ("me", 5)},
    )
    found = compare(before, after, own=9)
    assert found is not None
    assert found.busy_cpus == pytest.approx(0.95)
    assert found.stolen_cpus == pytest.approx(0.1)
    assert found.busiest == (("make", 7, 0.6), ("cc1", 8, 0.3))
    assert compare(before, before) is None


@pytest.mark.parametrize(
    ("load", "used", "cpus", "severity"),
    [
        (0.2, 0.1, 2, Severity.FINE),
        (0.9, 0.1, 2, Severity.KNOW),
        (1.0, 0.1, 2, Severity.BLOCK),
        (6.0, None, 2, Severity.BLOCK),
        (6.0, 5.9, 64, Severity.KNOW),
        (9.0, 8.0, 64, Severity.BLOCK),
        # It has only just begun: the load average does not show it yet.
        (0.1, 2.0, 2, Severity.BLOCK),
        (None, None, 2, Severity.KNOW),
    ],
)
def test_a_busy_machine_is_in_the_way(
    load: float | None, used: float | None, cpus: int, severity: Severity
) -> None:
    activity = None if used is None else Activity(used, 0.0, (("make", 7, used),))
    found = judge_activity(load, activity, cpus)
    assert found.severity is severity
    if severity is Severity.BLOCK and used is not None and used > 1:
        assert "make (7)" in (found.remedy or "")


def test_a_check_that_fails_is_a_finding() -> None:
    section = Section(Group.MEMORY)

    def good_then_bad(_: Subject) -> list[Finding]:
        raise ZeroDivisionError("nothing to divide by")

    def refused(_: Subject) -> list[Finding]:
        raise TopologyError("no nodes", "boot another kernel")

    [found] = carry_out(Check(section, "odd", good_then_bad), Subject())
    assert found.severity is Severity.KNOW and "ZeroDivisionError" in found.seen
    [found] = carry_out(Check(section, "nodes", refused, on_error=Severity.BLOCK), Subject())
    assert (found.severity, found.seen, found.remedy) == (Severity.BLOCK, "no nodes", "boot another kernel")


def test_the_file_system_of_a_folder(tmp_path: Path) -> None:
    odd = tmp_path / "a b"
    odd.mkdir()
    mounts = f"/dev/sda1 / ext4 rw 0 0\ntmpfs {str(odd).replace(' ', chr(92) + '040')} tmpfs rw 0 0\nbroken\n"
    assert find_file_system(odd, mounts) == "tmpfs"
    assert find_file_system(tmp_path, mounts) == "ext4"
    assert find_file_system(tmp_path, "") is None


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_screen(tmp_path: Path, width: int) -> None:
    diagnosis = examine_tree(
        tmp_path, {"sys/kernel/mm/ksm/run": "1", "sys/fs/cgroup/job/cpu.max": "1000 100000"}
    )
    plain, coloured = Screen(width), Screen(width, colour=True)
    lines = [*plain.group(Group.MEMORY, memory(diagnosis)), *plain.verdict(diagnosis)]
    assert all(len(line) <= max(width, 50) for line in lines)
    assert lines[0] == "Memory and nodes"
    text = " ".join(" ".join(lines).split())
    assert "worth knowing KSM merges pages" in text
    assert "-> echo 0 | sudo tee /sys/kernel/mm/ksm/run" in text
    assert "In the way: CPU quota." in text
    assert not any("\033" in line for line in lines)
    assert any("\033" in line for line in coloured.group(Group.MEMORY, memory(diagnosis)))
    longer = list(Screen(width, verbose=True).group(Group.MEMORY, memory(diagnosis)))
    assert len(longer) > len(list(plain.group(Group.MEMORY, memory(diagnosis))))


def memory(diagnosis: Diagnosis) -> list[Finding]:
    return [finding for finding in diagnosis.findings if finding.group is Group.MEMORY]


def test_the_record_is_json(tmp_path: Path) -> None:
    record = msgspec.json.decode(msgspec.json.encode(examine_tree(tmp_path).to_record()))
    assert record["ok"] is True and record["counts"]["in the way"] == 0
    assert set(record["findings"][0]) == {"group", "about", "severity", "seen", "remedy", "details", "minor"}


@given(
    damage=st.dictionaries(
        st.sampled_from(sorted(GOOD)),
        st.one_of(st.none(), st.just(""), st.binary(max_size=40), st.just("directory"), st.just("denied")),
        max_size=6,
    )
)
def test_no_damage_ends_the_examination(
    damage: Mapping[str, bytes | str | None], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Files that are missing, empty, garbage, or no files at all: there is a diagnosis, and a screen."""
    root = tmp_path_factory.mktemp("damaged")
    for name, text in GOOD.items():
        path, wrong = root / name, damage.get(name, text)
        path.parent.mkdir(parents=True, exist_ok=True)
        if wrong == "directory":
            path.mkdir()
        elif wrong == "denied":
            # Root may read any file; a link to itself it cannot.
            path.symlink_to(path.name)
        elif wrong is not None:
            path.write_bytes(wrong.encode() if isinstance(wrong, str) else wrong)
    diagnosis = diagnose(Subject(root, root / "checkout"))
    assert diagnosis.findings
    assert msgspec.json.encode(diagnosis.to_record())
    for group in Group:
        members = [finding for finding in diagnosis.findings if finding.group is group]
        assert all(line.isprintable() for line in Screen(80, verbose=True).group(group, members))
    assert not any("could not be looked at" in finding.seen for finding in diagnosis.findings), (
        diagnosis.findings
    )


def test_one_remedy_for_many_findings_is_shown_once() -> None:
    section = Section(Group.PLACERS)
    findings = [section.know("a", "a fails", "allow it"), section.fine("b", "b works"),
                section.know("c", "c fails", "allow it"), section.block("d", "d fails", "allow it"),
                section.know("e", "e is odd"), section.know("f", "f is odd")]  # fmt: skip
    lines = list(Screen(100).group(Group.PLACERS, findings))
    assert [" ".join(line.split()) for line in lines] == [
        "Placers and module", "fine b works", "in the way d fails", "-> allow it",
        "worth knowing a fails; c fails", "-> as above", "worth knowing e is odd", "worth knowing f is odd",
    ]  # fmt: skip
