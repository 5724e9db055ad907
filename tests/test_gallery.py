"""The gallery: a page with pictures that are there, and the tools that make them."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

from hmexp.report.figures import gallery as figures
from hmexp.report.run.results import Results

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "gallery.md"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"tool_{name}", ROOT / "tools" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_shows_every_picture_and_all_are_small() -> None:
    shown = re.findall(r"!\[[^]]+\]\(([^)]+)\)", PAGE.read_text())
    pictures = sorted((ROOT / "docs" / "gallery").glob("*.png"))
    assert shown and sorted(PAGE.parent / name for name in shown) == pictures
    assert sum(path.stat().st_size for path in pictures) < 1_000_000


@pytest.mark.slow
def test_every_figure_of_the_example_becomes_a_picture(tmp_path: Path) -> None:
    before = PAGE.read_text()
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "gallery.py", "--out", tmp_path], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    drawn = figures.all_figures(Results.load(ROOT / "results" / "example"))
    studied = {path.stem for path in (ROOT / "results" / "example-placers" / "figures").glob("*.svg")}
    assert {path.stem for path in tmp_path.iterdir()} == set(drawn) | studied and studied
    for path in tmp_path.iterdir():
        with Image.open(path) as picture:
            assert picture.mode == "P" and picture.width > 400
    assert PAGE.read_text() == before, "pictures made elsewhere are not the page's"


def test_a_run_without_points_makes_no_gallery(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "gallery.py", "--run", tmp_path, "--out", tmp_path / "out"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert "not a run directory" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({}, []),
        ({"execution_count": None}, ["cell 1 was not run"]),
        (
            {"outputs": [{"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": []}]},
            ["cell 1: ValueError: no"],
        ),
        (
            {"outputs": [{"output_type": "stream", "name": "stderr", "text": ["careful"]}]},
            ["cell 1 wrote to stderr: careful"],
        ),
    ],
)
def test_the_screenshot_tool_sees_what_is_wrong(
    tmp_path: Path, change: dict[str, object], says: list[str]
) -> None:
    cell = {"cell_type": "code", "execution_count": 1, "outputs": [], "source": "1"} | change
    path = tmp_path / "ran.ipynb"
    path.write_text(json.dumps({"cells": [cell, {"cell_type": "markdown", "source": "x"}]}))
    assert load("jupyterlab_screenshot").check_saved(path) == says


def test_the_screenshot_tool_says_what_it_cannot_open(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "jupyterlab_screenshot.py", tmp_path / "none.ipynb"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert "none.ipynb is not a notebook in" in done.stderr
