"""What is committed and what is packed: notebooks without outputs, distributions with all their files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CHECKER = ROOT / "tools" / "notebook_outputs.py"


def check_notebooks(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, CHECKER, *arguments], capture_output=True, text=True)


def test_committed_notebooks_carry_no_outputs() -> None:
    assert NOTEBOOKS
    result = check_notebooks(*NOTEBOOKS)
    assert result.returncode == 0, result.stderr


def test_the_sweep_notebook_has_one_parameters_cell() -> None:
    notebook = json.loads((ROOT / "notebooks" / "sweep.ipynb").read_text(encoding="utf-8"))
    tagged = [cell for cell in notebook["cells"] if "parameters" in cell["metadata"].get("tags", [])]
    assert len(tagged) == 1
    assert tagged[0]["cell_type"] == "code"


def test_a_notebook_with_outputs_is_found_and_cleared(tmp_path: Path) -> None:
    path = tmp_path / "ran.ipynb"
    output = {"output_type": "stream", "name": "stdout", "text": ["1"]}
    cell = {
        "cell_type": "code",
        "source": ["print(1)"],
        "metadata": {"tags": ["kept"], "papermill": {"status": "completed"}},
        "execution_count": 3,
        "outputs": [output],
    }
    path.write_text(json.dumps({"cells": [cell], "nbformat": 4, "nbformat_minor": 5, "metadata": {}}))
    found = check_notebooks(path)
    assert found.returncode == 1
    assert "cell 1: 1 outputs" in found.stderr
    assert "cell 1: execution count 3" in found.stderr
    assert check_notebooks("--clear", path).returncode == 0
    assert check_notebooks(path).returncode == 0
    cleared = json.loads(path.read_text())["cells"][0]
    assert cleared["source"] == ["print(1)"]
    assert cleared["metadata"] == {"tags": ["kept"]}


#: Stands for the compiler, which has built the core of this checkout already: it makes what it is asked for.
COMPILER = """#!/bin/sh
while [ "$1" != -o ]; do
    shift || { echo "no -o" >&2; exit 1; }
done
echo made >"$2"
"""


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The names of the files in an sdist and in a wheel, built from a copy of the checkout."""
    folder = tmp_path_factory.mktemp("distributions")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "MANIFEST.in"):
        if (ROOT / name).exists():
            (source / name).write_bytes((ROOT / name).read_bytes())
    # No compiled core from the checkout may slip in.
    copytree(ROOT / "hmexp", source / "hmexp", ignore=ignore_patterns("*.so", "__pycache__"))
    build = (
        "import setuptools.build_meta as b; print(b.build_sdist('../out')); print(b.build_wheel('../out'))"
    )
    compiler = folder / "compiler"
    compiler.write_text(COMPILER)
    compiler.chmod(0o755)
    environment = os.environ | {"CC": str(compiler), "LDSHARED": f"{compiler} -shared"}
    result = subprocess.run(
        [sys.executable, "-c", build], cwd=source, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr
    [sdist] = (folder / "out").glob("*.tar.gz")
    [wheel] = (folder / "out").glob("*.whl")
    with tarfile.open(sdist) as archive:
        packed = [member.name.partition("/")[2] for member in archive if member.isfile()]
    with zipfile.ZipFile(wheel) as archive:
        installed = archive.namelist()
    return {"sdist": packed, "wheel": installed}


def list_sources(*suffixes: str) -> set[str]:
    paths = [path for path in (ROOT / "hmexp").rglob("*") if path.name != "_core.c"]
    return {str(path.relative_to(ROOT)) for path in paths if path.suffix in suffixes}


def test_the_sdist_has_all_that_the_build_needs(distributions: dict[str, list[str]]) -> None:
    expected = list_sources(".py", ".pyi", ".c", ".h", ".j2", ".toml") | {
        "setup.py",
        "pyproject.toml",
        "LICENSE",
        "hmexp/py.typed",
    }
    missing = expected - set(distributions["sdist"])
    assert not missing, sorted(missing)


def test_the_wheel_has_the_core_and_the_data(distributions: dict[str, list[str]]) -> None:
    files = set(distributions["wheel"])
    expected = list_sources(".py", ".pyi", ".j2", ".toml") | {"hmexp/py.typed"}
    assert not expected - files, sorted(expected - files)
    assert any(name.startswith("hmexp/native/_core.") and name.endswith(".so") for name in files)


def test_the_wheel_has_nothing_but_hmexp(distributions: dict[str, list[str]]) -> None:
    tops = {name.split("/")[0] for name in distributions["wheel"]}
    assert {top for top in tops if not top.startswith("hmexp-")} == {"hmexp"}


def test_it_is_found_from_the_folder_that_holds_the_checkout(tmp_path: Path) -> None:
    """Where the checkout is called hmexp, it looks like a package without an __init__.py from there."""
    (tmp_path / "hmexp").symlink_to(ROOT)
    code = "import hmexp; print(hmexp.Pattern.parse('0,2,2'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "0,2,2\n"
