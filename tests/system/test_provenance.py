"""What is told about the machine, and what is kept back."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hmexp.store.provenance import Provenance
from hmexp.system.checkout import describe_checkout
from hmexp.system.provenance import collect, timing_validity

Capture = Callable[[Any], tuple[Path, Path]]
CLOCKS = "devices/system/clocksource/clocksource0/available_clocksource"


def round_trip(state: Provenance) -> Provenance:
    return msgspec.json.decode(msgspec.json.encode(state), type=Provenance)


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


def cpuinfo(model: str) -> str:
    return f"processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: {model}\nflags\t\t: fpu hypervisor\n"


@pytest.fixture
def machine(capture: Capture) -> tuple[Path, Path]:
    """A machine with every file that is looked at."""
    sys_root, proc_root = capture("optane")
    cpus = [f"{cpuinfo('Some Xeon')}microcode\t: 0x500360{n}\n" for n in (6, 5)]
    put(proc_root / "cpuinfo", "\n".join(cpus))
    put(proc_root / "cmdline", "BOOT_IMAGE=/vmlinuz root=UUID=1234 ip=10.0.0.7 numa_balancing=disable "
        "systemd.hostname=lab7 memmap=4G!12G mitigations=off quiet -- mem=7 secret")  # fmt: skip
    put(proc_root / "loadavg", "0.50 0.25 0.10 1/234 5678")
    put(proc_root / "self/cgroup", "0::/user/one")
    put(proc_root / "sys/kernel/osrelease", "6.12.0")
    put(proc_root / "sys/kernel/hostname", "lab7")
    put(proc_root / "sys/kernel/numa_balancing", "1")
    put(proc_root / "sys/vm/max_map_count", "65530")
    put(sys_root / "fs/cgroup/user/one/cpu.max", "max 100000")
    put(sys_root / "kernel/mm/transparent_hugepage/enabled", "always [madvise] never")
    put(sys_root / "kernel/mm/transparent_hugepage/defrag", "always defer defer+madvise [madvise] never")
    put(sys_root / "kernel/mm/numa/demotion_enabled", "false")
    put(sys_root / "kernel/mm/mempolicy/weighted_interleave/node0", "5")
    put(sys_root / "kernel/mm/mempolicy/weighted_interleave/auto", "true")
    put(sys_root / "devices/system/cpu/online", "0-7")
    put(sys_root / "devices/system/cpu/intel_pstate/no_turbo", "1")
    for cpu, governor in enumerate(["performance", "powersave", "performance"]):
        put(sys_root / f"devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor", governor)
    cache = sys_root / "devices/system/cpu/cpu0/cache/index3"
    put(cache / "level", "3")
    put(cache / "type", "Unified")
    put(cache / "size", "36864K")
    put(sys_root / CLOCKS, "tsc hpet")
    put(sys_root / "class/dmi/id/sys_vendor", "Some Vendor")
    put(sys_root / "class/dmi/id/product_serial", "SERIAL-42")
    put(sys_root / "class/dmi/id/bios_version", "2.1")
    put(sys_root / "class/dmi/id/bios_date", "01/02/2026")
    put(sys_root / "module/hybridmem/version", "1.0")
    put(
        sys_root / "kernel/mm/transparent_hugepage/shmem_enabled",
        "always within_size advise [never] deny force",
    )
    put(sys_root / "devices/system/cpu/vulnerabilities/meltdown", "Mitigation: PTI")
    put(sys_root / "devices/system/cpu/smt/control", "off")
    put(sys_root / "devices/system/cpu/cpuidle/current_driver", "intel_idle")
    put(sys_root / "devices/system/cpu/cpuidle/current_governor", "menu")
    for cpu, most in enumerate([3_900_000, 2_100_000]):
        put(sys_root / f"devices/system/cpu/cpu{cpu}/cpufreq/scaling_max_freq", str(most))
        put(sys_root / f"devices/system/cpu/cpu{cpu}/cpufreq/scaling_min_freq", "800000")
        put(sys_root / f"devices/system/cpu/cpu{cpu}/cpufreq/scaling_driver", "intel_pstate")
    return sys_root, proc_root


def test_state_of_a_machine(machine: tuple[Path, Path]) -> None:
    state = collect(*machine)
    facts = {
        "kernel": "6.12.0",
        "cpu_model": "Some Xeon",
        "cpus_online": 8,
        "cpu_governors": ["performance", "powersave"],
        "turbo": False,
        "microcode": ["0x5003605", "0x5003606"],
        "cpu_frequency": {
            "drivers": ["intel_pstate"],
            "preferences": None,
            "least_khz": 800_000,
            "most_khz": 3_900_000,
            "hardware_most_khz": None,
            "base_khz": None,
        },
        "cpu_idle": {"driver": "intel_idle", "governor": "menu"},
        "mitigations": {"meltdown": "Mitigation: PTI"},
        "smt_control": "off",
        "thp_shmem": "never",
        "hybridmem": {"version": "1.0", "srcversion": None},
        "firmware": {
            "bios_vendor": None,
            "bios_version": "2.1",
            "bios_date": "01/02/2026",
            "board_vendor": None,
            "board_name": None,
        },
        "memory_devices": None,
        "thp_enabled": "madvise",
        "thp_defrag": "madvise",
        "numa_balancing": 1,
        "demotion_enabled": False,
        "weighted_interleave": {"auto": "true", "node0": "5"},
        "max_map_count": 65530,
        "swap_total_bytes": 0,
        "load_average": [0.5, 0.25, 0.1],
        "cgroup": {"cpu_max": "max 100000", "memory_max": None, "cpuset_mems": None},
        "kernel_parameters": ["numa_balancing=disable", "memmap=4G!12G", "mitigations=off"],
        "python": platform.python_version(),
    }
    stored = msgspec.json.decode(msgspec.json.encode(state))
    assert {name: stored[name] for name in facts} == facts
    assert state.caches is not None and state.caches[0]["size"] == "36864K"
    assert state.virtualization is not None
    assert state.virtualization["vendor"] == "Some Vendor"
    assert state.virtualization["hypervisor_flag"] is True
    assert round_trip(state) == state


def test_nothing_that_names_the_machine_is_kept(machine: tuple[Path, Path]) -> None:
    text = msgspec.json.encode(collect(*machine)).decode()
    for private in ("lab7", "10.0.0.7", "UUID", "SERIAL-42", "secret", "vmlinuz", "/user/one"):
        assert private not in text


def test_this_machine_is_not_named() -> None:
    state = collect()
    text = msgspec.json.encode(state).decode()
    assert round_trip(state) == state
    name = socket.gethostname()
    assert f'"{name}"' not in text
    assert str(Path(__file__).resolve().parents[2]) not in text
    assert state.cpus_online
    assert state.page_bytes == os.sysconf("SC_PAGE_SIZE")


def test_nothing_readable_is_no_error(tmp_path: Path) -> None:
    state = collect(tmp_path / "sys", tmp_path / "proc")
    stored = msgspec.json.decode(msgspec.json.encode(state))
    unreadable = set(stored) - {
        "architecture", "virtualization", "page_bytes", "glibc", "python", "packages", "checkout",
        "firmware", "cpu_frequency", "cpu_idle",
    }  # fmt: skip
    for name in ("firmware", "cpu_frequency", "cpu_idle"):
        assert isinstance(stored[name], dict)
        assert set(stored[name].values()) == {None}
    assert {name: stored[name] for name in unreadable} == dict.fromkeys(unreadable)
    assert round_trip(state) == state


def test_rubbish_is_no_error(machine: tuple[Path, Path]) -> None:
    sys_root, proc_root = machine
    for root in (sys_root, proc_root):
        for path in [each for each in root.rglob("*") if each.is_file()]:
            path.write_bytes(b"\xff\x00 rubbish [\n")
    state = collect(sys_root, proc_root)
    assert state.cpus_online is None
    assert state.load_average is None
    assert round_trip(state) == state


def test_versions_of_packages() -> None:
    packages = collect().packages
    assert isinstance(packages, dict)
    assert set(packages) == {"hmexp", "numpy", "pandas", "matplotlib", "papermill", "py-libnuma"}
    assert packages["numpy"][0].isdigit()


@pytest.mark.parametrize(
    ("model", "clocks", "vendor", "valid"),
    [
        ("Intel(R) Xeon(R) Platinum", "tsc hpet", "Some Vendor", True),
        ("Intel(R) Xeon(R) Processor", "tsc kvm-clock", None, True),  # firecracker
        ("Intel Xeon Processor (Skylake)", "tsc kvm-clock", "QEMU", True),
        ("QEMU Virtual CPU version 2.5+", "kvm-clock tsc", "QEMU", True),  # QEMU's default CPU, on KVM
        ("QEMU Virtual CPU version 2.5+", "tsc hpet", "QEMU", False),
        ("QEMU Virtual CPU version 2.5+", None, None, False),
        ("QEMU TCG CPU version 2.5+", "tsc hpet", "QEMU", False),
        ("QEMU TCG CPU version 2.5+", "kvm-clock", "QEMU", False),
        ("Intel Xeon Processor (Skylake)", "tsc hpet", "QEMU", False),  # TCG that pretends
        ("Intel Xeon Processor (Skylake)", None, "QEMU", True),
    ],
)
def test_software_emulation_is_recognised(
    tmp_path: Path, model: str, clocks: str | None, vendor: str | None, valid: bool
) -> None:
    put(tmp_path / "proc/cpuinfo", cpuinfo(model))
    if clocks is not None:
        put(tmp_path / "sys" / CLOCKS, clocks)
    if vendor is not None:
        put(tmp_path / "sys/class/dmi/id/sys_vendor", vendor)
    facts, why = timing_validity(tmp_path / "proc", {})
    assert facts is valid
    assert (why is None) is valid
    assert valid or "emulated in software" in str(why)


@pytest.mark.parametrize(("value", "valid"), [("0", False), ("no", False), ("1", True), ("", True)])
def test_timing_validity_from_outside(tmp_path: Path, value: str, valid: bool) -> None:
    put(tmp_path / "proc/cpuinfo", cpuinfo("Some Xeon"))
    facts, why = timing_validity(tmp_path / "proc", {"HMEXP_TIMING_VALID": value})
    assert facts is valid
    assert valid or "HMEXP_TIMING_VALID" in str(why)


def test_arm_in_a_virtual_machine_is_valid(tmp_path: Path) -> None:
    put(tmp_path / "proc/cpuinfo", "processor\t: 0\nCPU part\t: 0xd0c")
    put(tmp_path / "sys" / CLOCKS, "arch_sys_counter")
    put(tmp_path / "sys/class/dmi/id/sys_vendor", "QEMU")
    assert timing_validity(tmp_path / "proc", {}) == (True, None)
    assert collect(tmp_path / "sys", tmp_path / "proc").cpu_model == "0xd0c"


def git(folder: Path, *arguments: str) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    identity = ("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false")
    command = ["git", "-C", str(folder), *identity, *arguments]
    subprocess.run(command, env=environ, check=True, capture_output=True)


def test_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "repository" / "package"
    put(package / "__init__.py", "")
    assert describe_checkout(package) is None
    git(package.parent, "init", "--quiet")
    git(package.parent, "add", ".")
    assert describe_checkout(package) is None  # no commit yet
    git(package.parent, "commit", "--quiet", "--message", "one")
    clean = describe_checkout(package)
    assert clean is not None
    assert clean["dirty"] is False
    assert len(str(clean["commit"])) == 40
    put(package / "untracked.txt", "")
    assert describe_checkout(package) == clean
    monkeypatch.setenv("GIT_DIR", str(tmp_path))  # as inside a git hook
    put(package / "__init__.py", "changed = True")
    assert describe_checkout(package) == clean | {"dirty": True}
    other = package.parent / "environment" / "installed"
    put(other / "__init__.py", "")
    assert describe_checkout(other) is None  # installed inside some other checkout
    monkeypatch.setenv("PATH", "")
    assert describe_checkout(package) is None  # no git


def test_microcode_where_the_list_of_cpus_has_none(tmp_path: Path) -> None:
    put(tmp_path / "sys/devices/system/cpu/cpu0/microcode/version", "0x71")
    assert collect(tmp_path / "sys", tmp_path / "proc").microcode == ("0x71",)


def test_limits_of_version_1_are_kept_without_names(tmp_path: Path) -> None:
    sys_root, proc_root = tmp_path / "sys", tmp_path / "proc"
    put(proc_root / "self/cgroup", "4:memory:/lxc/lab7/job\n3:cpuset:/lxc/lab7\n2:cpu,cpuacct:/\n0::/x")
    put(sys_root / "fs/cgroup/memory/lxc/lab7/job/memory.limit_in_bytes", "314572800")
    put(sys_root / "fs/cgroup/memory/lxc/memory.limit_in_bytes", "214572800")
    put(sys_root / "fs/cgroup/cpuset/lxc/lab7/cpuset.mems", "1")
    put(sys_root / "fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "150000")
    put(sys_root / "fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000")
    state = collect(sys_root, proc_root)
    assert state.cgroup == {"cpu_max": "150000 100000", "memory_max": "314572800", "cpuset_mems": "1"}
    assert state.limits is not None
    assert {limit.file: limit.limit_bytes for limit in state.limits.memory} == {
        "/sys/fs/cgroup/memory/lxc/*/*/memory.limit_in_bytes": 314572800,
        "/sys/fs/cgroup/memory/lxc/memory.limit_in_bytes": 214572800,
    }
    assert state.limits.nodes[0].file == "/sys/fs/cgroup/cpuset/lxc/*/cpuset.mems"
    assert state.limits.cpu[0].cpus == 1.5
    assert "lab7" not in msgspec.json.encode(state).decode()
