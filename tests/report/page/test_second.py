"""The second process of a report: it does a share, and the first does what is left."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hmexp.report.page.second import Work

#: Jobs 0 to 7 append their number and process to a file; the waits let both processes have some.
SCRIPT = """
import os, signal, sys, time
from pathlib import Path
from hmexp.report.page import second
if sys.argv[2] != "alone":
    os.sched_getaffinity = lambda pid: {0, 1}
first = os.getpid()
def job(number):
    time.sleep(0.05)
    if os.getpid() != first:
        if sys.argv[2] == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if sys.argv[2] == "raises":
            raise OSError("only there")
    if sys.argv[2] == "wrong" and number == 5:
        raise ValueError("job 5 cannot be done")
    with Path(sys.argv[1]).open("a") as file:
        file.write(f"{number} {'first' if os.getpid() == first else 'second'}\\n")
if sys.argv[2] == "alone":
    second.os.sched_getaffinity = lambda pid: {0}
second.Work([lambda n=n: job(n) for n in range(8)]).carry_out()
"""


def _run(file: Path, how: str) -> tuple[subprocess.CompletedProcess[str], list[list[str]]]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, file, how], capture_output=True, text=True, timeout=60, check=False
    )
    return done, [line.split() for line in file.read_text().splitlines()]


def test_two_processes_do_each_job_once(tmp_path: Path) -> None:
    done, lines = _run(tmp_path / "jobs", "both")
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(int(number) for number, _ in lines) == list(range(8))
    assert {who for _, who in lines} == {"first", "second"}


def test_with_one_cpu_there_is_one_process(tmp_path: Path) -> None:
    _, lines = _run(tmp_path / "jobs", "alone")
    assert lines == [[str(number), "first"] for number in range(8)]


@pytest.mark.parametrize("how", ["killed", "raises"])
def test_what_the_second_process_leaves_is_done_by_the_first(tmp_path: Path, how: str) -> None:
    done, lines = _run(tmp_path / "jobs", how)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(lines) == [[str(number), "first"] for number in range(8)]


def test_a_job_that_cannot_be_done_is_told_by_the_first(tmp_path: Path) -> None:
    done, _ = _run(tmp_path / "jobs", "wrong")
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("ValueError: job 5 cannot be done")


def test_a_pile_has_a_limit() -> None:
    with pytest.raises(ValueError, match="255 jobs"):
        Work([lambda: None] * 256)
