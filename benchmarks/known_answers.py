"""Do measurements on emulated nodes come back to the truth that was set? To be run on a quiet machine.

For each profile, number of threads and share of slow memory: read, write and mixed bandwidth and latency
against the scaled profile (5 %), the knee of the loaded-latency curve against the capacity (10 %; that of
the middle one of three curves, as of a sweep's launches), and a placement that is wrong on purpose, which
must show as a wrong speed and a failed proof. There are three floors: rates on the host's DRAM; links and
media (mixes past the cache, too); and the lab's slowed node, which a guest alone can show (below).

Each row of bandwidth asks for the next shape and vector width of those that may be chosen for its operation,
and names it: emulated nodes are walked plainly, and the answer must be the same whatever was chosen. The end
of the output counts how many of them were asked for.

A row of which a quarter of the samples or more were disturbed, by the noise that they carry and never by
their value, is measured again, and it is said how often; of a row that always is, the least disturbed time
counts. A host that is busy elsewhere lets the threads that make the load go slower, without a word: their
bursts take twice as long, come in other places of the chase, and the same load means another latency. So
more curves are drawn where the same pauses gave a lower load than in another one, and the three in which
the load was least hindered count.

    HMEXP_LAB_REQUIRED=1 .venv/bin/python -m pytest -m lab tests/lab/test_slow_node.py

    make known-answers      or      .venv/bin/python benchmarks/known_answers.py --threads 1 2
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from quiet import say_load
from tally import CURVES, Tally

import hmexp
from hmexp import native
from hmexp.errors import PlacementError
from hmexp.measure.curve import LoadedCurve
from hmexp.measure.shapes import Way, ways_of
from hmexp.measure.walk import Walk
from hmexp.memory.emulation import Emulation, EmulationRequest
from hmexp.memory.family import Family
from hmexp.memory.region import allocate
from hmexp.pattern import Pattern
from hmexp.system.cpus import allowed_cpus
from hmexp.system.near import near_dram
from hmexp.system.topology import read_topology

LIMIT, KNEE_LIMIT = 0.05, 0.10
STEPS = 8
#: Part of the host's bandwidth that nodes have whose knee is looked for. One CPU must make more traffic than
#: they can carry, also while the host lets it need 190 ns for a burst of 1 KiB, not 70. Of 0.6 of the host
#: that is all it can do then, and 9 of 40 curves were more than 10 % off; of 0.3 none of 24.
REACH = 0.3
#: Up to this part of its peak a published curve is taken to be below its knee.
BELOW_KNEE = 0.8
OPERATIONS = ("read", "write", "mix_2_1")
#: The third one is this file's own.
OWN = "collapsing"
PROFILES = ("optane-dcpmm", "cxl-expander", OWN, "cxl-duplex", "ddr5-sapphire-rapids")
#: Of nodes with a link or a medium: mixes past the cache, where the peak and the dip are.
MIXED = (*OPERATIONS, "write_nt", "mix_1_1_nt", "mix_2_1_nt", "mix_3_1_nt")
#: A profile of one's own, in which two writers get less than one: what any machine with two CPUs can show.
COLLAPSING = """\
title = "Memory that two writers slow down"
kind = "unknown"
source = "made up, to be recovered"
[dram]
read_gbps = 100.0
write_gbps = 60.0
latency_ns = 100.0
[slow]
read_gbps = 50.0
write_gbps = 20.0
latency_ns = 250.0
[slow.writers]
1 = 1.0
2 = 0.6
"""


def patterns(dram: int, slow: int) -> Iterator[tuple[float, Pattern]]:
    """Each share of slow memory from 0 to 100 % in steps of 12.5 %, spread as evenly as possible."""
    for step in range(STEPS + 1):
        nodes = {node: count for node, count in ((dram, STEPS - step), (slow, step)) if count}
        yield step / STEPS, Pattern.from_ratio(nodes)


class Ways:
    """For each operation the shapes that may be chosen for it, in turn."""

    def __init__(self) -> None:
        self.all = {name: ways_of(operation) for name, operation in native.OPERATIONS.items()}
        self.asked = dict.fromkeys(self.all, 0)

    def next(self, operation: str) -> Way:
        """Return the next one of an operation."""
        ways = self.all[operation]
        self.asked[operation] += 1
        return ways[(self.asked[operation] - 1) % len(ways)]

    def say(self) -> str:
        """How many of them were asked for."""
        return "shapes that were asked for: " + ", ".join(
            f"{name} {min(count, len(self.all[name]))} of {len(self.all[name])}"
            for name, count in self.asked.items()
            if count
        )


def check_profile(request: EmulationRequest, threads: int, size: str, tally: Tally, ways: Ways) -> Emulation:
    """Hold every share of one profile against its truth."""
    operations = MIXED if request.profile.duplex else OPERATIONS
    quantities = ("write_nt",) if request.profile.duplex else ()
    emulation = hmexp.emulate(request, threads, size=size, quantities=quantities)
    dram = near_dram(read_topology())
    for share, pattern in patterns(dram, request.node):
        label = f"EMULATED {request.profile.name}, {threads} threads, {share:.1%} slow"
        with allocate(size, pattern, emulation=emulation) as region:
            for operation in operations:
                truth = emulation.predict(region.pages_per_node(), operation, threads)
                way = ways.next(operation).name
                walk = Walk(shape=way)
                found = tally.measure(partial(hmexp.measure_bandwidth, region, operation, threads, walk=walk))
                tally.judge(f"{label}, {operation} {way} GB/s", found, truth, LIMIT)
            if threads == 1:
                truth = emulation.predict(region.pages_per_node(), "latency")
                found = tally.measure(partial(hmexp.measure_latency, region))
                tally.judge(f"{label}, latency ns", found, truth, LIMIT)
    return emulation


def within_reach(request: EmulationRequest, emulation: Emulation) -> Emulation:
    """The profile scaled to a part of what this host can do.

    Where one CPU probes, the others must be able to make more traffic than any node can carry: with one
    of them, the faster node of the whole host's scale is out of reach.
    """
    host = emulation.host
    part = replace(host, read_gbps=REACH * host.read_gbps, write_gbps=REACH * host.write_gbps)
    dram = [one for one in emulation.speeds if one != request.node]
    return Emulation.scale_to_host(request, part, dram, emulation.backing[request.node])


def check_knee(emulation: Emulation, node: int, size: str, tally: Tally) -> None:
    """The knee of the curve on each node alone must lie at what the node can do, or be out of reach."""
    for one in (near_dram(read_topology()), node):
        capacity = emulation.predict({one: 1}, "read")
        curves = tally.draw(partial(draw_curve, emulation, one, size), capacity)
        curves.sort(key=lambda curve: carried_gbps(curve) or 0.0)
        curve = curves[CURVES // 2]
        label = f"EMULATED {emulation.profile.name}, node {one}, knee GB/s"
        family = emulation.speeds[one].family
        found = carried_gbps(curve)
        if family is not None:
            check_family(curve, family, capacity, f"EMULATED {emulation.profile.name}, node {one}", tally)
        elif found is None:
            # One CPU probes, and what the others can make may not be enough: then this is the right answer.
            reached = curve.knee.highest_gbps / capacity
            wrong = reached > 1 - KNEE_LIMIT
            tally.missed += wrong
            print(
                f"{label}: {curve.knee}; that is {reached:.0%} of the capacity, {capacity:.2f}"
                f"{'  <- there must be a knee' if wrong else ''}"
            )
        else:
            each = ", ".join(f"{(carried_gbps(curve) or 0.0) / capacity - 1:+.1%}" for curve in curves)
            print(f"{label}, errors of its curves: {each}")
            tally.judge(label, found, capacity, KNEE_LIMIT)


def draw_curve(emulation: Emulation, node: int, size: str) -> LoadedCurve:
    """One curve of a node, on fresh pages."""
    with allocate(size, Pattern((node,)), emulation=emulation) as region:
        return hmexp.measure_loaded_latency(region)


def carried_gbps(curve: LoadedCurve) -> float | None:
    """What the memory carries at the knee: the chase takes a part of it, too."""
    knee = curve.knee
    return None if knee.load_gbps is None else knee.load_gbps + 64 / (knee.latency_ns or float("inf"))


def check_family(curve: LoadedCurve, family: Family, capacity_gbps: float, label: str, tally: Tally) -> None:
    """Where a node's latency follows published curves, it must be theirs at each load below the knee.

    Such a curve need not have a knee that `find_knee` would call one: some never reach twice the latency.
    Where no curve of reads alone was published, their peak is the link's.
    """
    # The chase takes a part of the capacity, too.
    loads = [point.load_gbps + 64 / point.latency.median for point in curve.points]
    below = [
        (point.latency.median, family.latency_ns(1.0, load))
        for point, load in zip(curve.points, loads, strict=True)
        if load <= BELOW_KNEE * capacity_gbps
    ]
    found, truth = max(below, key=lambda pair: abs(pair[0] / pair[1] - 1))
    tally.judge(f"{label}, latency, worst of {len(below)} loads, ns", found, truth, KNEE_LIMIT)
    tally.judge(f"{label}, reads at saturation GB/s", max(loads), capacity_gbps, LIMIT)


def check_wrong_placement(emulation: Emulation, node: int, size: str, tally: Tally) -> None:
    """Pages that are not where the pattern says: the speed is another one, and the proof fails.

    A machine with one node cannot misplace a page, and emulated speeds follow the pattern, not the pages:
    that a page has moved away is for the proof to find. So the two halves are shown apart: the model is
    given the nodes that the pages would be on, and the proof an expectation that the pages do not meet.
    Pages that another process really moves take a second node, and are not shown here.
    """
    dram = near_dram(read_topology())
    asked, wrong = Pattern((dram,)), Pattern((node,))
    with allocate(size, asked, emulation=emulation) as region:
        right = hmexp.measure_bandwidth(region, "read").median
        region.model = emulation.node_model(wrong)
        region.emulation = None
        found = tally.measure(partial(hmexp.measure_bandwidth, region, "read"))
        region.real_pattern = Pattern((dram + 1000 if dram < 24 else 0,))
        try:
            region.placement().require()
            failed = False
        except PlacementError as error:
            failed = True
            print(f"wrong placement, as it should be: {error.message}")
    tally.missed += not failed
    label = f"EMULATED {emulation.profile.name}, wrong placement"
    print(f"{label}, shows as a failed proof: {failed}; as another speed: {right:.2f} -> {found:.2f} GB/s")
    # Where a profile's nodes are equally fast, that is the same speed.
    tally.judge(f"{label}, read GB/s", found, emulation.predict({node: 1}, "read"), LIMIT)


def main() -> None:
    """Check everything, exit with 1 if an answer was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    able = list(range(1, min(2, len(allowed_cpus())) + 1))
    parser.add_argument("--threads", type=int, nargs="+", default=able)
    parser.add_argument("--size", default="128MiB")
    parser.add_argument("--only", choices=("knees", "all"), default="all", help="the knees alone, or all")
    parser.add_argument("--profiles", nargs="+", default=list(PROFILES), choices=PROFILES)
    options = parser.parse_args()
    say_load("before")
    print(f"{'what':<64} {'found':>9} {'truth':>9} {'error':>8}")
    tally, ways = Tally(), Ways()
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder) / "collapsing.toml"
        own.write_text(COLLAPSING, encoding="utf-8")
        for profile in options.profiles:
            request = EmulationRequest.parse(f"2={own if profile == OWN else profile}")
            for threads in options.threads:
                if options.only == "all":
                    emulation = check_profile(request, threads, options.size, tally, ways)
                elif threads == 1:
                    emulation = hmexp.emulate(request, size=options.size, quantities=())
                if threads == 1 and len(allowed_cpus()) > 1:
                    check_knee(within_reach(request, emulation), request.node, options.size, tally)
                    check_wrong_placement(emulation, request.node, options.size, tally)
    say_load("after")
    print(tally.say())
    print(ways.say())
    print(f"{tally.missed} answers missed")
    sys.exit(1 if tally.missed else 0)


if __name__ == "__main__":
    main()
