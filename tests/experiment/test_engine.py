"""Sweeps that are real, small, and killed in every way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from hmexp.errors import SweepError
from hmexp.experiment import launcher
from hmexp.experiment.engine import Outcome
from hmexp.experiment.launch_records import empty_record
from hmexp.experiment.launcher import WORKER, launch
from hmexp.experiment.progress import Progress
from hmexp.experiment.task import Task, encode_task
from hmexp.measure.noise import BOUND
from hmexp.store.parameters import LoopPoint
from hmexp.store.reader import POINTS, read_points, read_run
from hmexp.store.records import LaunchRecord
from hmexp.store.writer import encode
from hmexp.sweep.parameters import SweepParameters
from hmexp.sweep.plan import SweepPlan, make_plan
from hmexp.sweep.run import run_sweep
from hmexp.system.topology import read_topology

SMALL: dict[str, Any] = {
    "size": "1MiB",
    "samples": 2,
    "sample_seconds": 0.002,
    "operations": ["read", "latency"],
    "launches": 1,
    "precision": 0,
}


class Watch:
    """A display that remembers, and may do something at each step."""

    def __init__(self, act: Callable[[Progress], None] = lambda _: None) -> None:
        self.seen: list[Progress] = []
        self.act = act

    def show(self, progress: Progress) -> None:
        self.seen.append(progress)
        self.act(progress)


def plan(results: Path, **values: Any) -> SweepPlan:
    parameters = SweepParameters.from_mapping(SMALL | {"results": str(results)} | values)
    return make_plan(parameters, read_topology())


def sweep(results: Path, watch: Watch | None = None, **values: Any) -> Outcome:
    return run_sweep(plan(results, **values), watch or Watch(), lambda _: None)


def task_of(made: SweepPlan, *, calibrating: bool = False, **changes: Any) -> Task:
    """The first launch of the first point of a plan, with other parameters."""
    task = made.task(made.points[0], None, 0)
    parameters = msgspec.structs.replace(task.parameters, **changes)
    return msgspec.structs.replace(task, parameters=parameters, calibrating=calibrating)


def operation_of(task: Task) -> str:
    assert isinstance(task.parameters, LoopPoint)
    return task.parameters.operation


def lines(path: Path, file: str = "points.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (path / file).read_text().splitlines()]


def test_a_sweep_measures_each_point_once_with_its_proof(tmp_path: Path) -> None:
    watch = Watch()
    outcome = sweep(tmp_path, watch, patterns=["1:0", "1:2"])
    outcome.require_complete()
    records = lines(outcome.path)
    assert len(records) == len({r["point_id"] for r in records}) == 4
    for record in records:
        assert record["status"] == "ok" and record["emulated"]
        assert record["proof"]["before"]["ok"] and record["proof"]["after"]["ok"]
        assert record["proof"]["after"]["found"] == record["proof"]["after"]["numa_maps"]
        assert len(record["result"]["samples"]) == 2
        # On a busy machine the host may be slower than the node: the record has no model then, and says why.
        waited = record["result"]["noise"]["waited_for_model"]
        bound = waited is not None and waited < BOUND
        assert record["model"] is None if bound else record["model"]["value"] > 0
    shares = {r["parameters"]["pattern"]: r["dram_share"] for r in records}
    assert shares == {"0": 1.0, "0,2,2": pytest.approx(1 / 3, abs=0.01)}
    run = read_run(outcome.path)
    assert run.finished and run.counts == {"ok": 4}
    assert run.emulation is not None and run.emulation.nodes.keys() == {0, 2}
    assert [p.done for p in watch.seen if "of this host" not in p.current] == [0, 1, 2, 3, 4]
    assert watch.seen[0].seconds_left is None and watch.seen[-2].seconds_left is not None


def test_interrupted_it_goes_on_where_it_was(tmp_path: Path) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(tmp_path, Watch(interrupt), patterns=["0", "0,2"])
    path = (tmp_path / "latest").resolve()
    kept = (path / "launches.jsonl").read_bytes()
    scale = read_run(path).emulation
    assert len(kept.splitlines()) == 2
    outcome = sweep(tmp_path, patterns=["0", "0,2"])
    assert outcome.path == path
    assert (path / "launches.jsonl").read_bytes().startswith(kept)
    assert len((path / "launches.jsonl").read_bytes().splitlines()) == 4
    assert len({r["point_id"] for r in lines(path)}) == len(lines(path)) == 4
    assert read_run(path).emulation == scale  # one truth for all points of a run


@pytest.mark.slow
def test_a_finished_sweep_is_not_measured_again_under_its_name_but_anew_without(tmp_path: Path) -> None:
    first = sweep(tmp_path, patterns=["0"], run="mine")
    before = (first.path / "points.jsonl").read_bytes()
    again = sweep(tmp_path, patterns=["0"], run="mine")
    assert again.path == first.path
    assert (first.path / "points.jsonl").read_bytes() == before
    assert sweep(tmp_path, patterns=["0"]).path != first.path


def find_worker(of_parent: int) -> int | None:
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
            command = (status.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if f"PPid:\t{of_parent}\n" in text and b"hmexp.experiment.worker" in command:
            return int(status.parent.name)
    return None


def test_a_killed_worker_is_a_failed_point_that_is_tried_again(tmp_path: Path) -> None:
    made = plan(tmp_path, patterns=["0"], operations=["latency"])
    # Nothing that it does can take that long: it is killed while it works.
    slow = task_of(made, calibrating=True, sample_seconds=30.0)
    found: list[int] = []

    def kill() -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            worker = find_worker(os.getpid())
            if worker is not None:
                time.sleep(0.5)
                found.append(worker)
                os.kill(worker, signal.SIGKILL)
                return
            time.sleep(0.01)

    thread = threading.Thread(target=kill)
    thread.start()
    record = launch(slow, 60)
    thread.join()
    assert found
    assert (record.status, record.error) == ("failed", "Killed")
    assert record.reason is not None and "SIGKILL" in record.reason


def test_a_worker_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    made = plan(tmp_path, patterns=["0"], operations=["latency"])
    record = launch(task_of(made, calibrating=True, sample_seconds=30.0), 1.0)
    assert (record.status, record.error) == ("failed", "Timeout")
    assert record.reason is not None and "longer than 1 s" in record.reason
    assert find_worker(os.getpid()) is None


def test_failures_are_recorded_told_and_retried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = launcher.launch

    def flaky(task: Task, timeout_seconds: float) -> LaunchRecord:
        if operation_of(task) == "latency":
            reason = "the worker was killed by SIGKILL"
            return msgspec.structs.replace(empty_record(task), reason=reason, error="Killed")
        return real(task, timeout_seconds)

    monkeypatch.setattr("hmexp.experiment.rounds.launch", flaky)
    outcome = sweep(tmp_path, patterns=["0"])
    assert outcome.counts == {"ok": 1, "failed": 1}
    with pytest.raises(SweepError, match=r"1 of 2 points failed: latency on 0 .*SIGKILL"):
        outcome.require_complete()
    assert read_run(outcome.path).finished is None
    monkeypatch.undo()
    again = sweep(tmp_path, patterns=["0"])
    assert again.path == outcome.path
    assert again.counts == {"ok": 2}
    statuses = Counter((r["point_id"], r["status"]) for r in lines(again.path))
    assert max(statuses.values()) == 1 and len(statuses) == 3
    assert len(read_points(again.path / POINTS)) == 2


def test_a_placer_that_is_not_here_is_a_skipped_point_with_the_remedy(tmp_path: Path) -> None:
    if Path("/dev/hybridmem").exists():
        return  # tests/lab has what can be said where the module is loaded
    outcome = sweep(tmp_path, patterns=["0"], operations=["read"], placers=["hybridmem", "first_touch"])
    assert outcome.counts == {"ok": 1, "skipped": 1}
    outcome.require_complete()
    skipped = next(r for r in lines(outcome.path) if r["status"] == "skipped")
    assert "make -C kernel_module" in skipped["reason"]
    assert skipped["error"] == "PlacerUnavailableError"
    assert read_run(outcome.path).finished


@pytest.mark.in_child
def test_a_placement_that_is_wrong_is_a_failed_record_with_the_pages(
    tmp_path: Path, raw_memory: ModuleType
) -> None:
    """A placer that forgets a page, in a real worker's code path."""
    from hmexp.experiment import worker
    from hmexp.memory.placers import PLACERS, FirstTouch
    from hmexp.native import PageMapping
    from hmexp.pattern import Pattern

    class Forgetful(FirstTouch):
        name = "first_touch"

        def place(self, mapping: PageMapping, pattern: Pattern) -> dict[str, object]:
            details = super().place(mapping, pattern)
            # Availability tries a placer on one page of its own: that one is left alone.
            if mapping.size_bytes == point.size_bytes:
                raw_memory.drop(mapping, 7, 1)
            return details

    made = plan(tmp_path, patterns=["0"], operations=["read"], emulate="none")
    point = made.points[0]
    saved = dict(PLACERS)
    PLACERS["first_touch"] = Forgetful()  # type: ignore[index]
    try:
        record = worker.run(task_of(made))
    finally:
        PLACERS.update(saved)  # type: ignore[attr-defined]
    assert (record.status, record.error) == ("failed", "PlacementError")
    assert record.result is None
    assert record.proof is not None and record.proof.before is not None
    assert record.proof.before.absent == 1 and record.proof.after is None
    assert record.reason is not None and "1 of 256 pages are on no node" in record.reason
    encode(record)


def test_a_worker_without_its_parent_measures_nothing(tmp_path: Path) -> None:
    """Its parent is said to be process 1, and is not."""
    task = task_of(plan(tmp_path, patterns=["0"]), calibrating=True)
    command = [sys.executable, "-P", "-m", WORKER, "1"]
    done = subprocess.run(command, input=encode_task(task), capture_output=True)
    assert done.returncode != 0 and done.stdout == b""


def test_a_worker_is_not_led_astray_by_files_where_it_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the folder of a notebook, or before everything else on its path, there may be files of any name."""
    made = plan(tmp_path, patterns=["0"], operations=["read"], emulate="none")
    task = task_of(made)
    for name in ("json", "numpy", "hmexp", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong file')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    record = launch(task, 60)
    assert record.status == "ok", record.reason


def test_a_worker_that_has_no_memory_says_so(tmp_path: Path) -> None:
    """A limit below what the region needs: an error in the record, not a traceback on the screen."""
    made = plan(tmp_path, patterns=["0"], operations=["read"], size="64MiB", emulate="none")
    script = (
        "import resource\n"
        "import hmexp.sweep.loop  # what the kind needs, or its import would be what fails\n"
        "from hmexp.experiment.worker import answer\n"
        "from hmexp.process import answer_once\n"
        "from hmexp.system.libnuma import LibNuma\n"
        "LibNuma.load()\n"
        "resource.setrlimit(resource.RLIMIT_DATA, (48 << 20, 48 << 20))\n"
        "answer_once(answer)\n"
    )
    command = [sys.executable, "-c", script, str(os.getpid())]
    done = subprocess.run(command, input=encode_task(task_of(made)), capture_output=True)
    record = json.loads(done.stdout)
    assert record["status"] == "failed"
    # The limit is read before the region is made: the record names it.
    assert "/proc/self/limits says Max data size: 50331648" in record["reason"]


def test_launches_are_made_in_rounds_and_each_has_its_proof(tmp_path: Path) -> None:
    outcome = sweep(tmp_path, patterns=["0", "0,2"], launches=3, seed=4)
    launches = lines(outcome.path, "launches.jsonl")
    assert [record["launch"] for record in launches] == [0] * 4 + [1] * 4 + [2] * 4
    rounds = [[r["point_id"] for r in launches[first : first + 4]] for first in (0, 4, 8)]
    assert all(len(set(one)) == 4 for one in rounds) and len({tuple(one) for one in rounds}) > 1
    records = {r["point_id"]: r for r in lines(outcome.path)}
    assert len(records) == 4
    for record in records.values():
        own = [launch for launch in launches if launch["point_id"] == record["point_id"]]
        result = record["result"]
        assert result["samples"] == [value for launch in own for value in launch["result"]["samples"]]
        assert result["interval_over"] == "launches"
        assert result["ci_low"] <= result["median"] <= result["ci_high"]
        assert [part["n"] for part in result["launches"]] == [2, 2, 2]
        assert len(result["noise"]["flags"]) == len(result["payload_bytes"]) == 6
        assert [part["proof"]["after"]["ok"] for part in record["launches"]] == [True] * 3
        assert all(part["details"]["stop"]["stopped"] == "fixed" for part in result["launches"])


def test_a_launch_that_fails_fails_its_point_and_is_the_one_that_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = launcher.launch

    def flaky(task: Task, timeout_seconds: float) -> LaunchRecord:
        if task.launch == 1 and operation_of(task) == "read":
            return msgspec.structs.replace(empty_record(task), reason="it fell over", error="Crashed")
        return real(task, timeout_seconds)

    monkeypatch.setattr("hmexp.experiment.rounds.launch", flaky)
    outcome = sweep(tmp_path, patterns=["0"], launches=3)
    assert outcome.counts == {"ok": 1, "failed": 1}
    failed = next(r for r in lines(outcome.path) if r["status"] == "failed")
    assert failed["reason"] == "it fell over" and failed["result"] is None
    assert [part["status"] for part in failed["launches"]] == ["ok", "failed"]
    monkeypatch.undo()
    again = sweep(tmp_path, patterns=["0"], launches=3)
    assert again.path == outcome.path and again.counts == {"ok": 2}
    tries = Counter(
        (r["launch"], r["status"])
        for r in lines(again.path, "launches.jsonl")
        if r["point_id"] == failed["point_id"]
    )
    assert tries == {(0, "ok"): 1, (1, "failed"): 1, (1, "ok"): 1, (2, "ok"): 1}


def test_a_hybrid_point_holds_its_multiple_of_dram(tmp_path: Path) -> None:
    outcome = sweep(tmp_path, patterns=["0,2"], operations=["read"], launches=2)
    by_pattern = {r["parameters"]["pattern"]: r for r in lines(outcome.path)}
    base, hybrid = by_pattern["0"], by_pattern["0,2"]
    assert base["added"] and not hybrid["added"]
    assert read_run(outcome.path).added == (base["point_id"],)
    assert hybrid["baseline_id"] == base["point_id"] and base["of_dram"] is None
    relation = hybrid["of_dram"]
    assert relation["median"] == hybrid["result"]["median"] / base["result"]["median"]
    assert relation["ci_low"] <= relation["median"] <= relation["ci_high"]


@pytest.mark.slow
def test_latencies_of_every_kind_and_under_load_are_points(tmp_path: Path) -> None:
    from hmexp.native import vector_bits
    from hmexp.system.cpus import allowed_cpus

    operations = ["latency_window"]
    operations += ["store_nt", "store_flush"] if vector_bits() > 64 else []
    operations += ["loaded_read"] if len(allowed_cpus()) > 1 else []
    outcome = sweep(tmp_path, patterns=["0"], operations=operations, size="2MiB")
    outcome.require_complete()
    records = {r["parameters"]["operation"]: r for r in lines(outcome.path)}
    assert list(records) != [] and set(records) == set(operations)
    for name, record in records.items():
        assert record["result"]["unit"] == "ns" and record["proof"]["after"]["ok"]
        assert (record["model"] is None) == (name == "loaded_read")
    if "loaded_read" in records:
        details = records["loaded_read"]["result"]["details"]
        assert details["curve"][0]["delay_ns"] is None and details["curve"][-1]["delay_ns"] == 0
        assert isinstance(details["knee"]["saturated"], bool)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["worker", "runner"])
def test_kill_9_in_mid_sweep_loses_one_launch_at_most(tmp_path: Path, target: str) -> None:
    arguments = [
        "sweep",
        "--results",
        str(tmp_path),
        "--size",
        "1MiB",
        "--samples",
        "2",
        "--sample-seconds",
        "0.2",
        "--launches",
        "2",
        "--precision",
        "0",
    ]
    arguments += ["--patterns", "0", "0,2", "--operations", "read", "write", "--emulate", "2=optane-dcpmm"]
    command = [sys.executable, "-m", "hmexp", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    points = tmp_path / "latest" / "launches.jsonl"
    deadline = time.monotonic() + 60
    while not (points.exists() and points.read_bytes().count(b"\n") >= 1):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    worker = None
    while worker is None:
        assert time.monotonic() < deadline and process.poll() is None
        worker = find_worker(process.pid)
    os.kill(worker if target == "worker" else process.pid, signal.SIGKILL)
    status = process.wait(60)
    assert status == (1 if target == "worker" else -signal.SIGKILL)
    path = (tmp_path / "latest").resolve()
    kept = [r for r in lines(path, "launches.jsonl") if r["status"] == "ok"]
    assert kept

    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "latest").resolve() == path
    ok = [r for r in lines(path, "launches.jsonl") if r["status"] == "ok"]
    assert ok[: len(kept)] == kept
    assert len(ok) == len({(r["point_id"], r["launch"]) for r in ok}) == 8
    # The last record of a point counts: where the worker of all DRAM was killed, a ratio that had been
    # measured without it gets a second one, with what it keeps.
    latest = {r["point_id"]: r for r in lines(path)}
    assert len(latest) == 4 and all(r["status"] == "ok" for r in latest.values())
    assert len((path / "points.csv").read_text().splitlines()) == 1 + 4
    assert (path / "report.html").exists()
