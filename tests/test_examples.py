"""The examples run, and so does the code in the README."""

from __future__ import annotations

import csv
import doctest
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import hmexp
from hmexp.cli.main import main
from hmexp.report.page.html import write_report
from hmexp.sweep.parameters import SweepParameters

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
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


def test_readme_names_every_parameter_and_its_default() -> None:
    text = (ROOT / "README.md").read_text()
    record = SweepParameters().to_record()
    rows = re.findall(r"^\| (`[a-z_`, ]+`) \| (.*?) \|", text, re.MULTILINE)
    documented = {}
    for names, defaults in rows:
        values = re.findall(r"`([^`]+)`", defaults)
        keys = re.findall(r"`([^`]+)`", names)
        documented |= dict(zip(keys, values * len(keys) if len(values) == 1 else values, strict=True))
    assert set(documented) == set(record)
    for name, value in record.items():
        shown = " ".join(map(str, value)) if isinstance(value, tuple) else str(value).removesuffix(".0")
        assert documented[name] == shown, name


def test_readme_commands_exist(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "README.md").read_text()
    commands = set(re.findall(r"^hmexp ([a-z]+)", text, re.MULTILINE))
    assert commands == {
        "doctor",
        "presets",
        "placers",
        "nodes",
        "sweep",
        "measure",
        "latency",
        "report",
        "campaign",
        "compare",
        "lab",
    }
    for command in commands:
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0
    assert "usage: hmexp" in capsys.readouterr().out
