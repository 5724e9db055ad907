"""hmexp's latency against a chase that was written by itself (benchmarks/peer/offset_chase.c), in one run.

Both chase through as many bytes, at the same spacing and windows, on pages of the same size, on the same CPU,
each time on fresh memory: ours, theirs, theirs, ours, round after round. A ratio is that of a round's two and
two. lmbench's lat_mem_rd, if the package sources of this machine have it, is fetched into a temporary folder,
not installed, and shown for information: its order is another one, so it is not judged.

    .venv/bin/python benchmarks/latency_peers.py [--size 1GiB] [--rounds 5]
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from quiet import say_load
from ratios import interval

import hmexp
from hmexp.measure.threads import place_threads
from hmexp.memory.region import allocate
from hmexp.pattern import Pattern
from hmexp.system.near import near_dram
from hmexp.system.topology import read_topology
from hmexp.units import KIB, MIB, parse_size

LIMIT = 0.03
SOURCE = Path(__file__).parent / "peer" / "offset_chase.c"
HOPS, SAMPLES = 200_000, 5


@dataclass(frozen=True)
class Way:
    """How lines are chased through."""

    name: str
    size_bytes: int
    spacing_bytes: int
    window_bytes: int
    huge: bool

    @property
    def pages(self) -> str:
        """The size of the pages, for a person."""
        return "2 MiB" if self.huge else "4 KiB"


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


def ours(way: Way, cpu: int, seed: int) -> float:
    """Median of a measurement on fresh memory [ns]."""
    with allocate(way.size_bytes, Pattern((near_dram(read_topology()),)), huge=way.huge) as region:
        require_pages(way, huge_bytes(region.mapping.address), "our")
        found = hmexp.measure_latency(
            region, cpu=cpu, sampling=hmexp.Sampling(SAMPLES, 0.04),
            ring=hmexp.RingPlan(way.spacing_bytes, way.window_bytes, seed=seed),
        )  # fmt: skip
    return found.median


def theirs(program: Path, way: Way, cpu: int, seed: int) -> float:
    """Median of what the other chase says [ns]."""
    numbers = (way.size_bytes, way.spacing_bytes, way.window_bytes, int(way.huge), cpu, HOPS, SAMPLES, seed)
    done = subprocess.run([program, *map(str, numbers)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{program.name}: {done.stderr.strip()}")
    first, *samples = done.stdout.splitlines()
    require_pages(way, int(first.split()[1]), "its")
    return statistics.median(map(float, samples))


def compare(program: Path, way: Way, cpu: int, rounds: int) -> bool:
    """Print a row; return whether the two differ by more than is let pass."""
    own: list[float] = []
    other: list[float] = []
    ratios = []
    for number in range(rounds):
        mine = [ours(way, cpu, 2 * number + 1)]
        his = [theirs(program, way, cpu, 2 * number + turn) for turn in (1, 2)]
        mine.append(ours(way, cpu, 2 * number + 2))
        ratios.append(sum(mine) / sum(his))
        own += mine
        other += his
    ratio, low, high = interval(ratios)
    missed = abs(ratio - 1) > LIMIT
    print(
        f"{way.name:<10}{way.pages:<7}{way.spacing_bytes:>6} B  {statistics.median(other):>8.1f}"
        f"{statistics.median(own):>9.1f}   {ratio:.3f} ({low:.3f}..{high:.3f}, {rounds} rounds)"
        f"{'  <- beyond 3 %' if missed else ''}",
        flush=True,
    )
    return missed


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
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        sys.exit("no C compiler is installed: apt-get install gcc")
    size = parse_size(options.size)
    cpu = place_threads(1)[0]
    say_load("before")
    print(f"{'chase':<10}{'pages':<7}spacing   theirs     ours   ours/theirs (95 % interval)   [ns]")
    missed = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = folder / "offset_chase"
        flags = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror")
        subprocess.run([compiler, *flags, SOURCE, "-o", program], check=True)
        for huge in (False, True):
            for way in (
                Way("windows", size, 512, min(16 * MIB, size), huge),
                Way("over all", size, 256, size, huge),
            ):
                missed += compare(program, way, cpu, options.rounds)
        print(f"lmbench: {lmbench(folder, size, cpu)}")
    say_load("after")
    print(f"{missed} of 4 rows beyond {LIMIT:.0%}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
