"""`.ci/run` fails when either of its parts does, and when pytest did not count passed tests in it.

Run in a folder of its own with a `make` that prints a given text and exits with a given status.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / ".ci" / "run"

#: Prints TEXT_test or TEXT_lab and ends with STATUS_test or STATUS_lab.
MAKE = """#!/bin/sh
echo "$* with $HMEXP_LAB_REQUIRED and $HMEXP_KILLS" >>"$LOG"
case $1 in
    test) echo "$TEXT_test"; exit "$STATUS_test" ;;
    lab-test) echo "$TEXT_lab"; exit "$STATUS_lab" ;;
esac
"""
TESTS = "====== 2100 passed, 9 skipped in 401.20s (0:06:41) ======"
LAB = "=== 31 passed, 90 deselected in 500.00s (0:08:20) ==="
PASSED = {"TEXT_test": TESTS, "STATUS_test": "0", "TEXT_lab": LAB, "STATUS_lab": "0"}


def run(folder: Path, **answers: str) -> tuple[int, list[str]]:
    """Run `.ci/run` and return its status and its last three lines; both parts must have been run."""
    script = folder / "checkout" / ".ci" / "run"
    script.parent.mkdir(parents=True)
    shutil.copy(SCRIPT, script)
    make = folder / "commands" / "make"
    make.parent.mkdir()
    make.write_text(MAKE)
    make.chmod(0o755)
    log = folder / "log"
    environment = os.environ | PASSED | {"LOG": str(log)} | answers
    environment["PATH"] = f"{make.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run([script], env=environment, cwd=folder, capture_output=True, text=True)
    assert log.read_text().splitlines() == [
        "test SLOW=yes with 1 and 12",
        "lab-test KERNELS=distribution STRESS=20 LONG=no LAB_JOBS=2 with 1 and 12",
    ]
    assert "\n".join(answers.get(name, PASSED[name]) for name in ("TEXT_test", "TEXT_lab")) in done.stdout
    return done.returncode, done.stdout.splitlines()[-3:]


def test_both_parts_pass(tmp_path: Path) -> None:
    status, [tests, lab, verdict] = run(tmp_path)
    assert status == 0
    assert tests.startswith(".ci/run: make test SLOW=yes passed, 2100 tests (")
    assert lab.startswith(
        ".ci/run: make lab-test KERNELS=distribution STRESS=20 LONG=no LAB_JOBS=2 passed, 31 tests ("
    )
    assert verdict == ".ci/run: all passed"


@pytest.mark.parametrize("part", ["test", "lab"])
@pytest.mark.parametrize(
    ("text", "status", "says"),
    [
        ("=== 1 failed, 2099 passed in 400.00s ===", "2", "failed, it ended with status 2"),
        # pytest can die after its last test has passed.
        (TESTS, "139", "failed, it ended with status 139"),
        ("make: *** No rule to make target", "2", "failed, it ended with status 2"),
        ("nothing at all", "0", "pytest did not say that any test passed"),
        ("=== 12 skipped in 1.00s ===", "0", "pytest did not say that any test passed"),
        ("=== no tests ran in 1.00s ===", "0", "pytest did not say that any test passed"),
        ("it said: 3 passed", "0", "pytest did not say that any test passed"),
    ],
)
def test_either_part_fails_the_whole(tmp_path: Path, part: str, text: str, status: str, says: str) -> None:
    ended, lines = run(tmp_path, **{f"TEXT_{part}": text, f"STATUS_{part}": status})
    assert ended == 1
    failed, passed = lines[:2] if part == "test" else (lines[1], lines[0])
    assert says in failed
    assert " passed, " in passed
    assert lines[2] == ".ci/run: FAILED"


@pytest.mark.parametrize(
    "coloured", ["\x1b[32m======= \x1b[32m\x1b[1m5 passed\x1b[0m in 1.0s =======\x1b[0m"]
)
def test_what_a_part_printed_before_is_not_counted_for_it(tmp_path: Path, coloured: str) -> None:
    """The lab's part passes nothing although the first one did, and colours are no count."""
    status, lines = run(tmp_path, TEXT_lab=coloured)
    assert status == 1
    assert "make lab-test" in lines[1] and "did not say that any test passed" in lines[1]
