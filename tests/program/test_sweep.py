"""A sweep over a program on this machine, end to end: measured, killed, resumed, reported, compared."""

from __future__ import annotations

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hmexp.report.comparison.options import ComparisonOptions
from hmexp.report.comparison.verdicts import compare
from hmexp.report.study.files import write_study
from hmexp.store.reader import LAUNCHES, POINTS, read_launches, read_points
from hmexp.system.near import near_dram
from hmexp.system.topology import read_topology

NODE = str(near_dram(read_topology()))
#: Small enough to take no time, large enough to be seen.
VALUES = ("lines=20000", "buffer=4M")
SWEEP = ("sort", "--patterns", NODE, "--ways", "default", "node", "--launches", "2", "--values", *VALUES)


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "hmexp", "program", *words]


def test_a_sweep_is_killed_resumed_reported_and_compared(tmp_path: Path) -> None:
    """One sweep for all of it: processes that run tests share no fixtures."""
    swept = sweep(tmp_path / "results")
    see_points(swept)
    see_report(swept)
    see_report_again(swept, tmp_path)
    see_comparison(swept, tmp_path)


def sweep(results: Path) -> Path:
    """Measure, kill the sweep by SIGKILL in its midst, and resume it."""
    words = command(*SWEEP, "--results", str(results), "--run", "a")
    launches = results / "a" / LAUNCHES
    first = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (launches.exists() and launches.read_bytes().count(b"\n") >= 1):
        assert time.monotonic() < deadline and first.poll() is None, "no launch was stored"
        time.sleep(0.02)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    kept = launches.read_bytes()
    again = subprocess.run(words, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "Resuming a" in again.stdout + again.stderr
    assert launches.read_bytes().startswith(kept[: kept.rindex(b"\n") + 1]), "what was measured was lost"
    return results


def see_points(swept: Path) -> None:
    points = read_points(swept / "a" / POINTS)
    assert sorted((p.parameters.way, p.parameters.pattern) for p in points.values()) == [  # type: ignore[union-attr]
        ("default", None), ("node", NODE),
    ]  # fmt: skip
    for launches in read_launches(swept / "a" / LAUNCHES).values():
        assert sorted(launches) == [0, 1] and {each.status for each in launches.values()} == {"ok"}
    other = next(p for p in points.values() if p.baseline_id is not None)
    assert other.of_dram is not None and other.of_dram.ci_low <= other.of_dram.median <= other.of_dram.ci_high
    assert points[other.baseline_id].parameters.way == "node"  # type: ignore[index,union-attr]


def see_report(swept: Path) -> None:
    run = swept / "a"
    with (run / "program.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["metric"], row["way"], row["launches"]) for row in rows] == [
        ("elapsed", "default", "2"), ("elapsed", "node", "2"),
    ]  # fmt: skip
    assert float(rows[1]["of_dram"]) == 1.0 and float(rows[1]["misplaced_share"]) == 0.0
    page = (run / "report.html").read_text()
    assert (
        "<svg" in page
        and "sort: lines of a text file" in page
        and "http" not in page.split("</style>")[1].replace("http://www.w3.org", "")
    )
    if len(read_topology().usable_nodes) == 1:
        assert "No verdict: all memory that was used is DRAM" in page
    assert (run / "figures" / "program.png").stat().st_size > 1000


def see_report_again(swept: Path, tmp_path: Path) -> None:
    run = shutil.copytree(swept / "a", tmp_path / "a")
    before = (run / "report.html").read_bytes()
    for name in ("report.html", "program.csv", "figures/program.svg"):
        (run / name).unlink()
    assert run / "report.html" in write_study(run)
    assert (run / "report.html").read_bytes() == before


def times(numbers: str, factor: int) -> str:
    return ",".join(str(factor * float(number)) for number in numbers.split(","))


def see_comparison(swept: Path, tmp_path: Path) -> None:
    other = shutil.copytree(swept / "a", tmp_path / "b")
    slower = other / POINTS
    # As if sort had taken a thousand times as long in B: side by side, launches of tests differ by much.
    text = re.sub(
        r'"median":([0-9.]+)', lambda found: f'"median":{1000 * float(found[1])}', slower.read_text()
    )
    slower.write_text(
        re.sub(r'"samples":\[([^]]+)\]', lambda found: f'"samples":[{times(found[1], 1000)}]', text)
    )
    found = compare(swept / "a", other, ComparisonOptions(launch_noise=0.05))
    assert len(found.points) == 2 and not found.matched.only_a and not found.matched.only_b
    for point in found.points:
        assert point.a.parameters["operation"] == "sort elapsed" and point.a.less_is_better
        assert point.quotient == pytest.approx(1000) and point.verdict == "slower"
    same = compare(swept / "a", swept / "a")
    assert {point.verdict for point in same.points} == {"no difference"}
    changed = slower.read_text().replace("--numeric-sort", "--general-numeric-sort")
    slower.write_text(changed)
    assert "the workload differs" in str(compare(swept / "a", other).points[0].why)
