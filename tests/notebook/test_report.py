"""The report notebook, through papermill, on the example, on several runs and on nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hmexp.errors import HmexpError, ParameterError
from hmexp.notebook.report import Report, find_run

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "notebooks" / "report.ipynb"
EXAMPLE = ROOT / "results" / "example"
POINTS = len((EXAMPLE / "points.jsonl").read_text().splitlines())


def papermill(folder: Path, parameters: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "papermill", str(NOTEBOOK), "out.ipynb", "-y", json.dumps(parameters)],
        cwd=folder, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


@pytest.mark.slow
def test_two_runs_through_papermill(tmp_path: Path) -> None:
    results = tmp_path / "results"
    shutil.copytree(EXAMPLE, results / "example")
    other = results / "half"
    other.mkdir()
    lines = (EXAMPLE / "points.jsonl").read_text().splitlines()
    record = json.loads(lines[0])
    # Of another machine, say: one point failed, and one was not measured yet.
    failed = record | {"status": "failed", "reason": "3 pages of <65536> are elsewhere", "result": None}
    (other / "points.jsonl").write_text("\n".join([*lines[1:-1], json.dumps(failed)]) + "\n")
    shutil.copy(EXAMPLE / "run.json", other / "run.json")
    before = sorted(results.rglob("*"))
    done = papermill(
        tmp_path, {"runs": ["example", str(other)], "figures": ["latency_against_ratio", "none"]}
    )
    assert done.returncode == 0, done.stderr
    assert sorted(results.rglob("*")) == before, "the notebook wrote into a run"
    cells = json.loads((tmp_path / "out.ipynb").read_text())["cells"]
    outputs = {"".join(c["source"]): c["outputs"] for c in cells if c["cell_type"] == "code"}

    def text(source: str) -> str:
        return json.dumps(outputs[source], ensure_ascii=False)

    pictures = [o for o in outputs["report.figures()"] if "image/png" in o.get("data", {})]
    assert len(pictures) == 2
    assert text("report.figures()").count("No figure none") >= 2
    assert text("report.advice()").count("Best measured ratio for read") >= 2
    assert "3 pages of &lt;65536&gt; are elsewhere" in text("report.failures()")
    assert "1 points are not measured yet" in text("report.failures()")
    assert f"All {POINTS} points were measured and proven" in text("report.failures()")
    assert "EMULATED" in text("report.machines()") and "EMULATED" in text("report.tables()")
    assert f"{2 * POINTS - 1} rows" in text("report.frame()")


def test_the_frame_has_every_row_of_every_run(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path / "again")
    report = Report({"runs": [str(EXAMPLE), str(tmp_path / "again")]})
    frame = report.frame()
    assert frame.groupby("run").size().to_dict() == {"example": POINTS, "again": POINTS}
    assert frame["median"].notna().all()
    assert set(frame["proof_ok"]) == {True}


def test_runs_are_found_by_folder_by_name_and_by_default(tmp_path: Path) -> None:
    for name in ("example", "mine"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text("{}")
    assert find_run("mine", tmp_path) == tmp_path / "mine"
    assert find_run(str(tmp_path / "mine"), tmp_path / "elsewhere") == tmp_path / "mine"
    assert find_run("auto", tmp_path) == tmp_path / "example"
    (tmp_path / "latest").symlink_to("mine")
    assert find_run("auto", tmp_path) == tmp_path / "mine"
    with pytest.raises(ParameterError, match="example, latest, mine"):
        find_run("yours", tmp_path)


def test_a_parameter_that_it_does_not_have_is_refused(refused: Callable[..., str]) -> None:
    assert "did you mean 'runs'" in refused(NOTEBOOK, "-y", json.dumps({"run": ["example"]}))


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"runs": []}, "runs is an empty list"),
        ({"runs": ["no-such-run"]}, "no-such-run"),
        ({"runs": [[1]]}, "is not a text"),
        ({"runs": [str(ROOT / "results" / "example-placers")]}, "is a study of placers, not a sweep"),
    ],
)
def test_what_cannot_be_shown_is_refused(parameters: dict[str, Any], says: str) -> None:
    """As its first cell has it; that an error there fails papermill is tested above."""
    with pytest.raises(HmexpError) as caught:
        Report(parameters)
    assert says in str(caught.value)
