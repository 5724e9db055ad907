"""The report of a large fleet: 1000 hosts of 100 points each, within 60 s and 1 GiB.

The records are made up, as large as those of a sweep, with hosts that differ by 2 % and launches by 1 %;
one host is slow, and a setting of it is another. The report must name that host and that setting; the time
that counts is that of the CPU.

    python benchmarks/fleet_report.py [--hosts 1000] [--points 100] [--launches 3]
"""

from __future__ import annotations

import argparse
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from hmexp.experiment.point_records import join_launches
from hmexp.store.evidence import PlacementRecord, Proof
from hmexp.store.fleet import FLEET, HOSTS, FleetRecord, HostRecord, write_fleet
from hmexp.store.parameters import LoopPoint
from hmexp.store.parts import Multiple, SettingRecord
from hmexp.store.provenance import Provenance
from hmexp.store.reader import POINTS, RUN
from hmexp.store.records import LaunchRecord, PointRecord, RunRecord
from hmexp.store.results import Measured
from hmexp.store.writer import encode, encode_run

SLOW = "host-0007"
BALANCING = "kernel.numa_balancing"
MOST_SECONDS, MOST_BYTES = 60.0, 1 << 30
SHARES = {"0": 1.0, "0,0,0,2": 0.75, "0,2": 0.5, "0,2,2": 1 / 3, "2": 0.0}

#: As long as a real one: where 96 granules were meant to be, and where they were.
LOOK = PlacementRecord(
    ok=True, pages=65536, expected={0: 65536}, found={0: 65536}, numa_maps={0: 65536},
    strip=((0,) * 96, (0,) * 96), summary="all 65536 pages are in place (65536 on node 0)",
)  # fmt: skip
PROOF = Proof(before=LOOK, after=LOOK)


def points_of(count: int) -> list[LoopPoint]:
    """So many points: patterns, operations and sizes."""
    patterns, operations = tuple(SHARES), ("read", "write", "copy", "latency")
    return [
        LoopPoint(
            pattern=patterns[number % 5],
            operation=operations[number // 5 % 4],
            size_bytes=(1 << 28) << (number // 20),
            granule_bytes=4096,
            placer="first_touch",
            threads=1,
            page_bytes=4096,
            launches=3,
        )
        for number in range(count)
    ]


def median_of(point: LoopPoint) -> float:
    """The truth of a point."""
    share = SHARES[point.pattern]
    return 100 + 200 * (1 - share) if point.operation == "latency" else 10 * (0.4 + 0.6 * share)


def join(
    point: LoopPoint, number: int, host: float, launches: int, setting: str, draw: random.Random
) -> PointRecord:
    """A point's record, of so many launches."""
    latency = point.operation == "latency"
    speed = median_of(point) * (1 / host if latency else host)
    made = []
    for launch in range(launches):
        samples = tuple(speed * draw.gauss(1, 0.01) for _ in range(5))
        made.append(
            LaunchRecord(
                point_id=f"{number:012x}",
                launch=launch,
                status="ok",
                parameters=point,
                result=Measured(
                    unit="ns" if latency else "GB/s", samples=samples, n=5, median=sorted(samples)[2]
                ),
                settings={BALANCING: SettingRecord(before=setting, used=setting)},
                dram_share=SHARES[point.pattern],
                proof=PROOF,
                started="2026-01-01T00:00:00+00:00",
            )
        )
    record = join_launches(made, added=False, baseline_id=None)
    multiple = median_of(point) / (100 if latency else 10)
    return msgspec.structs.replace(
        record, of_dram=Multiple(median=multiple, ci_low=multiple, ci_high=multiple)
    )


def make_fleet(folder: Path, hosts: int, points: int, launches: int) -> None:
    """Write the records of a fleet; hosts share twenty sets of them, or making them would take far longer."""
    draw = random.Random(0)
    names = [f"host-{number:04}" for number in range(hosts)]
    write_fleet(
        folder,
        FleetRecord(
            name=folder.name,
            plan="0" * 16,
            measurement="sweep",
            hosts=tuple(HostRecord(name=name, state="measured") for name in names),
            started="2026-01-01T00:00:00+00:00",
        ),
    )
    planned = points_of(points)
    factors = [round(draw.gauss(1, 0.02), 3) for _ in range(20)]
    lines = {
        factor: b"".join(
            encode(join(point, number, factor, launches, "0", draw)) + b"\n"
            for number, point in enumerate(planned)
        )
        for factor in factors
    }
    slow = b"".join(
        encode(join(point, number, 0.7, launches, "1", draw)) + b"\n" for number, point in enumerate(planned)
    )
    for name in names:
        path = folder / HOSTS / name
        path.mkdir(parents=True)
        facts = Provenance(
            kernel="6.12.0",
            microcode=("0x1",),
            numa_balancing=int(name == SLOW),
            memory_total_bytes=draw.getrandbits(38),
        )
        run = RunRecord(
            name=name, plan="0" * 16, dram_nodes=(0,), slow_nodes=(2,), points=points, provenance=facts
        )
        (path / RUN).write_bytes(encode_run(run))
        (path / POINTS).write_bytes(slow if name == SLOW else lines[draw.choice(factors)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--hosts", type=int, default=1000)
    parser.add_argument("--points", type=int, default=100)
    parser.add_argument("--launches", type=int, default=3)
    options = parser.parse_args()
    base = Path(tempfile.mkdtemp(prefix="hmexp-fleet-report-"))
    try:
        folder = base / "fleet"
        folder.mkdir()
        make_fleet(folder, options.hosts, options.points, options.launches)
        size = sum(file.stat().st_size for file in folder.rglob("*.jsonl"))
        print(
            f"{options.hosts} hosts of {options.points} points: {size / 2**20:.0f} MiB of records", flush=True
        )
        begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-m", "hmexp", "fleet", "report", str(folder)],
            check=False,
            capture_output=True,
            text=True,
        )
        seconds, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        peak = after.ru_maxrss << 10
        print(done.stdout + done.stderr, end="")
        print(f"{seconds:.1f} s, of which {cpu:.1f} s of CPU; {peak / 2**20:.0f} MiB at most; "
              f"{(folder / 'report.html').stat().st_size / 2**20:.1f} MiB of page")  # fmt: skip
        named = SLOW in done.stdout and BALANCING.rpartition(".")[2] in done.stdout
        print(f"the slow host and its setting are {'' if named else 'NOT '}named ({FLEET} and all)")
        sys.exit(0 if done.returncode == 0 and named and cpu <= MOST_SECONDS and peak <= MOST_BYTES else 1)
    finally:
        shutil.rmtree(base)


if __name__ == "__main__":
    main()
