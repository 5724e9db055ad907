"""What of the machine decides whether pages can be moved, and whether they stay: room, settings, counters."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from hmexp.native import PAGE_BYTES
from hmexp.system.sysfs import parse_meminfo, read_choice, read_text, split_lines

#: Growth of these tells who else moves pages.
COUNTERS: Final = (
    "numa_hint_faults", "numa_pages_migrated", "pgmigrate_success", "pgmigrate_fail", "pgpromote_success",
    "pgdemote_kswapd", "pgdemote_direct", "pgdemote_khugepaged", "thp_collapse_alloc", "thp_split_page",
    "thp_migration_split", "compact_success", "oom_kill",
)  # fmt: skip
_ZONE: Final = re.compile(r"Node (\d+), zone +(\S+)", re.ASCII)


def read_counters(proc_root: Path = Path("/proc")) -> dict[str, int]:
    """The machine's counters of migration, those that this kernel has."""
    found = {}
    for line in split_lines(read_text(proc_root / "vmstat") or ""):
        name, _, number = line.partition(" ")
        if name in COUNTERS and number.isdecimal():
            found[name] = int(number)
    return found


def read_settings(sys_root: Path = Path("/sys"), proc_root: Path = Path("/proc")) -> dict[str, str]:
    """The settings that move, join or merge pages; those that this kernel has."""
    huge = sys_root / "kernel/mm/transparent_hugepage"
    found = {
        "kernel.numa_balancing": read_text(proc_root / "sys/kernel/numa_balancing"),
        "transparent_hugepage/enabled": read_choice(huge / "enabled"),
        "transparent_hugepage/khugepaged/defrag": read_text(huge / "khugepaged/defrag"),
        "ksm/run": read_text(sys_root / "kernel/mm/ksm/run"),
        "numa/demotion_enabled": read_text(sys_root / "kernel/mm/numa/demotion_enabled"),
    }
    return {name: value for name, value in found.items() if value is not None}


def read_room(
    nodes: frozenset[int], sys_root: Path = Path("/sys"), proc_root: Path = Path("/proc")
) -> dict[int, int]:
    """What each node can take without reclaiming anything but file cache that is not in use [bytes].

    The kernel keeps a reserve in each zone (its high watermark): that is not room.
    """
    reserve = _read_reserves(proc_root)
    found = {}
    for node in nodes:
        has = parse_meminfo(read_text(sys_root / f"devices/system/node/node{node}/meminfo") or "")
        free_bytes = has.get("MemFree", 0) + has.get("Inactive(file)", 0)
        found[node] = max(0, free_bytes - reserve.get(node, 0))
    return found


def _read_reserves(proc_root: Path) -> dict[int, int]:
    found: dict[int, int] = {}
    node = -1
    for line in split_lines(read_text(proc_root / "zoneinfo") or ""):
        zone = _ZONE.match(line)
        words = line.split()
        if zone is not None:
            node = int(zone[1])
        elif len(words) == 2 and words[0] == "high" and words[1].isdecimal():
            found[node] = found.get(node, 0) + int(words[1]) * PAGE_BYTES
    return found
