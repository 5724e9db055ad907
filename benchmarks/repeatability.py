"""The same point 20 times, measured as a sweep does: do 18 intervals or more cover the median of all?

A process differs from the next by more than its samples differ from one another: where its pages are, and
what the machine does meanwhile. An interval over the samples of one process cannot cover that, so a sweep's
points, and these, are of several launches, and their intervals are over the launches.

.venv/bin/python benchmarks/repeatability.py [--times 20] [--op read] [--launches 5]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys

from quiet import say_load

from hmexp.experiment.parameters import SweepParameters
from hmexp.measure.point import near_dram
from hmexp.system.topology import read_topology


def main() -> None:
    """Measure, print each interval, exit with 1 if too few cover the overall median."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--times", type=int, default=20)
    default = SweepParameters()
    parser.add_argument("--launches", type=int, default=default.launches)
    parser.add_argument("--op", default="read")
    parser.add_argument("--threads", default="1")
    options = parser.parse_args()
    say_load("before")
    command = [sys.executable, "-m", "hmexp", "measure", "--json", "--no-baseline", "--emulate", "none"]
    command += [
        "--pattern",
        str(near_dram(read_topology())),
        "--op",
        options.op,
        "--threads",
        options.threads,
        "--launches",
        str(options.launches),
        "--samples",
        str(default.samples),
        "--sample-seconds",
        str(default.sample_seconds),
        "--precision",
        str(default.precision),
    ]
    found = []
    for _ in range(options.times):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout)["result"])
    overall = statistics.median(result["median"] for result in found)
    covered = 0
    for result in found:
        inside = result["ci_low"] <= overall <= result["ci_high"]
        covered += inside
        disturbed = result["noise"]["disturbed"]
        print(
            f"{result['median']:9.4f} {result['ci_low']:9.4f}..{result['ci_high']:<9.4f} "
            f"{'covers' if inside else 'misses'}  over {result['interval_over']}, {disturbed} disturbed"
        )
    say_load("after")
    print(f"overall median {overall:.4f}; {covered} of {len(found)} intervals cover it")
    sys.exit(0 if covered >= 0.9 * len(found) else 1)


if __name__ == "__main__":
    main()
