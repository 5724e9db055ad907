"""What `import hmexp` offers: every name is there, described, and cheap until it is used."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import hmexp

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", hmexp.__all__)
def test_every_name_leads_to_something_with_words(name: str) -> None:
    found = getattr(hmexp, name)
    assert found.__doc__ and found.__name__ == name
    assert name in dir(hmexp)


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'bananas'"):
        _ = hmexp.bananas  # type: ignore[attr-defined]


def test_the_stub_is_made_from_the_table() -> None:
    specification = importlib.util.spec_from_file_location("front_door", ROOT / "tools" / "front_door.py")
    assert specification is not None and specification.loader is not None
    tool = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(tool)
    assert tool.STUB.read_text() == tool.make_stub(), "run .venv/bin/python tools/front_door.py"


def test_importing_it_imports_nothing_else() -> None:
    look = "import sys, typing, collections.abc, importlib, __future__; known = set(sys.modules);"
    look += " import hmexp; print(set(sys.modules) - known)"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "{'hmexp'}"


def test_a_sweep_from_python(tmp_path: Path) -> None:
    parameters = hmexp.SweepParameters.from_mapping(
        {
            "patterns": "0", "operations": "read", "size": "1MiB", "samples": 2, "launches": 1,
            "sample_seconds": 0.001, "precision": 0, "emulate": "none", "threads": 1,
            "results": str(tmp_path),
        }
    )  # fmt: skip
    plan = hmexp.make_plan(parameters, hmexp.read_topology())
    said: list[str] = []
    outcome = hmexp.run_sweep(plan, say=said.append, report=hmexp.write_report)
    outcome.require_complete()
    assert (outcome.path / "report.html").is_file()
    points = hmexp.read_points(outcome.path / "points.jsonl")
    assert len(hmexp.load(outcome.path).points) == len(points) == 1
    assert hmexp.compare(outcome.path, outcome.path).counts["slower"] == 0


@pytest.mark.parametrize("name", ["run_study", "run_matrix", "run_program", "run_find"])
def test_an_old_name_still_works_and_says_the_new_one(name: str) -> None:
    with pytest.warns(DeprecationWarning, match=f"hmexp.{name} is hmexp.run_experiment now"):
        assert getattr(hmexp, name) is hmexp.run_experiment
