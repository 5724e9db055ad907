"""Progress in a notebook, in papermill's log, on a terminal and in a file."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import select
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from hmexp.experiment.progress import Progress
from hmexp.progress import (
    Displays,
    LogLines,
    NotebookBar,
    TerminalBar,
    format_seconds,
    is_attended,
    notebook_display,
    progress_html,
    stream_display,
)

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "sweep.ipynb"
SWEEP = {
    "patterns": ["0", "2"],
    "operations": ["read"],
    "size": "1MiB",
    "launches": 1,
    "precision": 0,
    "samples": 2,
    "sample_seconds": 0.02,
    "emulate": "2=optane-dcpmm",
}


def test_progress_is_told_in_words() -> None:
    html = progress_html(Progress(3, 12, 1, 75.4, "read on <0>"))
    assert "3 of 12 launches" in html and "1 min 15 s left" in html and "1 failed" in html
    assert "&lt;0&gt;" in html and "25.00%" in html
    assert [format_seconds(s) for s in (0, 59.4, 60, 3599, 7260)] == [
        "0 s",
        "59 s",
        "1 min 00 s",
        "59 min 59 s",
        "2 h 01 min",
    ]


def test_a_log_gets_few_lines_and_always_the_last() -> None:
    stream, now = io.StringIO(), [0.0]
    lines = LogLines(stream, lambda: now[0])
    points = 36_000  # ten hours of a point a second
    for done in range(points):
        now[0] = float(done)
        lines.show(Progress(done, points, 0, float(points - done), "read on 0"))
    lines.show(Progress(points, points, 2, 0.0, ""))
    messages = stream.getvalue().splitlines()
    assert messages[0].startswith("0 of 36000 launches")
    assert messages[1].startswith("10 of 36000 launches")
    assert messages[-1] == "36000 of 36000 launches · 2 failed"
    done_at = [int(line.split()[0]) for line in messages[:-1]]
    assert 100 < len(messages) < 300
    assert max(b - a for a, b in pairwise(done_at)) <= 300


def test_a_command_shows_a_bar_on_a_terminal_only() -> None:
    assert isinstance(stream_display(io.StringIO()), LogLines)
    master, slave = pty.openpty()
    try:
        with os.fdopen(slave, "w") as terminal:
            shown = stream_display(terminal)
            assert isinstance(shown, TerminalBar)
            shown.show(Progress(0, 4, 0, None, "read on 0"))
            shown.show(Progress(3, 4, 0, 1.0, "read on 2"))
            shown.show(Progress(4, 4, 0, 0.0, ""))
            text = ""
            while "4/4" not in text:  # a terminal hands over what was written bit by bit
                assert select.select([master], [], [], 10)[0], text
                text += os.read(master, 1 << 16).decode()
    finally:
        os.close(master)
    assert "\r" in text and "3/4" in text and "read on 2" in text


@pytest.mark.parametrize(
    ("environment", "attended"),
    [
        ({}, False),
        ({"JPY_PARENT_PID": "1"}, False),
        ({"JPY_SESSION_NAME": "/a.ipynb"}, True),
        ({"VSCODE_PID": "1"}, True),
    ],
)
def test_who_looks_at_a_notebook(environment: dict[str, str], attended: bool) -> None:
    assert is_attended(environment) is attended


def test_an_attended_notebook_gets_no_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("VSCODE_", "PYCHARM_", "HMEXP_TERMINAL", "JPY_SESSION")):
            monkeypatch.delenv(name)

    def kinds() -> list[type]:
        shown = notebook_display()
        assert isinstance(shown, Displays)
        return [type(one) for one in shown.displays]

    assert kinds() == [NotebookBar, LogLines]
    monkeypatch.setenv("JPY_SESSION_NAME", "/notebooks/sweep.ipynb")
    assert kinds() == [NotebookBar]


def run_papermill(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("VSCODE_", "PYCHARM_", "HMEXP_TERMINAL", "JPY_SESSION"))
    }
    return subprocess.run(
        [sys.executable, "-m", "papermill", str(NOTEBOOK), "out.ipynb", "-y", json.dumps(SWEEP), *arguments],
        cwd=folder, capture_output=True, text=True, timeout=300, env=clean | environment,
    )  # fmt: skip


@pytest.mark.slow
def test_papermills_log_has_the_progress_and_the_saved_notebook_the_bar(tmp_path: Path) -> None:
    done = run_papermill(tmp_path, "--log-output", "--no-progress-bar")
    assert done.returncode == 0, done.stderr
    assert "0 of 2 launches" in done.stderr
    assert "2 of 2 launches" in done.stderr
    bars = re.findall(r"width:([0-9.]+)%;height:100%", (tmp_path / "out.ipynb").read_text())
    assert bars == ["100.00"]


@pytest.mark.slow
def test_the_terminal_of_make_sweep_has_the_bar(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    try:
        done = run_papermill(tmp_path, HMEXP_TERMINAL=os.ttyname(slave))
        text = ""
        while select.select([master], [], [], 0.1)[0]:
            text += os.read(master, 1 << 16).decode()
    finally:
        os.close(slave)
        os.close(master)
    assert done.returncode == 0, done.stderr
    assert "2/2" in text
    assert "of 2 launches ·" not in json.dumps(
        [
            output.get("text")
            for cell in json.loads((tmp_path / "out.ipynb").read_text())["cells"]
            for output in cell.get("outputs", ())
        ]
    )
