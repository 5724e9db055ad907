"""The examples run, and the committed run is what its records say."""

from __future__ import annotations

import csv
import doctest
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import hmexp
from hmexp.report.page.html import write_report

ROOT = Path(__file__).resolve().parents[1]


#: It measures a sweep.
LONG = ROOT / "examples" / "first_question.py"
EXAMPLES = sorted({*(ROOT / "examples").glob("*.py")} - {LONG})


@pytest.mark.parametrize(
    "path", [*EXAMPLES, pytest.param(LONG, marks=pytest.mark.slow)], ids=lambda path: path.name
)
def test_example(path: Path, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, str(path)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "pages are in place" in done.stdout


def test_the_example_run_is_what_its_records_say(tmp_path: Path) -> None:
    """Its tables come out of its records as they were committed, with the code of today."""
    committed = ROOT / "results" / "example"
    for name in ("points.jsonl", "run.json"):
        shutil.copy(committed / name, tmp_path / name)
    write_report(tmp_path)
    for name in ("points.csv", "samples.csv"):
        assert (tmp_path / name).read_text() == (committed / name).read_text()
    rows = list(csv.DictReader((committed / "points.csv").read_text().splitlines()))
    asked = json.loads((committed / "run.json").read_text())
    assert len(rows) == asked["points"] == len((committed / "points.jsonl").read_text().splitlines())
    for row in rows:
        assert row["proof_ok"] == row["emulated"] == "True"
        assert abs(float(row["model_error_percent"])) < 10
    assert "EMULATED" in (committed / "report.html").read_text()


def test_docstring_of_the_package() -> None:
    found = doctest.testmod(hmexp)
    assert found.attempted and not found.failed
