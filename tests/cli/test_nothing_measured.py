"""A run in which no point was measured is no success, whichever command looks at it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hmexp.memory.placers import PLACERS
from hmexp.system.topology import read_topology
from tests.cli.conftest import Run

NODE = str(read_topology().memory_nodes[0].id)
QUICK = (
    "--size",
    "256KiB",
    "--launches",
    "1",
    "--samples",
    "2",
    "--sample-seconds",
    "0.001",
    "--emulate",
    "none",
)


def hmexp(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "hmexp", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, timeout=300)


def sweep(results: Path, run: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    asked = ("--patterns", NODE, "--operations", "read", *QUICK, *arguments)
    return hmexp("sweep", *asked, "--results", results, "--run", run)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was measured, one whose only point was skipped, and one whose only point failed."""
    if PLACERS["hybridmem"].unavailable() is None:
        # Only where our module is loaded, as in the lab; CI's own machine has no module, and runs this.
        pytest.skip("needs a placer that is not available here")
    folder = tmp_path_factory.mktemp("runs")
    good = sweep(folder, "good")
    assert good.returncode == 0, good.stderr
    skipped = sweep(folder, "skipped", "--placers", "hybridmem")
    assert skipped.returncode == 1
    assert "no point was measured (1 skipped): placer hybridmem" in skipped.stderr
    failed = sweep(folder, "failed", "--timeout-seconds", "0.001")
    assert failed.returncode == 1 and "1 of 1 points failed" in failed.stderr
    return folder


def test_a_sweep_of_which_a_part_was_skipped_is_one(runs: Path) -> None:
    assert sweep(runs, "half", "--placers", "hybridmem", "first_touch").returncode == 0


@pytest.mark.parametrize("name", ["skipped", "failed"])
def test_its_report_is_written_and_says_so(runs: Path, name: str, run: Run) -> None:
    done = run("report", str(runs / name))
    assert done.status == 1 and f"(1 {name})" in done.stderr and "Traceback" not in done.stderr
    assert (runs / name / "report.html").is_file()
    told = run("report", "--json", str(runs / name))
    assert told.status == 1 and json.loads(told.stdout)["counts"][name] == 1


@pytest.mark.parametrize("name", ["skipped", "failed"])
def test_a_comparison_with_it_compares_nothing(runs: Path, name: str, run: Run) -> None:
    for a, b in ((name, name), ("good", name), (name, "good")):
        done = run("compare", str(runs / a), str(runs / b))
        assert done.status == 1 and "could be compared" in done.stderr, (a, b)
    assert run("compare", str(runs / "good"), str(runs / "good")).status == 0


def test_a_matrix_without_a_measured_cell_is_none_either(tmp_path: Path, run: Run) -> None:
    empty = str(tmp_path / "empty")
    asked = ("--operations", "read", "--initiators", NODE, "--nodes", NODE, "--timeout-seconds", "0.001")
    done = run("matrix", *asked, *QUICK, "--results", str(tmp_path), "--run", "empty")
    assert done.status == 1 and (tmp_path / "empty" / "points.jsonl").is_file(), done.stderr
    for words in (("report", empty), ("report", "--json", empty), ("compare", empty, empty)):
        again = run(*words)
        assert again.status == 1 and again.stderr.startswith("hmexp: no point of"), words
    assert run("matrix", "--from", empty).status == 1


def test_a_report_that_matplotlib_cannot_draw_says_what_to_set(runs: Path, tmp_path: Path) -> None:
    # As on a read-only root without HOME: there is no folder for its cache, nor a temporary one.
    code = (
        "import sys, tempfile\n"
        "def refuse(*a, **k):\n"
        "    raise FileNotFoundError(2, 'No usable temporary directory found')\n"
        "tempfile.mkdtemp = refuse\n"
        "from hmexp.cli.main import main\n"
        "main(['report', sys.argv[1]])\n"
    )
    blocked = tmp_path / "file"
    blocked.write_text("")
    done = subprocess.run(
        [sys.executable, "-c", code, str(runs / "good")],
        capture_output=True,
        text=True,
        env=os.environ | {"MPLCONFIGDIR": str(blocked)},
    )
    assert done.returncode == 2, done.stderr
    assert "-> set MPLCONFIGDIR to a folder that can be written" in done.stderr
    assert "Traceback" not in done.stderr
