"""A compiled core that is older than its sources is told from one that is not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import hmexp
from hmexp.errors import HmexpError
from hmexp.native import core

PACKAGE = Path(hmexp.__file__).parent


def load(folder: Path) -> subprocess.CompletedProcess[str]:
    """Import the core of a copy of the package in a process of its own."""
    code = "import hmexp.native.core as core; print(core.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, env=environment)


def test_a_stale_core_says_what_to_do(tmp_path: Path) -> None:
    copy = tmp_path / "hmexp"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "lab"))
    good = load(tmp_path)
    assert good.returncode == 0, good.stderr
    assert Path(good.stdout.strip()) == copy / "native" / "core.py"
    with (copy / "native" / "declarations.h").open("a") as file:
        file.write("int hm_new_function(void);\n")
    stale = load(tmp_path)
    assert stale.returncode != 0
    assert "built from other sources" in stale.stderr and "make setup" in stale.stderr


def test_a_core_from_before_fingerprints_is_stale() -> None:
    with pytest.raises(HmexpError, match="make setup"):
        core.require_current(SimpleNamespace(), PACKAGE / "native")


def test_without_sources_there_is_nothing_to_compare(tmp_path: Path) -> None:
    core.require_current(core.lib, tmp_path)
