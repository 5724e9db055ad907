"""Many stored points: what loading, reporting, comparing and resuming cost, in time and memory.

.venv/bin/python benchmarks/store_scale.py [--points 10000] [--keep FOLDER] [--like RUN] [--as-written]

The records are those of a real run, multiplied: other parameters, other noise, the same shape. Each step
runs in a process of its own, whose peak memory is its own. Exits with 1 if a step is over its limit.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import itertools
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from quiet import say_load

from hmexp.store.parts import LaunchPart
from hmexp.store.reader import convert_point, read_run
from hmexp.store.records import LaunchRecord
from hmexp.store.writer import encode, encode_run

ROOT = Path(__file__).resolve().parents[1]
#: Limits of a step [s] and [MiB]. The three that read everything share the first one.
SECONDS, MEBIBYTES, RESUME_SECONDS = 7.0, 350.0, 1.0
_APART = 1000
LOAD = "import sys, hmexp; data = hmexp.load(sys.argv[1]); print(data)"
REPORT = "import sys; from hmexp.cli.main import main; main(['report', sys.argv[1]])"
COMPARE = "import sys; from hmexp.cli.main import main; main(['compare', sys.argv[1], sys.argv[2], '--json'])"
RESUME = """
import sys, time
from pathlib import Path
from hmexp.store.reader import read_run
from hmexp.store.run import open_run
path = Path(sys.argv[1])
start = time.perf_counter()
with open_run(path.parent, path.name, read_run(path)) as directory:
    opened = time.perf_counter()
    found = len(directory.finished_points())
    assert not directory.launches()
    print(f"finished_points: {found} points, {time.perf_counter() - opened:.2f} s", file=sys.stderr)
print(f"SECONDS {time.perf_counter() - start:.3f}")
"""


def make_points(like: Path, count: int, seed: int, drift: float = 1.0) -> Iterator[dict[str, Any]]:
    """Yield records like those of a run, each of parameters of its own; `drift` makes them faster.

    They are in the schema in which that run was written.
    """
    noise = random.Random(seed)
    records = [json.loads(line) for line in (like / "points.jsonl").read_text().splitlines()]
    sizes, granules = [1 << n for n in range(24, 34)], [4096 << n for n in range(0, 12, 2)]
    placers, threads = ["first_touch", "move_pages", "hybridmem", "mbind"], itertools.count(1)
    dram = set(json.loads((like / "run.json").read_text())["dram_nodes"])
    grid = ((n, *rest) for n in threads for rest in itertools.product(placers, granules, sizes))
    made = 0
    for number, placer, granule, size in grid:
        for record in copy.deepcopy(records):
            # Each number of threads of the run becomes another one, not the same.
            threads = number * _APART + record["parameters"]["threads"]
            changed = {"placer": placer, "granule_bytes": granule, "size_bytes": size, "threads": threads}
            record["parameters"] |= changed
            record["dram_share"] = dram_share(record["parameters"]["pattern"], size // granule, dram)
            text = json.dumps(record["parameters"], sort_keys=True)
            record["point_id"] = hashlib.sha256(text.encode()).hexdigest()[:12]
            factor = noise.gauss(drift, 0.01)
            result = record["result"]
            for name in ("median", "ci_low", "ci_high", "mad", "minimum", "maximum"):
                result[name] *= factor
            for launch in result.get("launches") or ():
                launch["median"] *= factor
            result["samples"] = [round(value * factor, 6) for value in result["samples"]]
            yield record
            made += 1
            if made == count:
                return


def dram_share(pattern: str, granules: int, dram: set[int]) -> float:
    """Return the part of a region that is DRAM; a report refuses records that say otherwise."""
    nodes = [int(node) in dram for node in pattern.split(",")]
    periods, rest = divmod(granules, len(nodes))
    return (periods * sum(nodes) + sum(nodes[:rest])) / granules


def make_run(folder: Path, like: Path, count: int, seed: int, as_written: bool = False) -> Path:
    """Write a run directory of `count` points, in today's schema or in that of the run it is like."""
    folder.mkdir(parents=True)
    with (
        (folder / "points.jsonl").open("wb") as points,
        (folder / "launches.jsonl").open("wb") as launches,
    ):
        for found in make_points(like, count, seed):
            line = json.dumps(found, separators=(",", ":")).encode()
            record = convert_point(found)
            points.write((line if as_written else encode(record)) + b"\n")
            for launch in record.launches or (LaunchPart(),):
                launches.write(
                    encode(
                        LaunchRecord(
                            point_id=record.point_id,
                            status="ok",
                            parameters=record.parameters,
                            result=record.result,
                            launch=launch.launch,
                        )
                    )
                    + b"\n"
                )
    run = msgspec.structs.replace(
        read_run(like), name=folder.name, points=count, finished=None, counts={"ok": count}
    )
    (folder / "run.json").write_bytes(encode_run(run))
    return folder


def run_step(code: str, *arguments: Path) -> tuple[float, float, float, str]:
    """Run code in a process of its own; return its time, its CPU time [s], peak memory [MiB] and output."""
    with tempfile.TemporaryFile("w+") as output:
        start = time.perf_counter()
        pid = os.posix_spawn(
            sys.executable, [sys.executable, "-c", code, *map(str, arguments)], os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, output.fileno(), 1)],
        )  # fmt: skip
        _, status, usage = os.wait4(pid, 0)
        seconds = time.perf_counter() - start
        output.seek(0)
        text = output.read()
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"a step failed with status {os.waitstatus_to_exitcode(status)}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, text


def main() -> None:
    """Make two runs, time each step, exit with 1 if one is over its limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--keep", type=Path, default=None, help="write the runs here, and leave them")
    parser.add_argument("--like", type=Path, default=ROOT / "results" / "example", help="the run to multiply")
    parser.add_argument(
        "--as-written",
        action="store_true",
        help="keep the points in the schema of the run they are like, to time its conversion",
    )
    options = parser.parse_args()
    say_load("before")
    with tempfile.TemporaryDirectory() as temporary:
        base = options.keep or Path(temporary)
        runs = [
            make_run(base / name, options.like, options.points, seed, options.as_written)
            for seed, name in enumerate(("first", "second"))
        ]
        stored = (runs[0] / "points.jsonl").stat().st_size / 2**20
        print(f"{options.points} points a run, {stored:.1f} MiB of records each")
        over = _steps(runs)
    say_load("after")
    sys.exit(1 if over else 0)


def _steps(runs: list[Path]) -> list[str]:
    over = []
    total = 0.0
    print("step        seconds  CPU seconds   peak MiB   (the whole process, the start of Python included)")
    for name, code, given in (
        ("load", LOAD, runs[:1]), ("report", REPORT, runs[:1]), ("compare", COMPARE, runs),
    ):  # fmt: skip
        seconds, busy, peak, _ = run_step(code, *given)
        total += seconds
        over += [name] if peak > MEBIBYTES else []
        print(f"{name:<10} {seconds:8.2f} {busy:12.2f} {peak:10.0f}", flush=True)
    _, busy, peak, text = run_step(RESUME, runs[0])
    seconds = float(text.split("SECONDS")[1])
    print(
        f"{'resume':<10} {seconds:8.2f} {busy:12.2f} {peak:10.0f}   (opens the run, finds what is finished)"
    )
    over += ["resume"] if seconds > RESUME_SECONDS or peak > MEBIBYTES else []
    over += ["load, report and compare together"] if total > SECONDS else []
    print(f"load, report and compare: {total:.2f} s of {SECONDS:g} s")
    print(f"over the limit: {', '.join(over)}" if over else "every step is within its limits")
    return over


if __name__ == "__main__":
    main()
