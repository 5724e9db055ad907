"""A sweep that is killed at random moments: nothing that was finished is lost or measured twice.

The moments, and what is killed at them, are drawn from a seed that is shown when the test fails;
`HMEXP_KILL_SEED=N` draws the same again. There are 8 of them, each kind of kill at least once, or
`HMEXP_KILLS=N` up to 30; `.ci/run` has 12, and other ones each time.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hmexp.system.topology import read_topology

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "sweep.ipynb"
OPERATIONS = ("read", "write", "copy", "mix_3_1", "mix_1_1", "latency")
GRANULES = ("page", "64KiB", "128KiB", "256KiB")
FEW_GRANULES = GRANULES[:2]
LAUNCHES = 2
SMALL = {
    "size": "256KiB", "samples": 1, "sample_seconds": 0.001, "launches": LAUNCHES, "precision": 0,
    "emulate": "none", "run": "killed",
}  # fmt: skip
#: What is killed, and how often of 30 times.
KILLS = {"runner": 9, "worker": 6, "papermill": 4, "kernel": 4, "full disk": 4, "folder removed": 3}
FILES = ("points.jsonl", "launches.jsonl")
TMPFS_MIB = 8


def seed() -> int:
    return int(os.environ.get("HMEXP_KILL_SEED") or int.from_bytes(os.urandom(3), "big"))


def grid(operations: tuple[str, ...], granules: tuple[str, ...]) -> dict[str, Any]:
    node = read_topology().dram_nodes[0].id
    return SMALL | {"patterns": [str(node)], "operations": list(operations), "granules": list(granules)}


def sweep_command(results: Path, values: dict[str, Any]) -> list[str]:
    words = [sys.executable, "-m", "hmexp", "sweep", "--results", str(results)]
    for name, value in values.items():
        words += [f"--{name.replace('_', '-')}", *map(str, value if isinstance(value, list) else [value])]
    return words


def papermill_command(results: Path, values: dict[str, Any], out: Path) -> list[str]:
    words = [sys.executable, "-m", "papermill", "--no-progress-bar", str(NOTEBOOK), str(out)]
    for name, value in (values | {"results": str(results)}).items():
        words += ["-y", f"{name}: {json.dumps(value)}"]
    return words


def descendants(root: int) -> dict[int, str]:
    """Command lines of a process's descendants that are alive."""
    parents, names = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            names[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    found, todo = {}, [root]
    while todo:
        parent = todo.pop()
        children = [pid for pid, of in parents.items() if of == parent and names.get(pid)]
        found |= {pid: names[pid] for pid in children}
        todo += children
    return found


def wait_for(true: Callable[[], Any], process: subprocess.Popen[str], seconds: float = 60) -> Any:
    """What becomes true; None if the process ends before."""
    deadline = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < deadline
        if process.poll() is not None:
            return None
        time.sleep(0.01)
    return value


def find(process: subprocess.Popen[str], name: str) -> int | None:
    """A descendant by its command line; None if the process ends before there is one."""
    return wait_for(  # type: ignore[no-any-return]
        lambda: next((pid for pid, line in descendants(process.pid).items() if name in line), None), process
    )


def lines(file: Path) -> list[bytes]:
    """Lines that are complete."""
    data = file.read_bytes() if file.exists() else b""
    return data[: data.rfind(b"\n") + 1].splitlines(keepends=True)


class Ledger:
    """What a run directory had; it may only grow, and nothing in it is there twice."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self.kept: dict[str, list[bytes]] = {name: [] for name in FILES}

    def check(self) -> None:
        for name in FILES:
            there = lines(self.run / name)
            assert there[: len(self.kept[name])] == self.kept[name], f"{name} has lost lines"
            self.kept[name] = there
        launches = [(r["point_id"], r["launch"]) for r in self.records("launches.jsonl", "ok")]
        points = [r["point_id"] for r in self.records("points.jsonl", "ok")]
        twice = [name for name, times in Counter([*launches, *points]).items() if times > 1]
        assert not twice, f"measured twice: {twice}"

    def records(self, name: str, status: str) -> list[dict[str, Any]]:
        """Records as they were at the last check; every complete line can be read."""
        records = [json.loads(line) for line in self.kept[name]]
        return [record for record in records if record["status"] == status]


class Disk:
    """A small file system where root may mount one; else the size of files is what has an end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        size = f"size={TMPFS_MIB}m"
        mount = shutil.which("mount")
        done = mount and subprocess.run([mount, "-t", "tmpfs", "-o", size, "hmexp", folder], check=False,
                                        capture_output=True)  # fmt: skip
        self.mounted = bool(done) and done.returncode == 0  # type: ignore[union-attr]

    def fill(self, process: subprocess.Popen[str]) -> None:
        if not self.mounted:
            largest = max((path.stat().st_size for path in self.folder.glob("*/*.jsonl")), default=0)
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
            return
        with (self.folder / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(1 << 16))

    def make_room(self) -> None:
        (self.folder / "filler").unlink(missing_ok=True)

    def close(self) -> None:
        if self.mounted:
            subprocess.run(["umount", "-l", self.folder], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    made = Disk(tmp_path / "results")
    yield made
    made.close()


class Killer:
    """One run directory, and ways of having its sweep ended."""

    def __init__(self, disk: Disk, rng: random.Random, tmp_path: Path, granules: tuple[str, ...]) -> None:
        self.disk, self.rng, self.tmp_path = disk, rng, tmp_path
        self.points = len(OPERATIONS) * len(granules)
        self.values = grid(OPERATIONS, granules)
        self.command = sweep_command(disk.folder, self.values)
        self.ledger = Ledger(disk.folder / "killed")
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, command: list[str]) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=self.tmp_path
        )
        self.processes.append(process)
        return process

    def end(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        _, err = process.communicate(timeout=60)
        return process.returncode, err

    def pause(self, longest: float) -> None:
        time.sleep(self.rng.uniform(0, longest))

    def get_going(self, process: subprocess.Popen[str]) -> None:
        """Wait for a random moment: often, but not always, one at which it measures."""
        if self.rng.random() < 0.3:
            self.pause(2.0)
            return
        there = len(lines(self.ledger.run / "launches.jsonl"))
        wait_for(lambda: len(lines(self.ledger.run / "launches.jsonl")) > there, process)
        self.pause(0.6)

    def strike(self, kind: str) -> None:
        getattr(self, kind.replace(" ", "_"))()
        self.ledger.check()

    def kill(self, pid: int, number: signal.Signals = signal.SIGKILL) -> None:
        self.ledger.check()
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    def runner(self) -> None:
        process = self.start(self.command)
        self.get_going(process)
        self.kill(process.pid)
        assert self.end(process)[0] in (-signal.SIGKILL, 0)

    def worker(self) -> None:
        process = self.start(self.command)
        self.get_going(process)
        worker = find(process, "hmexp.experiment.worker")
        if worker is not None:
            self.pause(0.1)
            self.kill(worker)
        self.pause(0.5)
        process.send_signal(signal.SIGINT)
        status, err = self.end(process)
        assert "Traceback" not in err, err
        assert status in (0, 1, 130), err

    def papermill(self) -> None:
        process = self.start(papermill_command(self.disk.folder, self.values, self.tmp_path / "out.ipynb"))
        self.get_going(process)
        self.kill(process.pid)
        assert self.end(process)[0] in (-signal.SIGKILL, 0)

    def kernel(self) -> None:
        process = self.start(papermill_command(self.disk.folder, self.values, self.tmp_path / "out.ipynb"))
        kernel = find(process, "ipykernel_launcher")
        if kernel is not None:
            self.get_going(process)
            self.kill(kernel)
            # Over already, the notebook ends well; else papermill must not.
            assert self.end(process)[0] != 0 or self.complete()

    def full_disk(self) -> None:
        process = self.start(self.command)
        self.get_going(process)
        self.ledger.check()
        self.disk.fill(process)
        status, err = self.end(process)
        self.disk.make_room()
        assert "Traceback" not in err, err
        if status != 0:
            # One without a name in it tells no one where to make room. The disk may fill up after the last
            # launch, too, for the report.
            assert status == 2 and str(self.disk.folder) in err and "make room" in err, (status, err)
        else:
            assert self.complete()

    def folder_removed(self) -> None:
        results = self.tmp_path / f"removed-{self.rng.random()}"
        command = sweep_command(results, grid(("read",), FEW_GRANULES))
        process = self.start(command)
        launches = results / "killed" / "launches.jsonl"
        at = self.rng.randrange(len(FEW_GRANULES) * LAUNCHES)
        wait_for((results / "killed" / "run.json").exists, process)
        wait_for(lambda: len(lines(launches)) >= at, process)
        self.pause(0.1)
        while results.exists():
            shutil.rmtree(results, ignore_errors=True)
        status, err = self.end(process)
        assert status == 2 and str(results) in err and "Traceback" not in err, (status, err)
        assert not results.exists()
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        ledger = Ledger(results / "killed")
        ledger.check()
        assert len(ledger.records("points.jsonl", "ok")) == len(FEW_GRANULES)

    def complete(self) -> bool:
        self.ledger.check()
        return len(self.ledger.records("points.jsonl", "ok")) == self.points


def draw_kills(rng: random.Random, wanted: int) -> list[str]:
    """Each kind once, then others in the proportions of KILLS; in random order."""
    rest = [kind for kind, times in KILLS.items() for _ in range(times - 1)]
    kinds = [*KILLS, *rng.sample(rest, wanted - len(KILLS))]
    rng.shuffle(kinds)
    return kinds


def test_30_kills_are_all_of_them_and_8_have_each_kind() -> None:
    assert Counter(draw_kills(random.Random(1), 30)) == KILLS
    few = draw_kills(random.Random(2), 8)
    assert len(few) == 8 and set(few) == set(KILLS)


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path: Path, disk: Disk) -> None:
    drawn = seed()
    print(f"HMEXP_KILL_SEED={drawn}, {'a small disk' if disk.mounted else 'a limit on the size of files'}")
    rng = random.Random(drawn)
    kinds = draw_kills(rng, int(os.environ.get("HMEXP_KILLS", "8")))
    # Enough to measure that the kills fall into it, whatever their number.
    killer = Killer(disk, rng, tmp_path, GRANULES if len(kinds) > 15 else FEW_GRANULES)
    try:
        for number, kind in enumerate(kinds):
            begun = time.monotonic()
            killer.strike(kind)
            done = {name: len(kept) for name, kept in killer.ledger.kept.items()}
            print(f"{number}: {kind}, {time.monotonic() - begun:.1f} s, then {done}")
    finally:
        for process in killer.processes:
            process.kill()
            process.communicate()
    done = subprocess.run(killer.command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert killer.complete()
    launches = killer.ledger.records("launches.jsonl", "ok")
    assert len(launches) == LAUNCHES * killer.points
    run = killer.ledger.run
    stored = json.loads((run / "run.json").read_text())
    assert stored["finished"] and stored["reported"] and stored["counts"] == {"ok": len(launches) // LAUNCHES}
    assert (run / "report.html").exists() and (run / "points.csv").exists()
    # Nothing of the killed ones lies about, and nobody holds what they held.
    hidden = {path.name for path in disk.folder.rglob(".*")}
    assert hidden == {".lock"}
    again = subprocess.run(killer.command, capture_output=True, text=True, timeout=120)
    assert again.returncode == 0, again.stderr
    before = killer.ledger.kept.copy()
    killer.ledger.check()
    assert killer.ledger.kept == before
