"""The same point 20 times, measured as a sweep does: do 18 intervals or more cover the median of all?

A process differs from the next by more than its samples differ from one another: where its pages are, and
what the machine does meanwhile. An interval over the samples of one process cannot cover that, so a sweep's
points, and these, are of several launches, and their intervals are over the launches. A machine also drifts
from minute to minute; a sweep therefore takes its launches in rounds, one of each point, in an order of each
round's own. So it is done here: intervals of points that are measured one after the other (`--one-by-one`)
say nothing about the drift between them, and cover less.

.venv/bin/python benchmarks/repeatability.py [--times 20] [--op read] [--launches 5] [--one-by-one]
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys

from quiet import say_load

from hmexp.experiment.launcher import launch
from hmexp.experiment.point_records import join_launches
from hmexp.store.records import LaunchRecord
from hmexp.store.results import Measured
from hmexp.sweep.parameters import SweepParameters
from hmexp.sweep.plan import make_plan
from hmexp.system.near import near_dram
from hmexp.system.topology import read_topology


def order(times: int, launches: int, one_by_one: bool) -> list[tuple[int, int]]:
    """Which launch of which repetition comes when."""
    if one_by_one:
        return [(one, number) for one in range(times) for number in range(launches)]
    shuffler = random.Random(0)
    found = []
    for number in range(launches):
        found += [(one, number) for one in shuffler.sample(range(times), times)]
    return found


def main() -> None:
    """Measure, print each interval, exit with 1 if too few cover the overall median."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--launches", type=int, default=SweepParameters().launches)
    parser.add_argument("--op", default="read")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--one-by-one", action="store_true")
    options = parser.parse_args()
    say_load("before")
    topology = read_topology()
    given = {
        "patterns": [str(near_dram(topology))], "operations": [options.op], "threads": [options.threads],
        "launches": options.launches, "emulate": "none",
    }  # fmt: skip
    plan = make_plan(SweepParameters.from_mapping(given), topology)
    (point,) = plan.points
    taken: list[list[LaunchRecord]] = [[] for _ in range(options.times)]
    for one, number in order(options.times, options.launches, options.one_by_one):
        record = launch(plan.task(point, None, number), 60)
        if record.status != "ok":
            sys.exit(f"a launch failed: {record.reason}")
        taken[one].append(record)
    joined = [join_launches(launches).result for launches in taken]
    found = [result for result in joined if isinstance(result, Measured)]
    overall = statistics.median(result.median for result in found)
    covered = 0
    for result in found:
        low, high = result.ci_low or result.median, result.ci_high or result.median
        inside = low <= overall <= high
        covered += inside
        disturbed = 0 if result.noise is None else result.noise.disturbed
        print(
            f"{result.median:9.4f} {low:9.4f}..{high:<9.4f} "
            f"{'covers' if inside else 'misses'}  over {result.interval_over}, {disturbed} disturbed"
        )
    say_load("after")
    print(f"overall median {overall:.4f}; {covered} of {len(found)} intervals cover it")
    sys.exit(0 if covered >= 0.9 * len(found) else 1)


if __name__ == "__main__":
    main()
