"""hmexp's latency against a chase that was written by itself (peer/offset_chase.c), in one process.

Both chase through the very same lines of one region, at the same spacing and windows, on the same CPU, each
by its own links and in its own order: blocks of some 20,000 loads, or of a whole window, in turn, so that
frames, page tables and the state of the host are the same for both. Each block comes after one of the same
chase that does not count: the first one finds the caches as a new thread and the reading of /proc/stat leave
them, which costs 1 to 2.5 % of so short a block, whichever chase it is. (Separate programs nearly always get
other frames, and scattered ones cost 3 to 14 % at 4 KiB.) Round after round a fresh region; the ratio of a
round is that of the medians of its blocks, p10 stands beside it. lmbench's lat_mem_rd, if the package sources
of this machine have it, is fetched into a temporary folder, not installed, and shown for information: its
order and its memory are others, so it is not judged.

    .venv/bin/python benchmarks/latency_peers.py [--size 1GiB] [--rounds 7]
"""

from __future__ import annotations

import argparse
import ctypes
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from quiet import say_load
from ratios import interval

import hmexp
from hmexp.measure.rings import prepare_ring
from hmexp.measure.threads import place_threads
from hmexp.memory.region import Region, allocate
from hmexp.native import chase
from hmexp.pattern import Pattern
from hmexp.system.near import near_dram
from hmexp.system.topology import read_topology
from hmexp.units import KIB, MIB, parse_size

LIMIT = 0.01
SOURCE = Path(__file__).parent / "peer" / "offset_chase.c"
#: Loads of a block, and blocks of each chase in a round; the first few warm up.
HOPS, BLOCKS, WARM = 20_000, 60, 4
#: Where the other chase's links are in a line; ours are at its beginning. In the same half: the other one
#: arrives 1.3 ns later on an Intel Cascade Lake [bytes].
LINK = 8


@dataclass(frozen=True)
class Way:
    """How lines are chased through."""

    name: str
    size_bytes: int
    spacing_bytes: int
    window_bytes: int
    huge: bool

    @property
    def hops(self) -> int:
        """Loads of a block: whole windows, so that no block has more of a window's beginning than another."""
        lines = self.window_bytes // self.spacing_bytes
        return lines * max(1, HOPS // lines) if self.window_bytes < self.size_bytes else HOPS

    @property
    def pages(self) -> str:
        """The size of the pages, for a person."""
        return "2 MiB" if self.huge else "4 KiB"


@dataclass(frozen=True)
class Round:
    """Blocks of both over one region [ns per load], and how its frames lie [pages]."""

    own: Sequence[float]
    other: Sequence[float]
    run_pages: float | None


def huge_bytes(address: int) -> int:
    """Bytes on huge pages of our mapping that begins at `address` [bytes]."""
    inside = False
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8", errors="replace").splitlines():
        if found := re.match(r"([0-9a-f]+)-[0-9a-f]+ ", line):
            inside = int(found[1], 16) == address
        elif inside and (found := re.match(r"AnonHugePages:\s+(\d+) kB", line)):
            return int(found[1]) * KIB
    raise SystemExit(f"/proc/self/smaps does not tell the pages of {address:#x}")


def require_pages(way: Way, found_bytes: int, whose: str) -> None:
    """End where the pages are not those that were asked for: the numbers would not be of one thing."""
    if found_bytes != (way.size_bytes if way.huge else 0):
        raise SystemExit(
            f"{whose} memory has {found_bytes} bytes on huge pages, and {way.pages} were asked for"
        )


class OffsetChase:
    """The other chase, compiled.

    Parameters
    ----------
    folder : Path
        Where to put the library.
    """

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            sys.exit("no C compiler is installed: apt-get install gcc")
        library = folder / "offset_chase.so"
        flags = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC")
        subprocess.run([compiler, *flags, SOURCE, "-o", library], check=True)
        code = ctypes.CDLL(str(library))
        self._lay, self._follow = code.chase_lay, code.chase_follow
        self._lay.restype = self._follow.restype = ctypes.c_int64
        self._where = ctypes.c_uint64(0)

    def lay(self, region: Region, way: Way, seed: int) -> int:
        """Write the links; returns how many lines they go through."""
        self._where.value = 0
        numbers = (LINK, way.size_bytes, way.spacing_bytes, way.window_bytes, seed)
        lines = int(self._lay(ctypes.c_void_p(region.mapping.address), *map(ctypes.c_uint64, numbers)))
        if lines < 0:
            raise SystemExit(f"the other chase: {os.strerror(-lines)}")
        return lines

    def block(self, region: Region, hops: int) -> float:
        """Time one block [ns per load]."""
        spent = self._follow(
            ctypes.c_void_p(region.mapping.address), ctypes.c_uint64(LINK), ctypes.c_uint64(hops),
            ctypes.byref(self._where),
        )  # fmt: skip
        return int(spent) / hops


def compare_blocks(peer: OffsetChase, way: Way, cpu: int, seed: int) -> Round:
    """Blocks of both by turns over one fresh region."""
    node = near_dram(read_topology())
    with allocate(way.size_bytes, Pattern((node,)), huge=way.huge) as region:
        require_pages(way, huge_bytes(region.mapping.address), "the")
        plan = hmexp.RingPlan(way.spacing_bytes, way.window_bytes, seed=seed)
        # As `hmexp.measure_latency` does it, but block by block.
        ring = prepare_ring(region, cpu, plan)
        if peer.lay(region, way, seed + 1000) != ring.lines:
            raise SystemExit("the two chases do not go through the same number of lines")
        at, own, other = ring.starts, [], []
        for turn in range(BLOCKS + WARM):
            for mine in (turn % 2 == 0, turn % 2 == 1):
                if mine:
                    taken, at = chase(region.mapping, cpu, way.hops, 2, None, at)
                    own.append(int(taken["end_ns"][1] - taken["start_ns"][1]) / way.hops)
                else:
                    peer.block(region, way.hops)
                    other.append(peer.block(region, way.hops))
        return Round(own[WARM:], other[WARM:], region.placement().frame_run_pages)


def compare(peer: OffsetChase, way: Way, cpu: int, rounds: int) -> bool:
    """Print a row; return whether the two differ by more than is let pass."""
    found = [compare_blocks(peer, way, cpu, number) for number in range(1, rounds + 1)]
    medians = [statistics.median(one.own) / statistics.median(one.other) for one in found]
    tenths = [tenth(one.own) / tenth(one.other) for one in found]
    ratio, low, high = interval(medians)
    runs = [one.run_pages for one in found if one.run_pages is not None]
    missed = abs(ratio - 1) > LIMIT
    print(
        f"{way.name:<10}{way.pages:<7}{way.spacing_bytes:>6} B"
        f"{statistics.median(statistics.median(one.other) for one in found):>9.1f}"
        f"{statistics.median(statistics.median(one.own) for one in found):>9.1f}"
        f"   {ratio:.3f} ({low:.3f}..{high:.3f}, {rounds} rounds)   {statistics.median(tenths):.3f}"
        f"   {f'{min(runs):.1f}..{max(runs):.1f}' if runs else 'not shown'}"
        f"{f'  <- beyond {LIMIT:.0%}' if missed else ''}",
        flush=True,
    )
    return missed


def tenth(values: Sequence[float]) -> float:
    """The tenth percentile: what a block takes that nothing disturbs."""
    return float(np.percentile(values, 10))


def lmbench(folder: Path, size_bytes: int, cpu: int) -> str:
    """What lat_mem_rd says, or why it does not."""
    got = subprocess.run(
        ["apt-get", "download", "lmbench"], cwd=folder, capture_output=True, text=True, check=False
    )
    package = next(folder.glob("lmbench_*.deb"), None)
    if got.returncode or package is None:
        return "not in this machine's package sources"
    subprocess.run(["dpkg-deb", "-x", package, folder / "lmbench"], check=True)
    program = next((folder / "lmbench").rglob("lat_mem_rd"), None)
    if program is None:
        return f"{package.name} has no lat_mem_rd"
    done = subprocess.run(
        ["taskset", "-c", str(cpu), program, "-t", "-P", "1", "-N", "1", str(size_bytes // MIB), "256"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    rows = re.findall(r"^[\d.]+ ([\d.]+)$", done.stderr + done.stdout, re.MULTILINE)
    return f"{rows[-1]} ns (lat_mem_rd -t, stride 256)" if rows else f"gave no number: {done.stderr[-200:]}"


def main() -> None:
    """Compare each way, exit with 1 if the two chases disagree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", default="1GiB")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    size = parse_size(options.size)
    cpu = place_threads(1)[0]
    # Both chase in this very thread's place.
    os.sched_setaffinity(0, {cpu})
    say_load("before")
    print(
        f"{'chase':<10}{'pages':<7}spacing   theirs     ours   ours/theirs (95 % interval)       of p10   "
        "pages whose frames follow each other   [ns]"
    )
    missed = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peer = OffsetChase(folder)
        for huge in (False, True):
            for way in (
                Way("windows", size, 512, min(16 * MIB, size), huge),
                Way("over all", size, 256, size, huge),
            ):
                missed += compare(peer, way, cpu, options.rounds)
        print(f"lmbench: {lmbench(folder, size, cpu)}")
    say_load("after")
    print(f"{missed} of 4 rows beyond {LIMIT:.0%}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
