"""The same point in 20 fresh processes: do the reported intervals cover the median of all, in 18 or more?

.venv/bin/python benchmarks/repeatability.py [--launches 20] [--op read]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys

from quiet import say_load

from hmexp.measure.point import near_dram
from hmexp.system.topology import read_topology


def main() -> None:
    """Measure, print each interval, exit with 1 if too few cover the overall median."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--launches", type=int, default=20)
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
    ]
    found = []
    for _ in range(options.launches):
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
            f"{'covers' if inside else 'misses'}  {disturbed} disturbed"
        )
    say_load("after")
    print(f"overall median {overall:.4f}; {covered} of {len(found)} intervals cover it")
    sys.exit(0 if covered >= 0.9 * len(found) else 1)


if __name__ == "__main__":
    main()
