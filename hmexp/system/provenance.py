"""The state of the machine that a measurement was made on, as far as it matters for the numbers.

Nothing that names a machine or a person is kept: no host name, no serial number, no path, and of
the kernel's command line only the parameters that touch memory, CPUs or timing.
"""

from __future__ import annotations

import os
import re
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hmexp.decoding import convert
from hmexp.errors import HmexpError
from hmexp.store.provenance import Provenance
from hmexp.store.validity import LAB_PLUGIN
from hmexp.system.cgroups import find_cgroups, read_own_limit
from hmexp.system.checkout import describe_checkout
from hmexp.system.cpu_state import read_frequency, read_idle, read_microcode, read_mitigations
from hmexp.system.firmware import read_firmware, read_memory_devices
from hmexp.system.limits import read_limits
from hmexp.system.sysfs import parse_id_list, parse_meminfo, read_choice, read_int, read_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_PACKAGES: Final = ("hmexp", "numpy", "pandas", "matplotlib", "papermill", "py-libnuma")
_KERNEL_PARAMETERS: Final = (
    "amd_pstate*", "clocksource", "cpufreq*", "cpuidle*", "default_hugepagesz", "deferred_init", "efi",
    "efi_fake_mem", "haltpoll*", "hmat*", "hugepage*", "idle", "init_on_*", "intel_idle*", "intel_pstate*",
    "iommu", "irqaffinity", "isolcpus", "kernelcore", "l1tf", "maxcpus", "mds", "mem", "memhp*", "memmap",
    "memory_hotplug*", "mitigations", "movable*", "no_hash_pointers", "nohz*", "nokaslr", "nopti", "nosmt",
    "nr_cpus", "numa*", "page_*", "pci", "possible_cpus", "preempt", "processor.*", "pti", "rcu_nocbs*",
    "retbleed", "slub*", "spec*", "swiotlb", "tdx*", "thp*", "transparent_hugepage*", "tsc", "zswap*",
)  # fmt: skip


def collect(sys_root: Path = Path("/sys"), proc_root: Path = Path("/proc")) -> Provenance:
    """Collect the state of the machine.

    Parameters
    ----------
    sys_root, proc_root : Path
        Where `/sys` and `/proc` are.

    Returns
    -------
    Provenance
        What cannot be read is None; it is never an error.
    """
    parts: dict[str, Callable[[], object]] = {
        "kernel": lambda: read_text(proc_root / "sys" / "kernel" / "osrelease"),
        "kernel_version": lambda: read_text(proc_root / "sys" / "kernel" / "version"),
        "kernel_parameters": lambda: _kernel_parameters(proc_root),
        "architecture": lambda: os.uname().machine,
        "cpu_model": lambda: _cpu_model(proc_root),
        "microcode": lambda: read_microcode(sys_root, proc_root),
        "cpus_online": lambda: _cpus_online(sys_root),
        "caches": lambda: _caches(sys_root),
        "virtualization": lambda: _virtualization(sys_root, proc_root),
        "cpu_governors": lambda: _governors(sys_root),
        "turbo": lambda: _turbo(sys_root),
        "cpu_frequency": lambda: read_frequency(sys_root),
        "cpu_idle": lambda: read_idle(sys_root),
        "mitigations": lambda: read_mitigations(sys_root),
        "smt_control": lambda: read_text(sys_root / "devices/system/cpu/smt/control"),
        "smt_active": lambda: _flag(read_text(sys_root / "devices/system/cpu/smt/active")),
        "page_bytes": lambda: os.sysconf("SC_PAGE_SIZE"),
        "thp_enabled": lambda: read_choice(sys_root / "kernel/mm/transparent_hugepage/enabled"),
        "thp_defrag": lambda: read_choice(sys_root / "kernel/mm/transparent_hugepage/defrag"),
        "thp_shmem": lambda: read_choice(sys_root / "kernel/mm/transparent_hugepage/shmem_enabled"),
        "numa_balancing": lambda: read_int(proc_root / "sys/kernel/numa_balancing"),
        "demotion_enabled": lambda: _flag(read_text(sys_root / "kernel/mm/numa/demotion_enabled")),
        "weighted_interleave": lambda: _weights(sys_root),
        "zone_reclaim_mode": lambda: read_int(proc_root / "sys/vm/zone_reclaim_mode"),
        "max_map_count": lambda: read_int(proc_root / "sys/vm/max_map_count"),
        "overcommit_memory": lambda: read_int(proc_root / "sys/vm/overcommit_memory"),
        "memory_total_bytes": lambda: _meminfo(proc_root).get("MemTotal"),
        "swap_total_bytes": lambda: _meminfo(proc_root).get("SwapTotal"),
        "memory_devices": lambda: read_memory_devices(sys_root),
        "firmware": lambda: read_firmware(sys_root),
        "hybridmem": lambda: _hybridmem(sys_root),
        "cgroup": lambda: _cgroup(sys_root, proc_root),
        "limits": lambda: read_limits(sys_root, proc_root).to_record(),
        "load_average": lambda: _load_average(proc_root),
        "glibc": lambda: os.confstr("CS_GNU_LIBC_VERSION"),
        "python": lambda: sys.version.split()[0],
        "packages": lambda: {name: _version(name) for name in _PACKAGES},
        "checkout": lambda: describe_checkout(Path(__file__).resolve().parents[1]),
    }
    return convert({name: _try(read) for name, read in parts.items()}, Provenance)


def timing_validity(
    proc_root: Path = Path("/proc"), environ: Mapping[str, str] = os.environ, sys_root: Path | None = None
) -> tuple[bool, str | None]:
    """Tell whether times measured here mean anything.

    They do not where the CPU itself is emulated in software. A guest whose CPU is real (KVM,
    firecracker, a cloud's machine) is as good as any.

    Parameters
    ----------
    proc_root : Path
        Where `/proc` is.
    environ : mapping
        ``HMEXP_TIMING_VALID=0`` says no from outside: for emulators that hide themselves; and
        ``HMEXP_LAB_SLOW_NODE`` that the lab delays accesses to a node.
    sys_root : Path, optional
        Where `/sys` is; by default beside `/proc`.

    Returns
    -------
    (bool, str or None)
        Whether they do, and if not, why.
    """
    sys_root = proc_root.parent / "sys" if sys_root is None else sys_root
    slowed = environ.get("HMEXP_LAB_SLOW_NODE", "").partition(":")[0]
    if slowed:
        # Known from outside alone: nothing in the guest could tell.
        return False, (
            f"{LAB_PLUGIN}: accesses to node {slowed} are delayed by the emulator, so that times "
            "tell it from other nodes and say nothing else"
        )
    if environ.get("HMEXP_TIMING_VALID", "").strip().lower() in {"0", "no", "false"}:
        return False, "HMEXP_TIMING_VALID marks timings as not valid here"
    model = _cpu_model(proc_root) or ""
    if "QEMU TCG" in model:
        return False, f"the CPU is emulated in software ({model})"
    # KVM alone offers this clock, so a QEMU guest of x86 without it runs on the software emulator,
    # whatever CPU it pretends to be.
    clocks = read_text(sys_root / "devices/system/clocksource/clocksource0/available_clocksource")
    is_kvm = clocks is not None and "kvm-clock" in clocks.split()
    if "QEMU Virtual CPU" in model and not is_kvm:
        return False, f"the CPU is likely emulated in software ({model}, and no sign of KVM)"
    vendor = read_text(sys_root / "class/dmi/id/sys_vendor")
    is_x86 = _cpuinfo(proc_root, "vendor_id") is not None
    if vendor == "QEMU" and is_x86 and clocks is not None and not is_kvm:
        return False, "the CPU is likely emulated in software (a QEMU machine, and no sign of KVM)"
    return True, None


def _try(read: Callable[[], object]) -> object:
    try:
        return read()
    except (HmexpError, OSError, ValueError, LookupError):
        # A missing remark must never cost a measurement.
        return None


def _flag(text: str | None) -> bool | None:
    return {"1": True, "true": True, "0": False, "false": False}.get(text) if text is not None else None


def _meminfo(proc_root: Path) -> dict[str, int]:
    return parse_meminfo(read_text(proc_root / "meminfo") or "")


def _cpuinfo(proc_root: Path, key: str) -> str | None:
    text = read_text(proc_root / "cpuinfo") or ""
    match = re.search(rf"^{re.escape(key)}[ \t]*:[ \t]*(.*)$", text, re.MULTILINE)
    return match[1].strip() or None if match is not None else None


def _cpu_model(proc_root: Path) -> str | None:
    # "cpu" is how POWER says it; ARM gives numbers alone.
    return _cpuinfo(proc_root, "model name") or _cpuinfo(proc_root, "cpu") or _cpuinfo(proc_root, "CPU part")


def _kernel_parameters(proc_root: Path) -> list[str] | None:
    text = read_text(proc_root / "cmdline")
    if text is None:
        return None
    # What follows "--" are arguments of the first program, not of the kernel.
    words = text.split(" -- ")[0].split()
    return [
        word
        for word in words
        if "/" not in word and any(fnmatchcase(word.split("=")[0], known) for known in _KERNEL_PARAMETERS)
    ]


def _cpus_online(sys_root: Path) -> int | None:
    path = sys_root / "devices/system/cpu/online"
    text = read_text(path)
    return len(parse_id_list(text, str(path))) if text is not None else None


def _caches(sys_root: Path) -> list[dict[str, object]] | None:
    folder = sys_root / "devices/system/cpu/cpu0/cache"
    caches: list[dict[str, object]] = [
        {
            "level": read_int(index / "level"),
            "type": read_text(index / "type"),
            "size": read_text(index / "size"),
            "ways": read_int(index / "ways_of_associativity"),
            "line_bytes": read_int(index / "coherency_line_size"),
            "shared_cpus": read_text(index / "shared_cpu_list"),
        }
        for index in sorted(folder.glob("index[0-9]*"))
    ]
    return caches or None


def _virtualization(sys_root: Path, proc_root: Path) -> dict[str, object]:
    clocks = "devices/system/clocksource/clocksource0"
    flags = _cpuinfo(proc_root, "flags")
    return {
        "hypervisor_flag": "hypervisor" in flags.split() if flags is not None else None,
        "hypervisor": read_text(sys_root / "hypervisor/type"),
        "vendor": read_text(sys_root / "class/dmi/id/sys_vendor"),
        "product": read_text(sys_root / "class/dmi/id/product_name"),
        "clocksource": read_text(sys_root / clocks / "current_clocksource"),
        "clocksources": (read_text(sys_root / clocks / "available_clocksource") or "").split() or None,
    }


def _governors(sys_root: Path) -> list[str] | None:
    paths = (sys_root / "devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor")
    return sorted({text for path in paths if (text := read_text(path))}) or None


def _turbo(sys_root: Path) -> bool | None:
    no_turbo = _flag(read_text(sys_root / "devices/system/cpu/intel_pstate/no_turbo"))
    boost = _flag(read_text(sys_root / "devices/system/cpu/cpufreq/boost"))
    return not no_turbo if no_turbo is not None else boost


def _weights(sys_root: Path) -> dict[str, str | None] | None:
    # Listed rather than known by name: the file of the automatic mode is not called the same on
    # every kernel.
    folder = sys_root / "kernel/mm/mempolicy/weighted_interleave"
    return {path.name: read_text(path) for path in sorted(folder.iterdir()) if path.is_file()}


def _cgroup(sys_root: Path, proc_root: Path) -> dict[str, str | None] | None:
    groups = [find_cgroups(name, sys_root, proc_root) for name in ("cpu", "memory", "cpuset")]
    if not any(groups):
        return None
    found = (None if group is None else read_own_limit(group) for group in groups)
    return dict(zip(("cpu_max", "memory_max", "cpuset_mems"), found, strict=True))


def _hybridmem(sys_root: Path) -> dict[str, str | None] | None:
    folder = sys_root / "module/hybridmem"
    if not folder.is_dir():
        return None
    return {name: read_text(folder / name) for name in ("version", "srcversion")}


def _load_average(proc_root: Path) -> list[float] | None:
    text = read_text(proc_root / "loadavg")
    return [float(word) for word in text.split()[:3]] if text else None


def _version(package: str) -> str | None:
    # A worker asks for no version, and need not pay for the means of finding one.
    import importlib.metadata

    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
