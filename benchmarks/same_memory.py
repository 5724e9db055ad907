"""Our loops against plain ones on the very same pages: is what differs from a peer the loop, or its memory?

`benchmarks/peers.py` compares programs, and each has pages of its own: which physical pages they are, and in
which order, is the kernel's choice, and is a part of the speed. And a program takes half a second, in which a
host's speed changes. Here both go over one region in one process, in turn, two milliseconds each, so that a
difference of one percent shows. The plain loops are those of likwid-bench (`peer/plain_loops.c`), at every
width that the CPU has; ours are as they are chosen here. One thread.
It also says how much one and the same loop differs from region to region.

    .venv/bin/python benchmarks/same_memory.py [--regions 4] [--rounds 100] [--pages 4KiB] [--shapes plain]
"""

from __future__ import annotations

import argparse
import ctypes
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from quiet import say_load
from ratios import interval

from hmexp.measure.operation import find_operation
from hmexp.measure.shape_bench import Bench
from hmexp.measure.shape_choice import LEAST_SECONDS, shape_of
from hmexp.measure.shapes import Way, find_way
from hmexp.measure.threads import place_threads
from hmexp.memory.page_sizes import require_page_size
from hmexp.memory.region import Region, allocate
from hmexp.native import VECTOR_BITS, Operation, vector_bits
from hmexp.pattern import Pattern
from hmexp.system.near import near_dram
from hmexp.system.topology import read_topology
from hmexp.units import parse_size

#: In the order of the numbers in `peer/plain_loops.c`.
LOOPS = ("read", "write", "write_nt", "copy", "copy_nt", "triad", "triad_nt")
#: A piece is long beside what starting our thread costs, which the plain loops do not need [bytes].
PIECE_BYTES = 64 << 20
#: As the table names them; likwid-bench's own names.
WIDTHS = {128: "sse", 256: "avx", 512: "avx512"}
FLAGS = {128: (), 256: ("-mavx2",), 512: ("-mavx512f",)}


def compile_loops(folder: Path, bits: int) -> ctypes.CDLL:
    """The plain loops at a width [bits]."""
    source, library = Path(__file__).parent / "peer" / "plain_loops.c", folder / f"plain_{bits}.so"
    command = ["cc", "-O2", "-fno-tree-loop-distribute-patterns", "-fno-tree-vectorize", *FLAGS[bits]]
    subprocess.run(
        [*command, "-Wall", "-Werror", f"-DBITS={bits}", "-shared", "-fPIC", str(source), "-o", str(library)],
        check=True,
    )
    loops = ctypes.CDLL(str(library))
    loops.plain_run.restype = ctypes.c_int64
    return loops


class Both(Bench):
    """One thread on a region, the calling one, that walks it in our shapes and in plain loops."""

    def __init__(
        self, region: Region, operation: Operation, cpus: tuple[int, ...], loops: dict[int, ctypes.CDLL]
    ) -> None:
        super().__init__(region, operation, cpus, PIECE_BYTES)
        self.loops = loops

    def peer_gbps(self, bits: int) -> float:
        """Payload bandwidth of a plain loop over the next piece [GB/s]."""
        # Streams stand as those of our shapes: whole pages apart, as buffers of the C library do, and not by
        # a power of two, which costs a third.
        streams = self._operation.streams
        one_place = find_way("single", self._operation)
        (piece,) = self._piece(self._whole(one_place, 0)[0], one_place, 0)
        first = self._region.mapping.address + piece.offset_bytes
        starts = [first + i * (piece.part_bytes + piece.gap_bytes) for i in (*range(streams), 0, 0)][:3]
        spent_ns = self.loops[bits].plain_run(
            LOOPS.index(self._operation.name),
            *map(ctypes.c_void_p, starts),
            ctypes.c_uint64(piece.part_bytes),
        )
        return piece.part_bytes * streams / int(spent_ns)


def take(bench: Both, way: Way, rounds: int) -> tuple[dict[int, list[float]], list[float]]:
    """Ratios to the plain loop of each width, and what ours reach [GB/s]."""
    found: dict[int, list[float]] = {bits: [] for bits in bench.loops}
    reached = [bench.gbps(way)]
    order, shuffled = list(found), random.Random(0)
    for _ in range(rounds):
        shuffled.shuffle(order)
        for bits in order:
            theirs = bench.peer_gbps(bits)
            reached.append(bench.gbps(way))
            # What is before and what is after by turns: of the mean of both a median is not the ratio's.
            found[bits].append(reached[-1 - len(found[bits]) % 2] / theirs)
    return found, reached


def show(name: str, page: str, way: Way, taken: list[tuple[dict[int, list[float]], list[float]]]) -> None:
    """Print a row for each width."""
    speeds = [statistics.median(reached) for _, reached in taken]
    middle = statistics.median(speeds)
    for bits in taken[0][0]:
        ratio, low, high = interval([one for found, _ in taken for one in found[bits]])
        each = [statistics.median(found[bits]) for found, _ in taken]
        print(
            f"{name:<10}{page}  {WIDTHS[bits]:<8}{ratio:>7.3f} [{low:.3f}, {high:.3f}] "
            f"({min(each):.3f}..{max(each):.3f})  {way.name:<16}{middle:>6.1f} GB/s, "
            f"{min(speeds) / middle - 1:+.1%}..{max(speeds) / middle - 1:+.1%}",
            flush=True,
        )


def main() -> None:
    """Compare on several regions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--regions", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=100, help="on each region")
    parser.add_argument("--size", default="512MiB")
    parser.add_argument("--operations", nargs="+", default=list(LOOPS), choices=list(LOOPS))
    parser.add_argument("--pages", nargs="+", default=["4KiB", "2MiB"], choices=["4KiB", "2MiB"])
    parser.add_argument("--shapes", default="auto", help="of our loops: auto (by measurement) or a name")
    options = parser.parse_args()
    if platform.machine() != "x86_64":
        sys.exit("the plain loops are for x86-64")
    say_load("before")
    node, cpus = near_dram(read_topology()), place_threads(1)
    print("operation pages  loop     ours over plain, same pages (regions)   shape, speed by region")
    with tempfile.TemporaryDirectory() as folder:
        loops = {
            bits: compile_loops(Path(folder), bits) for bits in VECTOR_BITS if 64 < bits <= vector_bits()
        }
        for page in options.pages:
            pattern = Pattern((node,), parse_size(page))
            huge = require_page_size(pattern, pattern.granule_bytes)
            for name in options.operations:
                operation = find_operation(name)
                shape = shape_of(options.shapes, name, pattern.granule_bytes, cpus, node, LEAST_SECONDS)
                way = find_way(shape, operation)
                taken = []
                os.sched_setaffinity(0, cpus)
                for _ in range(options.regions):
                    with allocate(options.size, pattern, huge=huge) as region:
                        bench = Both(region, operation, cpus, loops)
                        bench.warm(way)
                        taken.append(take(bench, way, options.rounds))
                show(name, page, way, taken)
    say_load("after")


if __name__ == "__main__":
    main()
