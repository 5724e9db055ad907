"""Counters of the whole machine that show where the kernel took pages, and what it moved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from hmexp.pattern import Pattern
from hmexp.store.program_records import FallenBack, PlacementSample
from hmexp.system.sysfs import numbered, read_text, split_lines

#: Of /sys/devices/system/node/nodeN/numastat. `numa_foreign`: meant for the node and taken from another.
_NODE: Final = ("numa_hit", "numa_miss", "numa_foreign", "interleave_hit", "local_node", "other_node")
#: Of /proc/vmstat.
_MACHINE: Final = (
    "pgmigrate_success", "pgmigrate_fail", "numa_pte_updates", "numa_hint_faults", "numa_pages_migrated",
    "pgdemote_kswapd", "pgdemote_direct", "pgdemote_khugepaged", "pgpromote_success", "thp_fault_alloc",
    "thp_split_page", "oom_kill",
)  # fmt: skip


def read_counters(sys_root: Path = Path("/sys"), proc_root: Path = Path("/proc")) -> dict[str, int]:
    """Read them: those of a node have its number behind a point, as in ``numa_hit.0``."""
    found: dict[str, int] = {}
    for node, folder in numbered(sys_root / "devices/system/node", "node").items():
        for name, value in _values(folder / "numastat").items():
            if name in _NODE:
                found[f"{name}.{node}"] = value
    return found | {name: value for name, value in _values(proc_root / "vmstat").items() if name in _MACHINE}


def _values(path: Path) -> dict[str, int]:
    found = {}
    for line in split_lines(read_text(path) or ""):
        name, _, number = line.partition(" ")
        if number.isascii() and number.isdigit():
            found[name] = int(number)
    return found


def find_fallback(
    pattern: Pattern, last: PlacementSample | None, before: Mapping[str, int], after: Mapping[str, int]
) -> FallenBack:
    """Whether the kernel took other nodes than a policy names.

    Parameters
    ----------
    pattern : Pattern
        What the policy was made for.
    last : PlacementSample or None
        The last placement.
    before, after : mapping of str to int
        The counters. They count the whole machine: alone they accuse nobody.
    """
    missed = {
        node: grown
        for node in pattern.distinct_nodes
        if (grown := after.get(f"numa_foreign.{node}", 0) - before.get(f"numa_foreign.{node}", 0)) > 0
    }
    if last is None:
        text = f"{_missed(missed)}; where the program's own pages were is not known" if missed else None
        return FallenBack(missed=missed, text=text)
    counts = last.anonymous_by_node
    outside = sum(pages for node, pages in counts.items() if node not in pattern.distinct_nodes)
    short = _shortfall(pattern, counts)
    text = None
    if outside or (short and missed):
        parts = []
        if outside:
            parts.append(f"{outside} pages are on nodes that the pattern does not have")
        parts += [f"node {node} has {pages} pages less than its share" for node, pages in short.items()]
        parts += [_missed(missed)] if missed else []
        text = "; ".join(parts)
    return FallenBack(
        misplaced_pages=last.misplaced + last.unmovable, outside_pages=outside, missed=missed, text=text
    )


def _shortfall(pattern: Pattern, counts: Mapping[int, int]) -> dict[int, int]:
    """Pages that nodes have less than their share, beyond 2 % of all."""
    total = sum(counts.values())
    short = {
        node: round(pattern.share([node]) * total) - counts.get(node, 0) for node in pattern.distinct_nodes
    }
    return {node: pages for node, pages in short.items() if pages > max(64, 0.02 * total)}


def _missed(missed: Mapping[int, int]) -> str:
    each = ", ".join(f"{pages} meant for node {node}" for node, pages in missed.items())
    return f"the machine took from other nodes: {each} (numa_foreign)"
