"""What a slowed node looks like from inside: run in a guest, it prints one JSON object."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from hmexp import native
from hmexp.measure.latency import measure_latency
from hmexp.measure.rings import RingPlan, prepare_ring
from hmexp.measure.sampling import Sampling
from hmexp.memory.region import Region, allocate
from hmexp.system.provenance import timing_validity

#: Four times the plugin's cache: nearly every access of a random chase misses it.
SIZE = 8 << 20
SAMPLING = Sampling(8, 0.02)
#: Another process moves our pages from node 2 to node 0, as migratepages(8) does.
MIGRATE = """
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
old, new = ctypes.c_ulong(1 << 2), ctypes.c_ulong(1 << 0)
migrate_pages = 256  # of x86-64
sys.exit(libc.syscall(migrate_pages, int(sys.argv[1]), 64, ctypes.byref(old), ctypes.byref(new)) != 0)
"""


def blocks(node: int) -> list[int]:
    """Numbers of the node's blocks of memory."""
    folder = Path(f"/sys/devices/system/node/node{node}")
    return sorted(int(path.name.removeprefix("memory")) for path in folder.glob("memory[0-9]*"))


def write_ns(region: Region) -> float:
    """Time of a line written, one after the other, the best of six passes [ns]."""
    part = native.Slice(0, SIZE, min(os.sched_getaffinity(0)))
    run = native.bandwidth(region.mapping, [part], native.Job("write", 1, 6, bits=64))
    return float((run.end_ns - run.start_ns).min()) / (SIZE / 64)


def main() -> None:
    found: dict[str, object] = {
        "block_bytes": int(Path("/sys/devices/system/memory/block_size_bytes").read_text(), 16),
        "blocks": {node: blocks(node) for node in (0, 1, 2)},
        "timing": timing_validity(),
    }
    latency, writing = {}, {}
    for pattern in ("0", "0,0,2", "0,2", "0,2,2", "2"):
        with allocate(SIZE, pattern) as region:
            # The delay is of the clock on the wall: on a busy host the best sample is what was asked for.
            latency[pattern] = min(measure_latency(region, sampling=SAMPLING).samples)
            writing[pattern] = write_ns(region)
    found |= {"latency_ns": latency, "write_ns": writing}
    with allocate(SIZE, "2") as region:
        cpu = min(os.sched_getaffinity(0))
        ring = prepare_ring(region, cpu, RingPlan())
        before = region.placement().misplaced
        starts = (ring.starts[0],)

        def chase() -> float:
            taken, _ = native.chase(region.mapping, cpu, 20_000, 2, None, starts)
            return float((taken["end_ns"] - taken["start_ns"]).min()) / 20_000

        slow = chase()
        moved = subprocess.run([sys.executable, "-c", MIGRATE, str(os.getpid())], check=False)
        found["moved"] = {
            "status": moved.returncode, "misplaced_before": before,
            "misplaced": region.placement().misplaced, "slow_ns": slow, "fast_ns": chase(),
        }  # fmt: skip
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
