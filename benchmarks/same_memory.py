"""Our loops against plain ones on the very same pages: is what differs from a peer the loop, or its memory?

`benchmarks/peers.py` compares programs, and each has pages of its own: which physical pages they are, and in
which order, is the kernel's choice, and is a part of the speed. Here both go over one region, one after the
other, in turn. The plain loops are those of likwid-bench (`peer/plain_loops.c`).
It also says how much one and the same loop differs from region to region.

    .venv/bin/python benchmarks/same_memory.py [--regions 6] [--size-mib 512]
"""

from __future__ import annotations

import argparse
import ctypes
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from quiet import say_load

import hmexp
from hmexp.measure.threads import place_threads
from hmexp.memory.region import Region, allocate
from hmexp.native import OPERATIONS
from hmexp.pattern import Pattern
from hmexp.system.near import near_dram
from hmexp.system.topology import read_topology

#: In the order of the numbers in `peer/plain_loops.c`.
LOOPS = ("read", "write", "write_nt", "copy", "copy_nt", "triad", "triad_nt")
ROUNDS = 6


class PlainLoops:
    """The compiled loops.

    Parameters
    ----------
    folder : Path
        Where to put the library.
    """

    def __init__(self, folder: Path) -> None:
        source = Path(__file__).parent / "peer" / "plain_loops.c"
        library = folder / "plain_loops.so"
        command = ["cc", "-O2", "-march=native", "-Wall", "-Werror", "-shared", "-fPIC"]
        subprocess.run([*command, str(source), "-o", str(library)], check=True)
        self._run = ctypes.CDLL(str(library)).plain_run
        self._run.restype = ctypes.c_int64

    def gbps(self, region: Region, operation: str, seconds: float) -> float:
        """Payload bandwidth on one thread, the calling one, over at least that long [GB/s]."""
        known = OPERATIONS[operation]
        streams = known.loads + known.stores
        part = region.size_bytes // streams // 4096 * 4096
        # Whole pages apart, as buffers of the C library are: with 128 bytes more, loads meet stores under way
        # whose addresses end alike, and the plain triad takes three times as long.
        starts = [ctypes.c_void_p(region.mapping.address + part * i) for i in (*range(streams), 0, 0)][:3]
        checksum = ctypes.c_double()

        def take(passes: int) -> int:
            spent = self._run(
                LOOPS.index(operation), *starts, ctypes.c_uint64(part), passes, ctypes.byref(checksum)
            )
            return int(spent)

        passes = max(1, round(seconds * 1e9 / take(1)))
        return passes * part * streams / take(passes)


def main() -> None:
    """Compare on several regions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--regions", type=int, default=6)
    parser.add_argument("--size-mib", type=int, default=512)
    parser.add_argument("--operations", nargs="+", default=list(LOOPS), choices=list(LOOPS))
    options = parser.parse_args()
    if not {"avx512f", "avx2"} & set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split()):
        sys.exit("the plain loops are for x86-64 with AVX2 or AVX-512")
    say_load("before")
    node = near_dram(read_topology())
    cpus = place_threads(1)
    os.sched_setaffinity(0, cpus)
    print(f"{'operation':<10}pages   ours over plain, same pages (range)   ours from region to region")
    with tempfile.TemporaryDirectory() as folder:
        plain = PlainLoops(Path(folder))
        for huge in (False, True):
            ratios: dict[str, list[float]] = {name: [] for name in options.operations}
            speeds: dict[str, list[float]] = {name: [] for name in options.operations}
            for _ in range(options.regions):
                with allocate(f"{options.size_mib}MiB", Pattern((node,)), huge=huge) as region:
                    for name in options.operations:
                        own, other = [], []
                        for _ in range(ROUNDS):
                            other.append(plain.gbps(region, name, 0.1))
                            found = hmexp.measure_bandwidth(
                                region, name, 1, pinning=cpus, sampling=hmexp.Sampling(3, 0.1)
                            )
                            own.append(found.median)
                        ratios[name].append(statistics.median(own) / statistics.median(other))
                        speeds[name].append(statistics.median(own))
            for name in options.operations:
                middle = statistics.median(speeds[name])
                print(
                    f"{name:<10}{'2 MiB' if huge else '4 KiB'}  {statistics.median(ratios[name]):>6.3f} "
                    f"({min(ratios[name]):.3f}..{max(ratios[name]):.3f})"
                    f"{'':<12}{min(speeds[name]) / middle - 1:+.1%}..{max(speeds[name]) / middle - 1:+.1%}",
                    flush=True,
                )
    say_load("after")


if __name__ == "__main__":
    main()
