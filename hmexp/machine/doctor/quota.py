"""The share of the CPUs' time that control groups leave to this process."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hmexp.system.sysfs import read_int, read_text


@dataclass(frozen=True)
class CpuQuota:
    """The tightest limit on the time on CPUs.

    Parameters
    ----------
    cpus : float
        How many CPUs' worth of time there is.
    path : Path
        The file that says so.
    text : str
        What it says.
    """

    cpus: float
    path: Path
    text: str


def read_cpu_quota(sys_root: Path, proc_root: Path) -> CpuQuota | None:
    """Read the tightest CPU quota of the control groups (v1 and v2) that this process is in.

    Returns
    -------
    CpuQuota or None
        None if none limits it, or nothing can be read.
    """
    found = [quota for folder in _folders(sys_root, proc_root) if (quota := _quota(folder)) is not None]
    return min(found, key=lambda quota: quota.cpus, default=None)


def _folders(sys_root: Path, proc_root: Path) -> Iterator[Path]:
    """The control groups of this process and all above them, as far as they are mounted."""
    groups = sys_root / "fs/cgroup"
    for line in (read_text(proc_root / "self/cgroup") or "").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, name = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        mounts = [groups / controllers, groups / "cpu"] if controllers else [groups, groups / "unified"]
        path = PurePosixPath("/", name)
        for mount in mounts:
            for each in (path, *path.parents):
                yield mount / each.relative_to("/")


def _quota(folder: Path) -> CpuQuota | None:
    text = read_text(folder / "cpu.max")
    match = re.fullmatch(r"(\d+) (\d+)", text, re.ASCII) if text else None
    if match is not None and int(match[2]) > 0 and text is not None:
        return CpuQuota(int(match[1]) / int(match[2]), folder / "cpu.max", text)
    quota, period = read_int(folder / "cpu.cfs_quota_us"), read_int(folder / "cpu.cfs_period_us")
    if quota is not None and quota > 0 and period is not None and period > 0:
        return CpuQuota(quota / period, folder / "cpu.cfs_quota_us", str(quota))
    return None
