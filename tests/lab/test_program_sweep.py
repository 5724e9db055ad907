"""`hmexp program` and `hmexp predict` on a machine with two nodes."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hmexp.lab import LabResult

pytestmark = [pytest.mark.lab, pytest.mark.long]

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("program_sweep_in_guest.py")


def test_a_sweep_over_a_program(guest: Callable[..., LabResult], tmp_path: Path) -> None:
    """One boot for all of it; the guest says what it saw."""
    result = guest(
        shlex.join([sys.executable, str(SCRIPT), str(tmp_path)]),
        topology="dram-nvm",
        writable=[tmp_path],
        directory=ROOT,
        timeout_seconds=1800,
    )
    print(result.text)
    assert result.status == 0, result.text + result.stderr.decode(errors="replace")
    assert result.splats == ()
    assert "\nall seen" in result.text
