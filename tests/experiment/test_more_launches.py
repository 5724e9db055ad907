"""Launches beyond those planned: repeated, retried, and as a budget of time lets them be made."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hmexp.errors import ParameterError
from hmexp.experiment.engine import Outcome
from hmexp.experiment.progress import Progress
from hmexp.store.parameters import LoopPoint
from hmexp.store.reader import POINTS, read_points, read_run
from hmexp.store.records import PointRecord
from hmexp.store.results import Measured
from hmexp.sweep.checks import parse_budget
from hmexp.sweep.parameters import SweepParameters
from hmexp.sweep.plan import SweepPlan, make_plan
from hmexp.sweep.run import SweepExperiment, run_sweep
from hmexp.system.topology import read_topology

SMALL: dict[str, Any] = {
    "size": "1MiB", "samples": 2, "sample_seconds": 0.001, "operations": ["read", "latency"],
    "launches": 1, "precision": 0, "patterns": ["0"], "emulate": "none",
}  # fmt: skip


class Watch:
    def __init__(self, act: Callable[[Progress], None] = lambda _: None) -> None:
        self.act = act

    def show(self, progress: Progress) -> None:
        self.act(progress)


def plan(results: Path, **values: Any) -> SweepPlan:
    return make_plan(
        SweepParameters.from_mapping(SMALL | {"results": str(results)} | values), read_topology()
    )


def sweep(results: Path, said: list[str] | None = None, watch: Watch | None = None, **values: Any) -> Outcome:
    say: Callable[[str], None] = (lambda _: None) if said is None else said.append
    return run_sweep(plan(results, **values), watch or Watch(), say)


def points(path: Path) -> list[PointRecord]:
    return list(read_points(path / POINTS).values())


def result_of(record: PointRecord) -> Measured:
    assert isinstance(record.result, Measured)
    return record.result


def purposes(record: PointRecord) -> list[str]:
    return [launch.purpose for launch in record.launches]


def made(path: Path) -> dict[str, list[str]]:
    found = {}
    for record in points(path):
        assert isinstance(record.parameters, LoopPoint)
        found[record.parameters.operation] = purposes(record)
    return found


def both(*wanted: str) -> dict[str, list[str]]:
    return {operation: list(wanted) for operation in ("read", "latency")}


def test_finished_points_gain_launches_and_keep_those_they_had(tmp_path: Path) -> None:
    pair: dict[str, Any] = {"patterns": ["0", "0,2"], "operations": ["read"], "emulate": "auto"}
    first = sweep(tmp_path, **pair)
    before = read_points(first.path / POINTS)
    kept = (first.path / "points.jsonl").read_bytes()
    assert sweep(tmp_path, repeat=2, **pair).path == first.path
    assert (first.path / "points.jsonl").read_bytes().startswith(kept)
    records = points(first.path)
    dram = next(record for record in records if record.baseline_id is None)
    for record in records:
        old = result_of(before[record.point_id]).samples
        assert result_of(record).samples[: len(old)] == old
        assert purposes(record) == ["planned", "repeat", "repeat"]
        assert len(result_of(record).launches) == 3
        if record is not dram:  # of the all-DRAM point with all its launches
            assert record.of_dram is not None
            assert record.of_dram.median == pytest.approx(result_of(record).median / result_of(dram).median)
    # So many in all: once more is no more, and what is there counts.
    stored = (first.path / "launches.jsonl").read_bytes()
    assert sweep(tmp_path, repeat=2, **pair).path == first.path
    assert (first.path / "launches.jsonl").read_bytes() == stored
    assert read_run(first.path).finished


def test_interrupted_repeats_go_on(tmp_path: Path) -> None:
    path = sweep(tmp_path).path

    def interrupt(progress: Progress) -> None:
        if progress.current and len((path / "launches.jsonl").read_bytes().splitlines()) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(tmp_path, watch=Watch(interrupt), repeat=1)
    sweep(tmp_path, repeat=1)
    assert len((path / "launches.jsonl").read_bytes().splitlines()) == 4
    assert made(path) == both("planned", "repeat")


def test_launches_that_are_lost_cannot_be_added_to_and_nothing_else_is(tmp_path: Path) -> None:
    path = sweep(tmp_path, run="mine").path
    (path / "launches.jsonl").unlink()
    kept = (path / "points.jsonl").read_bytes()
    said: list[str] = []
    sweep(tmp_path, said, run="mine", repeat=1)
    assert any("2 points cannot have more launches" in text for text in said)
    assert (path / "points.jsonl").read_bytes() == kept


def test_what_is_wider_than_asked_is_retried_so_often_and_said_to_be_so_still(tmp_path: Path) -> None:
    # No clock is as good as that: each point stays too wide.
    said: list[str] = []
    path = sweep(tmp_path, said, launches=2, precision=0.00001, retry_unstable=1).path
    assert made(path) == both("planned", "planned", "unstable")
    assert any(text.startswith("Retrying 2 points (") for text in said)
    assert any(text.startswith("Still unstable after 1 retries: 2 points") for text in said)


def test_what_is_narrow_enough_is_not_retried(tmp_path: Path) -> None:
    path = sweep(tmp_path, launches=2, precision=0.99, retry_unstable=3).path
    narrow = [record for record in points(path) if len(record.launches) == 2]
    for record in narrow:
        result = result_of(record)
        assert result.ci_low is not None and result.ci_high is not None
        assert (result.ci_high - result.ci_low) / 2 / result.median <= 0.99
    assert all("unstable" in purposes(record) for record in points(path) if record not in narrow)


def test_too_short_a_budget_measures_nothing_and_the_same_run_is_completed_later(tmp_path: Path) -> None:
    given = {"operations": ["read"], "launches": 2}
    said: list[str] = []
    path = sweep(tmp_path, said, budget="0.1s", **given).path
    run = read_run(path)
    assert run.finished is None and run.counts == {} and run.budget is not None
    assert len(run.budget.not_measured) == 1
    assert any(text.startswith("Not measured within 0.1s: 1 points (read on 0") for text in said)
    assert sweep(tmp_path, **given).path == path
    assert read_run(path).finished
    assert made(path) == {"read": ["planned", "planned"]}


def test_a_budget_is_used_and_kept(tmp_path: Path) -> None:
    began = time.monotonic()
    seen: list[float] = []
    watch = Watch(lambda progress: seen.append(time.monotonic() - began) if progress.current else None)
    given = {"emulate": "none", "patterns": ["0"], "operations": ["read", "latency"]}
    path = sweep(tmp_path, watch=watch, budget="9s", **given).path
    assert seen and max(seen) < 9  # no launch is begun after it
    assert set(made(path)) <= {"read", "latency"}
    for found in made(path).values():
        assert found[0] == "planned" and set(found[1:]) <= {"budget"}


def test_the_coarse_picture_comes_first(tmp_path: Path) -> None:
    ratios = ["1:0", "7:1", "3:1", "5:3", "1:1", "3:5", "1:3", "1:7", "0:1"]
    made_plan = plan(tmp_path, patterns=ratios, operations=["read"], emulate="auto")
    ranks = SweepExperiment(made_plan).ranks(made_plan.points)
    ordered = sorted(made_plan.points, key=lambda point: ranks[point.id])
    shares = [round(8 * point.parsed_pattern.share(made_plan.dram_nodes)) for point in ordered]
    assert set(shares[:2]) == {0, 8}
    assert shares[2:] == [4, 2, 6, 1, 3, 5, 7]


@pytest.mark.parametrize("text", ["10", "soon", "-1min", "1e3s", "1 week", ""])
def test_what_is_no_time_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(ParameterError, match=re.escape("90s, 10min or 1.5h")):
        SweepParameters.from_mapping({"budget": text})


def test_a_budget_of_no_time_at_all_is_refused() -> None:
    with pytest.raises(ParameterError, match="budget '0s' leaves no time to measure"):
        SweepParameters.from_mapping({"budget": "0s"})


def test_times_are_read() -> None:
    assert [parse_budget(text) for text in ("90s", "10min", "1.5 h", "none")] == [90, 600, 5400, None]


@pytest.mark.parametrize("values", [{"repeat": -1}, {"repeat": 100}, {"retry_unstable": "often"}])
def test_what_is_no_number_of_launches_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=f"{next(iter(values))} .* is not a whole number"):
        SweepParameters.from_mapping(values)


@pytest.mark.slow
def test_the_command_repeats(tmp_path: Path) -> None:
    small = ["--size", "1MiB", "--samples", "2", "--sample-seconds", "0.001", "--operations", "read"]
    command = [sys.executable, "-m", "hmexp", "sweep", *small, "--patterns", "0", "--emulate", "none"]
    command += ["--launches", "1", "--precision", "0", "--results", str(tmp_path), "--run", "mine"]
    for more in ([], ["--repeat", "1"]):
        done = subprocess.run([*command, *more], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
    lines = (tmp_path / "mine" / "points.jsonl").read_text().splitlines()
    assert [len(json.loads(line)["launches"]) for line in lines] == [1, 2]
    done = subprocess.run([*command, "--budget", "soon"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "budget 'soon' is not a time" in done.stderr
