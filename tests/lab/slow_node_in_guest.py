"""What a slowed node looks like from inside: run in a guest, it prints one JSON object.

A host that does other things can only add to a time. So everything is measured again and again in parts of
less than a millisecond, and of each part the least time counts: a round that the host disturbed falls away.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hmexp import native
from hmexp.errors import PlacementError
from hmexp.measure.measurement import proof
from hmexp.measure.rings import RingPlan, prepare_ring
from hmexp.memory.region import Region, allocate
from hmexp.system.provenance import timing_validity

#: Four times the plugin's cache: nearly every access of a random chase misses it.
SIZE = 8 << 20
#: Every fourth line: all pages, and all of the cache that these lines can be in, in a quarter of the time.
RING = RingPlan(spacing_bytes=256)
PATTERNS = ("0", "0,0,2", "0,2", "0,2,2", "2")
#: About how long a part is, on each node: then what the host does meets all of them alike [ns].
PART_NS = 500_000
CHASE_ROUNDS, WRITE_ROUNDS = 24, 10
#: A time up to so many times the least one of its part had the CPU to itself: the emulator's own speed on
#: DRAM changes up to twofold (which is little beside a delay), and what takes its CPU takes milliseconds.
CLEAN = 2.5
#: The least time is known to be undisturbed where so many rounds, or more, were clean.
FEW = 3
#: Another process moves our pages from node 2 to node 0, as migratepages(8) does.
MIGRATE = """
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
old, new = ctypes.c_ulong(1 << 2), ctypes.c_ulong(1 << 0)
migrate_pages = 256  # of x86-64
sys.exit(libc.syscall(migrate_pages, int(sys.argv[1]), 64, ctypes.byref(old), ctypes.byref(new)) != 0)
"""
Parts = npt.NDArray[np.float64]
CPU = min(os.sched_getaffinity(0))


def blocks(node: int) -> list[int]:
    """Numbers of the node's blocks of memory."""
    folder = Path(f"/sys/devices/system/node/node{node}")
    return sorted(int(path.name.removeprefix("memory")) for path in folder.glob("memory[0-9]*"))


def chaser(region: Region) -> Callable[[], Parts]:
    """A lap over the ring: the time of a load in each part of it, the same parts in every lap [ns]."""
    ring = prepare_ring(region, CPU, RING)

    def lap(hops: int) -> Parts:
        count = ring.lines // hops
        return native.chase_blocks(region.mapping, CPU, hops, count, start=ring.starts[0]) / hops

    # A power of two, of which the ring is a multiple: all laps have the same parts.
    hops = power_of_two(PART_NS / trial_ns(lambda: lap(64)), 16, 4096)
    return lambda: lap(hops)


def writer(region: Region) -> Callable[[], Parts]:
    """A pass over the region: the time of a line written in each part of it [ns]."""
    part, page = native.Slice(0, SIZE, CPU), native.PAGE_BYTES

    def write(pages: int) -> Parts:
        job = native.Job("write", 1, 1, bits=64, window_bytes=pages * page, warm=True)
        found = native.bandwidth(region.mapping, [part], job).window_ns[0]
        return np.asarray(found / (pages * page / native.LINE_BYTES))

    pages = power_of_two(PART_NS / trial_ns(lambda: write(1)) * native.LINE_BYTES / page, 1, 128)
    return lambda: write(pages)


def trial_ns(take: Callable[[], Parts]) -> float:
    """About how long an access takes, of a node or of two in turn [ns]."""
    return float(np.min([take() for _ in range(3)], axis=0).mean())


def power_of_two(value: float, least: int, most: int) -> int:
    """The largest one up to a value, within limits."""
    return 1 << int(math.log2(min(most, max(least, value))))


def shown(rounds: list[Parts]) -> dict[str, float]:
    """The time of an access by the least time of each part, and what all rounds say of the host."""
    every = np.array(rounds)
    least = every.min(axis=0)
    clean = every <= CLEAN * least
    return {
        "ns": float(least.mean()),
        "mean_ns": float(every.mean()),
        "parts": every.shape[1],
        "disturbed": float(1 - clean.mean()),
        "unsure": float((clean.sum(axis=0) < FEW).mean()),
    }


def measure(make: Callable[[Region], Callable[[], Parts]], rounds: int) -> dict[str, dict[str, float]]:
    """Measure all patterns in turn, round after round: what the host does meanwhile is the same for all."""
    taken: dict[str, list[Parts]] = {pattern: [] for pattern in PATTERNS}
    with contextlib.ExitStack() as held:
        runs = {p: make(held.enter_context(allocate(SIZE, p))) for p in PATTERNS}
        for _ in range(rounds):
            for pattern, run in runs.items():
                taken[pattern].append(run())
    return {pattern: shown(found) for pattern, found in taken.items()}


def moved() -> dict[str, object]:
    """A region whose pages another process moves while it is measured: its speed, and its proof."""
    with allocate(SIZE, "2") as region:
        lap = chaser(region)
        before = proof(region, "before")
        slow = shown([lap() for _ in range(6)])
        done = subprocess.run([sys.executable, "-c", MIGRATE, str(os.getpid())], check=False)
        fast = shown([lap() for _ in range(6)])
        refused = ""
        try:
            proof(region, "after")
        except PlacementError as error:
            refused = error.message
        return {
            "status": done.returncode, "slow_ns": slow["ns"], "fast_ns": fast["ns"], "refused": refused,
            "misplaced_before": before.misplaced, "misplaced": region.placement().misplaced,
        }  # fmt: skip


def main() -> None:
    found = {
        "block_bytes": int(Path("/sys/devices/system/memory/block_size_bytes").read_text(), 16),
        "blocks": {node: blocks(node) for node in (0, 1, 2)},
        "timing": timing_validity(),
        "chase": measure(chaser, CHASE_ROUNDS),
        "write": measure(writer, WRITE_ROUNDS),
        "moved": moved(),
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
