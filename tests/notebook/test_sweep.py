"""The sweep notebook, through papermill, from another folder, killed and misused."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from papermill.cli import papermill as papermill_command

from hmexp.notebook.sweep import injected_names
from hmexp.sweep.parameters import SweepParameters

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "sweep.ipynb"
SMALL = [
    "-p",
    "launches",
    "1",
    "-p",
    "precision",
    "0",
    "-p",
    "size",
    "1MiB",
    "-p",
    "samples",
    "2",
    "-p",
    "sample_seconds",
    "0.02",
    "-p",
    "emulate",
    "2=optane-dcpmm",
]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "papermill", str(NOTEBOOK), "out.ipynb", *arguments]


def papermill(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), cwd=cwd, capture_output=True, text=True, timeout=300)


def outputs(path: Path) -> str:
    cells = json.loads(path.read_text())["cells"]
    return json.dumps([cell.get("outputs") for cell in cells])


def test_a_sweep_through_papermill(tmp_path: Path) -> None:
    patterns = 'patterns: ["0", "0,2", "0,2,2", "2"]'
    done = papermill(*SMALL, "-y", patterns, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = tmp_path / "results" / "latest"
    with (run / "points.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {(row["pattern"], row["operation"]) for row in rows} == {
        (pattern, operation)
        for pattern in ("0", "0,2", "0,2,2", "2")
        for operation in ("read", "write", "latency")
    }
    for row in rows:
        assert row["status"] == "ok"
        assert row["proof_ok"] == row["emulated"] == "True"
        assert row["numa_maps_agrees"] == "True"
        assert row["misplaced_before"] == row["misplaced_after"] == "0"
        assert int(row["samples"]) == 2
        assert float(row["ci_low"]) <= float(row["median"]) <= float(row["ci_high"])
        assert row["timing_valid"] in ("True", "False")
    with (run / "samples.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 2 * len(rows)
    assert "EMULATED" in (run / "report.html").read_text()
    shown = outputs(tmp_path / "out.ipynb")
    assert "EMULATED: node 2" in shown
    assert shown.count("image/png") == 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-p", "pattern", "0"], "did you mean 'patterns'"),
        (["-p", "patterns", "0,,2"], "entry 2 is empty"),
        (["-p", "size", "3 bananas"], "bananas"),
        (["-y", "threads: two"], "not a whole number"),
        (["-p", "launches", "0"], "launches 0"),
        (["-p", "precision", "5"], "precision 5"),
        (["-p", "results", "/proc/none"], "/proc/none"),
    ],
)
def test_bad_input_fails_papermill_and_leaves_nothing(
    tmp_path: Path, refused: Callable[..., str], arguments: list[str], says: str
) -> None:
    assert says in refused(NOTEBOOK, *arguments)
    assert {path.name for path in tmp_path.iterdir()} == {"out.ipynb"}


def test_bad_input_is_a_status_and_on_papermills_stderr(tmp_path: Path) -> None:
    done = papermill("-p", "pattern", "0", cwd=tmp_path)
    assert done.returncode != 0
    assert "did you mean 'patterns'" in done.stderr


def process_tree(root: int) -> dict[int, str]:
    """Command lines of a process's descendants."""
    parents: dict[int, int] = {}
    names: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text()
            names[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        parents[int(folder.name)] = int(stat.rsplit(")", 1)[1].split()[1])
    found: dict[int, str] = {}
    todo = [root]
    while todo:
        at = todo.pop()
        for child, parent in parents.items():
            if parent == at and child in names:
                found[child] = names[child]
                todo.append(child)
    return found


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (path / "points.jsonl").read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["papermill", "kernel"])
def test_kill_9_in_mid_sweep_then_the_same_command(tmp_path: Path, victim: str) -> None:
    arguments = [
        *SMALL,
        "-p",
        "sample_seconds",
        "0.2",
        "-y",
        'patterns: ["0", "0,2"]',
        "-y",
        "operations: [read, write]",
    ]
    process = subprocess.Popen(
        command(*arguments), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    points = tmp_path / "results" / "latest" / "points.jsonl"
    deadline = time.monotonic() + 120
    while not (points.exists() and points.read_bytes().count(b"\n") >= 1):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    target = process.pid
    if victim == "kernel":
        target = next(pid for pid, line in process_tree(process.pid).items() if "ipykernel" in line)
    os.kill(target, signal.SIGKILL)
    assert process.wait(120) != 0
    run = points.parent.resolve()
    # What the kernel, outliving papermill by a moment, may still have added is kept as well.
    kept = points.read_bytes()
    done = papermill(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "results" / "latest").resolve() == run
    assert (run / "points.jsonl").read_bytes().startswith(kept)
    ok = [record["point_id"] for record in read_lines(run) if record["status"] == "ok"]
    assert len(ok) == len(set(ok)) == 4
    assert (run / "report.html").exists()


def test_the_notebook_has_each_parameter_with_its_default_and_a_comment() -> None:
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    cell = next(c for c in cells if "parameters" in c["metadata"].get("tags", []))
    source = "".join(cell["source"])
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    values = {name: value for name, value in namespace.items() if not name.startswith("__")}
    assert SweepParameters.from_mapping(values) == SweepParameters()
    assert set(values) == set(SweepParameters.names())
    for line in source.splitlines():
        assert ": " in line.split("=")[0] and "  # " in line
        assert line.count("=") == 1  # papermill --help-notebook cannot read other lines


def test_papermill_shows_the_parameters(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(SystemExit) as ended:
        papermill_command.main(["--help-notebook", str(NOTEBOOK)], standalone_mode=False)
    assert not ended.value.code
    shown = capsys.readouterr()
    for name in SweepParameters.names():
        assert f"{name}:" in shown.out
    assert "Unable to parse" not in shown.err + caplog.text


def test_names_are_read_from_the_injected_cell_only() -> None:
    history = ["", "size = 1", "# Parameters\nsize = '1MiB'\npatern = ['0']\n", "x = 2"]
    assert injected_names(history) == ["size", "patern"]
