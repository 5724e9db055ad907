"""How fast the CPUs may run, and what slows them: frequencies, idle states, mitigations, microcode."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hmexp.system.sysfs import read_int, read_text

_CPUS: Final = "devices/system/cpu"


def read_microcode(sys_root: Path, proc_root: Path) -> list[str] | None:
    """Read the versions of the CPUs' microcode; more than one is a machine to look at."""
    cpuinfo = read_text(proc_root / "cpuinfo") or ""
    found = set(re.findall(r"^microcode[ \t]*:[ \t]*(\S+)", cpuinfo, re.MULTILINE))
    if not found:
        # Not in every kernel's list; and only root may read these.
        paths = (sys_root / _CPUS).glob("cpu[0-9]*/microcode/version")
        found = {text for path in paths if (text := read_text(path))}
    return sorted(found) or None


def read_frequency(sys_root: Path) -> dict[str, object]:
    """Read the limits of the CPUs' clocks [kHz] and who sets them; None for what there is not."""
    return {
        "drivers": _words(sys_root, "scaling_driver"),
        "preferences": _words(sys_root, "energy_performance_preference"),
        "least_khz": _extreme(sys_root, "scaling_min_freq", min),
        "most_khz": _extreme(sys_root, "scaling_max_freq", max),
        "hardware_most_khz": _extreme(sys_root, "cpuinfo_max_freq", max),
        "base_khz": _extreme(sys_root, "base_frequency", min),
    }


def read_idle(sys_root: Path) -> dict[str, str | None]:
    """Read who sends idle CPUs to sleep, which the first access after it pays for."""
    folder = sys_root / _CPUS / "cpuidle"
    driver = read_text(folder / "current_driver")
    return {
        "driver": None if driver == "none" else driver,
        "governor": read_text(folder / "current_governor") or read_text(folder / "current_governor_ro"),
    }


def read_mitigations(sys_root: Path) -> dict[str, str | None] | None:
    """Read what the kernel does about each weakness of the CPU that it knows of."""
    folder = sys_root / _CPUS / "vulnerabilities"
    return {path.name: read_text(path) for path in sorted(folder.glob("*")) if path.is_file()} or None


def _words(sys_root: Path, name: str) -> list[str] | None:
    paths = (sys_root / _CPUS).glob(f"cpu[0-9]*/cpufreq/{name}")
    return sorted({text for path in paths if (text := read_text(path))}) or None


def _extreme(sys_root: Path, name: str, choose: Callable[[list[int]], int]) -> int | None:
    paths = (sys_root / _CPUS).glob(f"cpu[0-9]*/cpufreq/{name}")
    values = [value for path in paths if (value := read_int(path)) is not None]
    return choose(values) if values else None
