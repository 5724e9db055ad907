"""The kernel's out-of-memory killer: whether it ended a process, and for which limit.

Sources: Documentation/admin-guide/cgroup-v2.rst (memory.events), cgroup-v1/memory.rst (memory.oom_control),
and mm/vmstat.c (oom_kill).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from hmexp.process import ChildError
from hmexp.system.cgroups import find_cgroups
from hmexp.system.limits import parse_limit
from hmexp.system.sysfs import read_text

_COUNTERS: Final = {1: "memory.oom_control", 2: "memory.events"}
_LIMITS: Final = {1: "memory.limit_in_bytes", 2: "memory.max"}
_KILLS: Final = re.compile(r"^oom_kill (\d{1,18})$", re.MULTILINE | re.ASCII)


@dataclass(frozen=True)
class OomKills:
    """How many processes the killer has ended so far.

    Parameters
    ----------
    groups : mapping of Path to int
        By the counter of each cgroup of this process, its own first.
    machine : int or None
        On the whole machine; None if it is not counted.
    sys_root, proc_root : Path
        Where `/sys` and `/proc` are.
    """

    groups: Mapping[Path, int] = field(default_factory=dict)
    machine: int | None = None
    sys_root: Path = Path("/sys")
    proc_root: Path = Path("/proc")

    @classmethod
    def read(cls, sys_root: Path = Path("/sys"), proc_root: Path = Path("/proc")) -> Self:
        """Read the counters; those that are missing or make no sense are left out."""
        memory = find_cgroups("memory", sys_root, proc_root)
        paths = () if memory is None else [folder / _COUNTERS[memory.version] for folder in memory.folders]
        groups = {path: count for path in paths if (count := _count(path)) is not None}
        return cls(groups, _count(proc_root / "vmstat"), sys_root, proc_root)

    def explain(self, error: ChildError) -> str:
        """How a child ended that was started after these counters were read.

        Parameters
        ----------
        error : ChildError
            What is known of its end.

        Returns
        -------
        str
            What follows the child's name in a sentence, with the counter if the killer ended it.
        """
        if error.signal_name != "SIGKILL":
            return error.reason
        now = OomKills.read(self.sys_root, self.proc_root)
        for path, count in now.groups.items():
            more = count - self.groups.get(path, count)
            if more > 0:
                return (
                    "was killed by SIGKILL, because the memory of its cgroup ran out: "
                    f"{path} counts {more} more oom_kill{_limit_beside(path)}"
                )
        if self.machine is not None and now.machine is not None and now.machine > self.machine:
            return (
                "was killed by SIGKILL, because memory ran out on the machine or on the nodes that it was "
                f"bound to: {self.proc_root / 'vmstat'} counts {now.machine - self.machine} more oom_kill"
            )
        return error.reason


def _limit_beside(path: Path) -> str:
    for group in (path.parent, *path.parent.parents):
        for name in _LIMITS.values():
            limit_bytes = parse_limit(read_text(group / name))
            if limit_bytes is not None:
                return f", {group / name} says {limit_bytes}"
    return ""


def _count(path: Path) -> int | None:
    match = _KILLS.search(read_text(path) or "")
    return int(match[1]) if match is not None else None
