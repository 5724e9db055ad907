"""What tests/conftest.py adds to pytest-xdist: a worker that dies fails the run, `in_child` works."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")


def run_suite(folder: Path, source: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a suite of one file, with the configuration of this one, in two workers of pytest-xdist."""
    shutil.copy(CONFTEST, folder)
    (folder / "test_it.py").write_text(source)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment.pop("HMEXP_TEST_CHILD", None)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "2", "-p", "no:cacheprovider", *options, str(folder)],
        capture_output=True, text=True, env=environment, cwd=folder,
    )  # fmt: skip


@pytest.mark.slow
def test_a_worker_that_dies_after_its_last_test_fails_the_run(tmp_path: Path) -> None:
    source = (
        "import atexit, os, signal\n\n\n"
        "def test_it():\n    atexit.register(os.kill, os.getpid(), signal.SIGSEGV)\n"
    )
    done = run_suite(tmp_path, source)
    assert "1 passed" in done.stdout
    assert done.returncode == 1
    assert "of pytest-xdist ended with status -11" in done.stderr


@pytest.mark.slow
def test_a_child_is_found_by_its_name_within_a_group(tmp_path: Path) -> None:
    """pytest-xdist writes the group into the node id, where no child would find its test."""
    source = (
        "import os, pytest\n\n\n"
        "class TestThis:\n"
        "    @pytest.mark.xdist_group('alone')\n"
        "    @pytest.mark.in_child\n"
        "    @pytest.mark.parametrize('name', ['a@b', 'c::d'])\n"
        "    def test_it(self, name):\n"
        "        assert 'HMEXP_TEST_CHILD' in os.environ\n"
    )
    done = run_suite(tmp_path, source, "--dist", "loadgroup")
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout
