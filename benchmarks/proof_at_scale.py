"""What the proof costs: checking a region page by page, as a part of populating it by first touch.

Goals: checking every page takes under 2 % of the time, the proof under 1 byte of memory per page, at 16 GiB.
What the second witness (numa_maps) adds is shown beside it: the whole proof has both.

.venv/bin/python benchmarks/proof_at_scale.py [--size 16GiB] [--rounds 3]
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from quiet import say_load

import hmexp
from hmexp import native
from hmexp.memory.witnesses import find_in_parts, open_frames
from hmexp.system.cpus import allowed_cpus
from hmexp.system.near import near_dram
from hmexp.system.numa_maps import count_pages_within
from hmexp.system.topology import read_topology

GOAL_SHARE = 0.02
GOAL_BYTES = 1.0
CHECKS = 5


def main() -> None:
    """Populate and check in turn; exit with 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", default="16GiB")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    say_load("before")
    pattern = hmexp.Pattern((near_dram(read_topology()),))
    spent: dict[str, list[float]] = {}
    shares: dict[str, list[float]] = {}
    of_cpu: dict[str, list[float]] = {}
    memory = []
    pages = 0
    for _ in range(options.rounds):
        begun = time.process_time()
        with hmexp.allocate(options.size, pattern, "first_touch") as region, open_frames() as frames:
            populated = time.process_time() - begun
            if frames is None:
                print("Frames are not shown to this process (CAP_SYS_ADMIN): move_pages is asked instead.")
            pages = region.pages
            spent.setdefault("populate by first_touch", []).append(region.setup.seconds)
            for name, check in _ways(region, frames).items():
                seconds, busy = _timed(check)
                spent.setdefault(name, []).append(seconds)
                shares.setdefault(name, []).append(seconds / region.setup.seconds)
                of_cpu.setdefault(name, []).append(busy / populated)
            memory.append(_peak_bytes(region) / pages)
    print(f"{options.size}: {pages} pages of {native.PAGE_BYTES} bytes, {len(allowed_cpus())} CPUs")
    print(f"{'':<52}{'ns per page':>12}  part of populating (range over rounds), of its CPU time")
    for name, found in spent.items():
        part = ""
        if name in shares:
            found_shares = shares[name]
            part = (
                f"{statistics.median(found_shares):8.2%}  ({min(found_shares):.2%}..{max(found_shares):.2%})"
            )
            part += f"  {statistics.median(of_cpu[name]):8.2%}"
        print(f"{name:<52}{statistics.median(found) * 1e9 / pages:12.1f}  {part}")
    share, each = statistics.median(shares[EVERY_PAGE]), max(memory)
    print(f"memory for the proof: {each:.3f} bytes per page at most (goal: under {GOAL_BYTES:g})")
    say_load("after")
    missed = [
        text
        for bad, text in (
            (share >= GOAL_SHARE, f"checking every page takes {share:.2%}, not under {GOAL_SHARE:.0%}"),
            (each >= GOAL_BYTES, f"the proof takes {each:.2f} bytes per page"),
        )
        if bad
    ]
    print("goals: " + ("; ".join(missed) or "met"))
    sys.exit(1 if missed else 0)


EVERY_PAGE = "every page, frames from pagemap, a thread for each CPU"
WHOLE = "whole proof, as `region.placement()`, both at once"


def _ways(region: hmexp.Region, frames: native.FrameNodes | None) -> dict[str, Callable[[], object]]:
    mapping, pattern = region.mapping, region.real_pattern
    place = (mapping.address, mapping.size_bytes)

    def every_page(way: native.FrameNodes | None, threads: int = 1) -> None:
        where = find_in_parts(mapping, pattern, way, threads)
        if where.misplaced or where.absent:
            sys.exit(f"the placement is wrong: {where}")

    return {
        "every page, move_pages query, 1 thread": lambda: every_page(None),
        "every page, frames from pagemap, 1 thread": lambda: every_page(frames),
        EVERY_PAGE: lambda: every_page(frames, len(allowed_cpus())),
        "second witness, numa_maps, 1 thread": lambda: count_pages_within(*place),
        WHOLE: lambda: region.placement().require(),
    }


def _timed(check: Callable[[], object]) -> tuple[float, float]:
    """Median wall time of a check, and of the CPU time of all its threads [s]."""
    taken, busy = [], []
    for _ in range(CHECKS):
        begun, worked = time.perf_counter(), time.process_time()
        check()
        taken.append(time.perf_counter() - begun)
        busy.append(time.process_time() - worked)
    return statistics.median(taken), statistics.median(busy)


def _peak_bytes(region: hmexp.Region) -> int:
    """By how much the proof raises the most memory that this process ever held [bytes]."""
    # 5: reset the peak (Documentation/filesystems/proc.rst).
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _status_bytes("VmRSS")
    region.placement()
    return max(0, _status_bytes("VmHWM") - before)


def _status_bytes(name: str) -> int:
    text = Path("/proc/self/status").read_text(encoding="ascii")
    match = re.search(rf"^{name}:\s+(\d+) kB$", text, re.MULTILINE)
    if match is None:
        sys.exit(f"/proc/self/status has no {name}")
    return int(match[1]) * 1024


if __name__ == "__main__":
    main()
