"""Is the emulated profile recovered? A known-answer test of the whole path, on an otherwise idle machine.

Runs a sweep on emulated nodes with fresh processes, and holds each measured point against the scaled
profile's own curve: read bandwidth and latency must lie within 10 %, and the best interleave must read
faster than all-DRAM. Timing depends on the machine, so this is a benchmark and no unit test.

    .venv/bin/python benchmarks/profile_recovery.py [--threads 2] [--repeats 3]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from hmexp.experiment.progress import Progress
from hmexp.store.parameters import LoopPoint
from hmexp.store.reader import POINTS, read_points
from hmexp.store.results import Measured
from hmexp.sweep.parameters import SweepParameters
from hmexp.sweep.plan import make_plan
from hmexp.sweep.run import run_sweep
from hmexp.system.libnuma import LibNuma
from hmexp.system.topology import read_topology

LIMIT = 0.10
PATTERNS = ["1:0", "7:1", "3:1", "2:1", "1:1", "1:2", "1:3", "0:1"]
Key = tuple[str, str, float]


class Silent:
    """No progress is shown: the display would share the CPUs."""

    def show(self, progress: Progress) -> None:
        """See `ProgressDisplay`."""


def main() -> None:
    """Run the sweeps, print the table, exit with 1 if the profile was not recovered."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=1, help="whole sweeps, each with its own calibration")
    parser.add_argument("--size", default="256MiB")
    options = parser.parse_args()
    print(f"load average before: {os.getloadavg()[0]:.2f}")
    errors: dict[Key, list[float]] = defaultdict(list)
    peaks = []
    for _ in range(options.repeats):
        with tempfile.TemporaryDirectory() as folder:
            given = {
                "patterns": PATTERNS,
                "threads": options.threads,
                "size": options.size,
                "results": folder,
            }
            plan = make_plan(SweepParameters.from_mapping(given), read_topology(libnuma=LibNuma.load()))
            if plan.emulate is None:
                sys.exit("this machine has real slow nodes: nothing is emulated, so there is no known answer")
            outcome = run_sweep(plan, Silent())
            outcome.require_complete()
            records = list(read_points(Path(outcome.path) / POINTS).values())
        reads = {}
        for record in records:
            point, result = record.parameters, record.result
            if not isinstance(point, LoopPoint) or not isinstance(result, Measured) or record.model is None:
                sys.exit(
                    f"point {record.point_id} has nothing to hold against the profile: the host was slower "
                    "than the emulated nodes; measure again on a quiet machine"
                )
            operation, pattern, median = point.operation, point.pattern, result.median
            errors[operation, pattern, record.dram_share].append(median / record.model.value - 1)
            if operation == "read":
                reads[pattern] = median
        peaks.append(max(reads.values()) / reads[str(plan.backing_node)])
    failed = report(errors, peaks)
    print(f"load average after: {os.getloadavg()[0]:.2f}")
    sys.exit(1 if failed else 0)


def report(errors: dict[Key, list[float]], peaks: list[float]) -> bool:
    """Print what was measured against the profile; return whether it was not recovered."""
    failed = False
    print(f"{'operation':<10}{'DRAM share':>11}  {'median error':>13}  {'worst':>8}   pattern")
    for (operation, pattern, share), found in sorted(
        errors.items(), key=lambda item: (item[0][0], -item[0][2])
    ):
        median, worst = statistics.median(found), max(found, key=abs)
        missed = operation in ("read", "latency") and abs(median) > LIMIT
        failed |= missed
        mark = "  <- off by more than 10 %" if missed else ""
        print(f"{operation:<10}{share:>11.1%}  {median:>+13.2%}  {worst:>+8.2%}   {pattern}{mark}")
    peak = statistics.median(peaks)
    print(f"best interleave reads at {peak:.2f} times all-DRAM")
    return failed or peak <= 1


if __name__ == "__main__":
    main()
