"""Campaigns of real, tiny notebooks: finished, failing, killed, changed and interrupted."""

from __future__ import annotations

import html
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hmexp
from hmexp.campaign.file import read_campaign
from hmexp.campaign.page import page
from hmexp.campaign.run import list_campaign
from hmexp.errors import ParameterError, StoreError
from hmexp.system.topology import read_topology

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
KILL = "import os, signal\nif how == 'kill': os.kill(os.getpid(), signal.SIGKILL)"
RAISE = "if how == 'raise': raise ValueError('no more bananas')"
WAIT = "import time\nif how == 'wait': time.sleep(120)"
EXIT = "import os\nif how == 'exit': os._exit(3)"
SWEEP = {
    "size": "256KiB", "samples": 1, "sample_seconds": 0.001, "launches": 2, "precision": 0, "emulate": "none",
    "operations": ["read", "write", "copy"], "patterns": [str(read_topology().dram_nodes[0].id)],
}  # fmt: skip


def write_notebook(path: Path, *cells: str, parameters: str = 'how: str = "well"  # what to do') -> None:
    def cell(source: str, *tags: str) -> dict[str, Any]:
        return {
            "cell_type": "code", "metadata": {"tags": list(tags)}, "source": source, "outputs": [],
            "execution_count": None, "id": f"c{abs(hash(source)) % 10**8}",
        }  # fmt: skip

    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    first = [cell(parameters, "parameters")] if parameters else []
    content = {
        "cells": [*first, *(cell(source) for source in cells)],
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4, "nbformat_minor": 5,
    }  # fmt: skip
    path.write_text(json.dumps(content))


def write_campaign(folder: Path, **entries: tuple[str, dict[str, Any]]) -> Path:
    text = 'title = "Some <b>notebooks</b>"\nresults = "out"\n'
    for name, (notebook, parameters) in entries.items():
        text += f'[[entry]]\nname = "{name}"\nnotebook = "{notebook}"\n[entry.parameters]\n'
        text += "".join(f"{key} = {json.dumps(value)}\n" for key, value in parameters.items())
    file = folder / "campaign.toml"
    file.write_text(text)
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_notebook(tmp_path / "tiny.ipynb", RAISE, EXIT, KILL, WAIT, "print(how)")
    return tmp_path


def command(file: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "hmexp", "campaign", str(file), *arguments]


def campaign(file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(file, *arguments), capture_output=True, text=True, timeout=120)


def summary(folder: Path) -> dict[str, dict[str, Any]]:
    entries = json.loads((folder / "out" / "campaign.json").read_text())["entries"]
    return {entry["name"]: entry for entry in entries}


@pytest.mark.slow
def test_a_kernel_that_dies_is_told_and_the_next_entry_runs(folder: Path) -> None:
    wanted = {"dies": "kill", "leaves": "exit", "fails": "raise", "ends": "well"}
    file = write_campaign(folder, **{name: ("tiny.ipynb", {"how": how}) for name, how in wanted.items()})
    listed = campaign(file, "--dry-run")
    assert listed.returncode == 0 and listed.stdout.count("new\n") == 4
    assert not (folder / "out").exists()

    done = campaign(file)
    assert done.returncode == 1, done.stderr
    entries = summary(folder)
    assert {name: entry["status"] for name, entry in entries.items()} == {
        "dies": "kernel died", "leaves": "kernel died", "fails": "failed", "ends": "finished",
    }  # fmt: skip
    assert entries["dies"]["signal"] == "SIGKILL" and "killed by SIGKILL" in entries["dies"]["reason"]
    assert "status 3" in entries["leaves"]["reason"]
    assert "ValueError: no more bananas" in entries["fails"]["reason"]
    assert "no more bananas" in done.stdout and "killed by SIGKILL" in done.stdout
    executed = json.loads((folder / "out" / entries["ends"]["executed"]).read_text())
    assert executed["cells"][-1]["outputs"][0]["text"] in ("well\n", ["well\n"])
    assert "well\n" in (folder / "out" / entries["ends"]["log"]).read_text()
    page = (folder / "out" / "index.html").read_text()
    assert "Some &lt;b&gt;notebooks&lt;/b&gt;" in page and "kernel died" in page
    for link in re.findall(r'href="([^"]*)"', page):
        assert (folder / "out" / link).exists()

    # What is finished stays; what was changed, and what failed, is run.
    changed = {"dies": ("tiny.ipynb", {"how": "well"}), "ends": ("tiny.ipynb", {"how": "well"})}
    file = write_campaign(folder, **changed)
    before = (folder / "out" / entries["ends"]["executed"]).stat()
    done = campaign(file)
    assert done.returncode == 0, done.stderr
    assert "ends: finished, not run again" in done.stdout
    assert "dies: its parameters were changed (how)" in done.stdout
    assert (folder / "out" / entries["ends"]["executed"]).stat() == before
    assert set(summary(folder)) == set(changed)


def test_a_kernel_that_dies_as_it_starts_is_told_as_that(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = folder / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    command = ["/bin/sh", "-c", "sleep 1; kill -SEGV $$", "{connection_file}"]
    (kernel / "kernel.json").write_text(
        json.dumps({"argv": command, "display_name": "x", "language": "python"})
    )
    monkeypatch.setenv("JUPYTER_PATH", str(folder / "jupyter"))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    outcome = hmexp.run_campaign(write_campaign(folder, one=("tiny.ipynb", {})), say=lambda _: None)
    assert (outcome.entries[0].status, outcome.entries[0].signal) == ("kernel died", "SIGSEGV")


@pytest.mark.slow
def test_an_entry_is_run_anew_when_asked_for_or_its_code_changed(folder: Path) -> None:
    file = write_campaign(folder, one=("tiny.ipynb", {}))
    lines: list[str] = []
    assert hmexp.run_campaign(file, say=lines.append).complete
    first = summary(folder)["one"]
    assert hmexp.run_campaign(file, say=lines.append).complete
    assert lines[-1] == "1 of 1, one: finished, not run again"
    assert hmexp.run_campaign(file, ["one"], lines.append).complete
    again = summary(folder)["one"]
    assert again["executed"] != first["executed"] and (folder / "out" / first["executed"]).exists()
    write_notebook(folder / "tiny.ipynb", "print('another')")
    assert "its notebook was changed" in campaign(file, "--list").stdout
    (folder / "out" / again["executed"]).unlink()
    write_notebook(folder / "tiny.ipynb", RAISE, EXIT, KILL, WAIT, "print(how)")
    assert "its executed notebook is gone" in campaign(file, "--list").stdout
    with pytest.raises(ParameterError, match="no entry 'two'"):
        hmexp.run_campaign(file, ["two"], lines.append)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("entry = 1 1", "is not valid TOML"),
        ("", "has no [[entry]] table"),
        ("entry = []", "has no [[entry]] table"),
        ("entry = [1]", "entry 1 is not a table"),
        ('titel = "x"\n[[entry]]', "unknown key 'titel'\n  -> did you mean 'title'"),
        ('[[entry]]\nnotebook = "tiny.ipynb"', "name '' is not usable"),
        ('[[entry]]\nname = "../x"\nnotebook = "tiny.ipynb"', "name '../x' is not usable"),
        ('[[entry]]\nname = "a"', "entry 'a' has no notebook"),
        ('[[entry]]\nname = "a"\nnotebok = "x"\nnotebook = "tiny.ipynb"', "did you mean 'notebook'"),
        ('[[entry]]\nname = "a"\nnotebook = "none.ipynb"', "none.ipynb: No such file"),
        ('[[entry]]\nname = "a"\nnotebook = "campaign.toml"', "is not a notebook"),
        ('[[entry]]\nname = "a"\nnotebook = "tiny.ipynb"\nparameters = 3', "not a table of names"),
        (
            '[[entry]]\nname = "a"\nnotebook = "tiny.ipynb"\n[entry.parameters]\nhwo = "well"',
            "tiny.ipynb has no parameter 'hwo'\n  -> did you mean 'how'",
        ),
        ('[parameters]\nsize = "1"\n[[entry]]\nname = "a"\nnotebook = "tiny.ipynb"', "no notebook of this"),
        ('[[entry]]\nname = "a"\nnotebook = "tiny.ipynb"\n[entry.parameters]\nhow = nan', "how = nan"),
        ('[[entry]]\nname = "a"\nnotebook = "tiny.ipynb"\n[entry.parameters]\nhow = 2026-01-01', "datetime"),
        (
            '[[entry]]\nname = "a"\nnotebook = "sweep.ipynb"\n[entry.parameters]\nrun = "x"',
            "'run' cannot be set by an entry",
        ),
        (
            '[[entry]]\nname = "a"\nnotebook = "sweep.ipynb"\n[entry.parameters]\npatterns = ["0,,2"]',
            "entry 'a': pattern '0,,2': entry 2 is empty",
        ),
        ('[[entry]]\nname = "a"\nnotebook = "tiny.ipynb"\n' * 2, "two entries are called 'a'"),
        ('results = 3\n[[entry]]\nname = "a"\nnotebook = "tiny.ipynb"\n', "results is 3"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_runs(folder: Path, text: str, says: str) -> None:
    (folder / "sweep.ipynb").symlink_to(NOTEBOOKS / "sweep.ipynb")
    file = folder / "campaign.toml"
    file.write_text(text)
    there = set(folder.iterdir())
    with pytest.raises(ParameterError) as caught:
        hmexp.run_campaign(file)
    assert says in str(caught.value) and str(file) in str(caught.value)
    assert set(folder.iterdir()) == there


def test_braces_in_paths_are_no_parameters_of_papermill(tmp_path: Path) -> None:
    """Papermill fills in braces in the paths that it is given (papermill#392)."""
    # Each of them alone fails in a way of its own, or becomes another path: one notebook is run for all.
    where = "out{how} a{}b {0} {"
    write_notebook(tmp_path / "in{how}.ipynb", "print(how)")
    file = tmp_path / "campaign.toml"
    file.write_text(f'results = "{where}"\n[[entry]]\nname = "a"\nnotebook = "in{{how}}.ipynb"\n')
    outcome = hmexp.run_campaign(file)
    assert outcome.complete, outcome.entries
    assert len(list((tmp_path / where).glob("a-*.ipynb"))) == 1


def test_a_byte_order_mark_is_no_part_of_a_campaign(tmp_path: Path) -> None:
    write_notebook(tmp_path / "tiny.ipynb", "print(how)")
    file = tmp_path / "campaign.toml"
    file.write_text('title = "x"\n[[entry]]\nname = "a"\nnotebook = "tiny.ipynb"\n', encoding="utf-8-sig")
    assert read_campaign(file, read_topology()).title == "x"


def test_a_damaged_summary_is_told_and_kept(folder: Path) -> None:
    file = write_campaign(folder, one=("tiny.ipynb", {}))
    (folder / "out").mkdir()
    for text in ("{", "[]", '{"schema": 99, "entries": []}', '{"schema": 1, "entries": [3]}'):
        (folder / "out" / "campaign.json").write_text(text)
        with pytest.raises(StoreError, match=r"campaign\.json"):
            hmexp.run_campaign(file)
        assert (folder / "out" / "campaign.json").read_text() == text


def wait_until(true: Any, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)


def kernels(of_folder: Path) -> Iterator[int]:
    """Processes that work in a folder, as the notebooks of a campaign do."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").resolve() == of_folder and b"ipykernel" in (
                process / "cmdline"
            ).read_bytes():
                yield int(process.name)
        except OSError:
            continue


@pytest.mark.slow
def test_ctrl_c_says_what_is_left_and_ends_the_kernel(folder: Path) -> None:
    entries = {
        name: ("tiny.ipynb", {"how": how}) for name, how in (("a", "well"), ("b", "wait"), ("c", "well"))
    }
    file = write_campaign(folder, **entries)
    process = subprocess.Popen(command(file), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    output = folder / "out"

    def waits() -> bool:
        made = list(output.glob("b-*.ipynb"))
        return bool(made) and '"how = ' in made[0].read_text() and bool(list(kernels(folder)))

    wait_until(waits, process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "still to run: b, c" in out and "Traceback" not in err
    assert {name: entry["status"] for name, entry in summary(folder).items()} == {
        "a": "finished", "b": "interrupted", "c": "to do",
    }  # fmt: skip
    deadline = time.monotonic() + 10
    while list(kernels(folder)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    listed = campaign(file, "--list").stdout
    assert "done  a" in listed and "interrupted before" in listed


@pytest.mark.slow
def test_killed_in_mid_sweep_it_goes_on_and_gathers_the_reports(tmp_path: Path) -> None:
    (tmp_path / "sweep.ipynb").symlink_to(NOTEBOOKS / "sweep.ipynb")
    file = write_campaign(tmp_path, small=("sweep.ipynb", SWEEP))
    process = subprocess.Popen(command(file), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)

    def launches() -> list[dict[str, Any]]:
        files = list((tmp_path / "out").glob("small-*/launches.jsonl"))
        return [json.loads(line) for line in files[0].read_text().splitlines()] if files else []

    wait_until(launches, process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert "killed before: it resumes" in campaign(file, "--list").stdout
    done = campaign(file)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "finished, 3 of 3 points" in done.stdout
    times = Counter((record["point_id"], record["launch"]) for record in launches())
    assert len(times) == 6 and set(times.values()) == {1}
    entry = summary(tmp_path)["small"]
    assert entry["points"] == {"planned": 3, "ok": 3, "failed": 0, "skipped": 0}
    assert (tmp_path / "out" / entry["report"]).exists()
    emulation = json.loads((tmp_path / "out" / entry["run"] / "run.json").read_text())["emulation"]
    assert entry["emulated"] == (emulation and emulation["profile"]["name"])
    page = (tmp_path / "out" / "index.html").read_text()
    assert entry["answer"] and entry["answer"] in html.unescape(page)
    assert (f"EMULATED {entry['emulated']}" in page) is (emulation is not None)
    assert {path.name for path in (tmp_path / "out").rglob(".*")} == {".lock"}


@pytest.mark.slow
def test_points_that_failed_fail_their_entry(tmp_path: Path) -> None:
    """A notebook that ends well although a point failed is not believed."""
    cells = json.loads((NOTEBOOKS / "sweep.ipynb").read_text())
    for cell in cells["cells"]:
        cell["source"] = "".join(cell["source"]).replace("sweep.require_complete()", "pass")
    (tmp_path / "sweep.ipynb").write_text(json.dumps(cells))
    file = write_campaign(tmp_path, small=("sweep.ipynb", SWEEP | {"timeout_seconds": 0.01}))
    outcome = hmexp.run_campaign(file, say=lambda _: None)
    assert not outcome.complete
    assert outcome.entries[0].status == "failed" and outcome.entries[0].reason == (
        "3 points failed, 0 were not measured"
    )


def test_the_example_can_be_run_here() -> None:
    folder, steps = list_campaign(NOTEBOOKS / "campaign.toml")
    assert steps and [step.entry for step in steps] == list(folder.campaign.entries)


@pytest.mark.parametrize(("profile", "shown"), [("cxl-expander", True), (None, False)])
def test_the_page_says_what_is_emulated(profile: str | None, shown: bool) -> None:
    entry = {
        "name": "one", "about": "", "parameters": {}, "status": "finished", "reason": None, "points": None,
        "report": None, "executed": None, "notebook": "sweep.ipynb", "log": None, "started": None,
        "ended": None, "emulated": profile, "answer": "Yes: set 1:1.",
    }  # fmt: skip
    text = page({"title": "Two", "file": "two.toml", "entries": [entry]})
    assert ("EMULATED cxl-expander" in text) is shown
    assert "Yes: set 1:1." in text and text.count('scope="col"') == text.count("<th") - text.count("<thead")
    assert "prefers-color-scheme: dark" in text
