"""The command, as a person runs it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from hmexp.memory.placers import PLACERS
from hmexp.system.cpus import allowed_cpus
from tests.cli.conftest import Run

TOO_MANY = len(allowed_cpus()) + 1


def hmexp(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hmexp", *arguments],
        cwd=cwd, env=os.environ | environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--patterns", ""], "the pattern is empty"),
        (["--patterns", "0,,2"], "pattern '0,,2': entry 2 is empty"),
        (["--patterns", "0,-1"], "pattern '0,-1': entry 2, '-1', is not a node id"),
        (["--patterns", "0;2"], "pattern '0;2'"),
        (["--patterns", "99"], "node 99 is neither a real node"),
        (["--patterns", "0,2", "--emulate", "none"], "node 2 is neither a real node"),
        (["--size", "0"], "size '0' is zero"),
        (["--size", "3 bananas"], "unknown unit 'bananas'"),
        (["--size", "100TiB"], "needs"),
        (["--threads", str(TOO_MANY)], "beyond the CPUs"),
        (["--threads", "0.5"], "'0.5' is not a whole number"),
        (["--patern", "0"], "unrecognized arguments: --patern"),
        (["--samples", "0"], "samples 0"),
        (["--run", "../x"], "cannot be the name of a run"),
        (["--results", "/proc/none"], "/proc/none"),
        (["--emulate", "2=nothing"], "profile 'nothing' is unknown"),
    ],
)
def test_bad_input_is_told_and_leaves_nothing(
    run: Run, tmp_path: Path, arguments: list[str], says: str
) -> None:
    done = run("sweep", *arguments)
    assert done.status == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.glob("results/*")) == []


def test_a_results_folder_that_is_a_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "results").write_text("mine")
    done = run("sweep")
    assert done.status == 2
    assert str(tmp_path / "results") in done.stderr
    assert (tmp_path / "results").read_text() == "mine"


def test_without_libnuma_nothing_is_measured(tmp_path: Path) -> None:
    """As on a machine without the library: the binding finds none, and falls over its own feet."""
    blind = tmp_path / "blind"
    blind.mkdir()
    (blind / "sitecustomize.py").write_text(
        "import ctypes, ctypes.util\n"
        "real = ctypes.util.find_library\n"
        "ctypes.util.find_library = lambda name: None if 'numa' in name else real(name)\n"
        "real_init = ctypes.CDLL.__init__\n"
        "def init(self, name, *a, **k):\n"
        "    if name and 'numa' in str(name): raise OSError(f'{name}: cannot open shared object file')\n"
        "    real_init(self, name, *a, **k)\n"
        "ctypes.CDLL.__init__ = init\n"
    )
    for command in (["sweep"], ["nodes"], ["doctor"]):
        done = hmexp(*command, cwd=tmp_path, PYTHONPATH=f"{blind}:{os.environ.get('PYTHONPATH', '')}")
        assert done.returncode == (1 if command == ["doctor"] else 2), done.stderr
        assert "libnuma1" in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "results").exists()


def test_nodes_and_doctor(tmp_path: Path) -> None:
    nodes = hmexp("nodes", cwd=tmp_path)
    assert nodes.returncode == 0
    assert "dram" in nodes.stdout
    doctor = hmexp("doctor", cwd=tmp_path)
    # The machine may be busy, with other tests: that alone may be in the way.
    in_the_way = [line for line in doctor.stdout.splitlines() if line.startswith("  in the way")]
    assert all("the machine is busy" in line for line in in_the_way), doctor.stdout
    assert doctor.returncode == (1 if in_the_way else 0)
    for what in ("libnuma works", "first_touch, move_pages", "finds them in place", "clock"):
        assert what in doctor.stdout


def test_doctor_without_the_core(tmp_path: Path) -> None:
    """What cannot be tried is a finding; the rest is looked at all the same."""
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text("import sys; sys.modules['hmexp.native._core'] = None\n")
    doctor = hmexp("doctor", cwd=tmp_path, PYTHONPATH=f"{broken}:{os.environ.get('PYTHONPATH', '')}")
    assert doctor.returncode == 1
    assert "the C core of hmexp cannot be loaded" in " ".join(doctor.stdout.split())
    assert "make setup" in doctor.stdout and "results go to" in doctor.stdout
    assert "Traceback" not in doctor.stderr + doctor.stdout


def test_sweep_and_report(tmp_path: Path) -> None:
    done = hmexp(
        "sweep", "--size", "1MiB", "--samples", "2", "--sample-seconds", "0.002", "--patterns", "0", "1:1",
        "--launches", "2", "--precision", "0.5", "--most-samples", "3", "--pages", "page",
        "--operations", "read", "--emulate", "5=optane-dcpmm", "--run", "mine", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("EMULATED: node 5")
    run = tmp_path / "results" / "mine"
    made = {path.name for path in run.iterdir()}
    assert made >= {"points.jsonl", "points.csv", "samples.csv", "run.json", "report.html", "figures"}
    (run / "report.html").unlink()
    again = hmexp("report", "results/mine", cwd=tmp_path)
    assert again.returncode == 0
    assert (run / "report.html").exists()
    nowhere = hmexp("report", "results/none", cwd=tmp_path)
    assert nowhere.returncode == 2
    assert "not a run directory" in nowhere.stderr


def test_a_closed_pipe_is_no_error(tmp_path: Path) -> None:
    command = f"{shlex.quote(sys.executable)} -m hmexp nodes | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.strip() == "0"


def test_placers_are_told_with_what_stands_in_their_way(run: Run) -> None:
    done = run("placers", "--json")
    assert done.status == 0
    records = {record["name"]: record for record in json.loads(done.stdout)}
    assert set(records) == set(PLACERS)
    for name, record in records.items():
        assert record["available"] is (PLACERS[name].unavailable() is None)
        assert record["available"] is (record["reason"] is None) is (record["remedy"] is None)
    assert records["weighted"]["promise"] == "ratio only" and records["mbind"]["lazy"] is True
    shown = run("placers").stdout
    for name, record in records.items():
        assert f"{name:<13}  {'yes' if record['available'] else 'no '}" in shown
        if record["reason"]:
            assert record["reason"].split()[0] in shown and "->" in shown
