"""What the harness costs: a point of 0.5 s of samples must take under 0.8 s of wall time.

The wall time is that of a whole launch: the fork of a process that has imported everything (or, with
`--start exec`, the interpreter and its imports), placing the pages, two proofs, the ring or the trial, the
samples, the record, and the end of the process. It says something on a quiet machine only. Printed with it is
the CPU time that the launch took apart from its samples, which a busy machine stretches far less, and how
long the pages alone take: touching 256 MiB for the first time is a part that no harness can leave out.

.venv/bin/python benchmarks/harness_cost.py [--size 256MiB]
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import time
from pathlib import Path

from quiet import say_load

from hmexp.experiment.launcher import forking, launch
from hmexp.memory.region import allocate
from hmexp.pattern import Pattern
from hmexp.store.results import Measured
from hmexp.sweep.parameters import SweepParameters
from hmexp.sweep.plan import make_plan
from hmexp.system.near import near_dram
from hmexp.system.topology import read_topology

#: Beside the samples: passes are whole ones, so that half a second of samples may be a little more.
LIMIT_SECONDS = 0.3


def children_cpu_seconds() -> float:
    """CPU time of all processes that were started and have ended, also by a server that still runs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    ticks = 0
    for pid in map(int, Path("/proc/self/task", str(os.getpid()), "children").read_text().split()):
        fields = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[13]) + int(fields[14])
    return used.ru_utime + used.ru_stime + ticks / os.sysconf("SC_CLK_TCK")


def pages_seconds(size: str, node: int) -> float:
    """How long it takes to map and touch the pages of a region, and to give them back [s]."""
    times = []
    for _ in range(5):
        begun = time.monotonic()
        with allocate(size, Pattern((node,))):
            pass
        times.append(time.monotonic() - begun)
    return statistics.median(times)


def main() -> None:
    """Launch a worker several times, exit with 1 if the median is too long."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", default="256MiB")
    parser.add_argument("--launches", type=int, default=7)
    parser.add_argument("--start", choices=("fork", "exec"), default="fork")
    options = parser.parse_args()
    say_load("before")
    node = near_dram(read_topology())
    print(f"{options.size} are there, and gone again, in {pages_seconds(options.size, node):.3f} s")
    with forking(options.start):
        missed = measure(options, str(node))
    say_load("after")
    sys.exit(1 if missed else 0)


def measure(options: argparse.Namespace, node: str) -> bool:
    """Launch workers for each operation; return whether one took too long."""
    topology = read_topology()
    missed = False
    for operation in ("read", "write_nt", "latency"):
        given = {
            "patterns": [node], "operations": [operation], "threads": [1], "size": options.size,
            "samples": 10, "sample_seconds": 0.05, "precision": 0, "emulate": "none",
            "shapes": "plain",
        }  # fmt: skip
        plan = make_plan(SweepParameters.from_mapping(given), topology)
        task = plan.task(plan.points[0], None, 0)
        # The first launch starts the server, too.
        launch(task, 60)
        walls, sampled, beside = [], [], []
        for _ in range(options.launches):
            begun, used = time.monotonic(), children_cpu_seconds()
            record = launch(task, 60)
            walls.append(time.monotonic() - begun)
            used = children_cpu_seconds() - used
            result = record.result
            if not isinstance(result, Measured) or result.noise is None:
                sys.exit(f"the point failed: {record.reason}")
            sampled.append(sum(result.sample_seconds))
            on_cpu = sum(
                seconds * (1 - off)
                for seconds, off in zip(result.sample_seconds, result.noise.off_cpu, strict=True)
            )
            beside.append(used - on_cpu)
        wall = statistics.median(walls)
        more = statistics.median(all_of - part for all_of, part in zip(walls, sampled, strict=True))
        missed |= more > LIMIT_SECONDS
        mark = f"  <- over {LIMIT_SECONDS:g} s" if more > LIMIT_SECONDS else ""
        print(
            f"{operation:<9} {statistics.median(sampled):.2f} s of samples in {wall:.2f} s "
            f"({min(walls):.2f}..{max(walls):.2f}); "
            f"{more:.2f} s beside them; CPU time beside them "
            f"{statistics.median(beside):.2f} s (least {min(beside):.2f}){mark}",
            flush=True,
        )
    return missed


if __name__ == "__main__":
    main()
