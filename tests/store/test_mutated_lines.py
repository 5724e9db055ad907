"""Damaged lines are read or refused; benchmarks/mutated_lines.py has a million of them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).resolve().parents[2] / "benchmarks" / "mutated_lines.py"


def test_damaged_lines_are_read_or_refused_with_a_store_error() -> None:
    done = subprocess.run([sys.executable, TOOL, "--lines", "4000"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.match(r"seed \d+\n", done.stdout)
    counts = {what: int(count) for count, what in re.findall(r"^ *(\d+) (\w+)$", done.stdout, re.MULTILINE)}
    # Both are common: a line whose damage nobody sees, and one that cannot be understood.
    assert sum(counts.values()) == 4000 and min(counts["read"], counts["refused"]) > 400


def test_an_error_that_is_not_of_the_store_fails() -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(TOOL.parent)!r}); import mutated_lines as tool\n"
        "def broken(*_):\n    raise KeyError('point_id')\n"
        "tool.read_statuses = broken\n"
        "sys.exit(tool.main(['--lines', '3', '--seed', '1']))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 1 and "KeyError: 'point_id'" in done.stdout
