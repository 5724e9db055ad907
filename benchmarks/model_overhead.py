"""What modelling nodes costs where it should cost nothing: the emulating loops with nodes that are free.

Plain loops and emulating ones go over the same pages by turns (plain, emulating, emulating, plain), each
operation with 1 and 2 threads, and the chase. The overhead is the time that the emulating ones take more; it
must be under 2 %. Beside the median of the rounds stands the comparison of the best sample of each.

    .venv/bin/python benchmarks/model_overhead.py [--size 256MiB] [--rounds 5] [--huge]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from quiet import say_load
from ratios import interval

import hmexp
from hmexp.measure.measurement import Measurement
from hmexp.measure.operation import OPERATIONS
from hmexp.memory.region import Region, allocate
from hmexp.pattern import Pattern
from hmexp.system.cpus import allowed_cpus
from hmexp.system.near import near_dram
from hmexp.system.topology import read_topology

LIMIT = 0.02


def compare(name: str, region: Region, measure: Callable[[], Measurement], rounds: int) -> bool:
    """Print a row; return whether the emulating loops take longer by more than is let pass."""
    model = region.model
    ratios: list[float] = []
    times: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(rounds):
        spent = {False: 0.0, True: 0.0}
        for emulating in (False, True, True, False):
            region.model = model if emulating else None
            found = measure()
            # Of a latency the samples are times, of a bandwidth their inverse.
            each = [value if found.unit == "ns" else 1 / value for value in found.samples]
            spent[emulating] += found.median if found.unit == "ns" else 1 / found.median
            times[emulating].append(min(each))
        ratios.append(spent[True] / spent[False])
    region.model = model
    ratio, low, high = interval(ratios)
    best = min(times[True]) / min(times[False]) - 1
    missed = ratio - 1 > LIMIT
    print(
        f"{name:<24}{ratio - 1:>+8.2%} ({low - 1:+.2%}..{high - 1:+.2%})   {best:>+8.2%}"
        f"{'  <- over 2 %' if missed else ''}",
        flush=True,
    )
    return missed


def main() -> None:
    """Compare every operation, exit with 1 if one is slowed too much."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", default="256MiB")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--huge", action="store_true")
    parser.add_argument("--operations", nargs="+", default=[*OPERATIONS, "latency"])
    options = parser.parse_args()
    say_load("before")
    print(f"{'operation':<24}{'overhead':>8} (95 % interval)        best of each")
    pattern = Pattern((near_dram(read_topology()),))
    missed = rows = 0
    with allocate(options.size, pattern, calibrating=True, huge=options.huge) as region:
        for operation in options.operations:
            for threads in (1, 2) if operation != "latency" and len(allowed_cpus()) > 1 else (1,):

                def measure(op: str = operation, count: int = threads) -> Measurement:
                    if op == "latency":
                        return hmexp.measure_latency(region, sampling=hmexp.Sampling(5, 0.03))
                    return hmexp.measure_bandwidth(region, op, count, sampling=hmexp.Sampling(5, 0.03))

                plural = "s" if threads > 1 else ""
                missed += compare(f"{operation}, {threads} thread{plural}", region, measure, options.rounds)
                rows += 1
    say_load("after")
    print(f"{missed} of {rows} rows are slowed by more than {LIMIT:.0%}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
