"""`hmexp placement` on several nodes of a real kernel: every page as the program finds it itself."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hmexp.lab import LabResult

pytestmark = pytest.mark.lab

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("placement_in_guest.py")


def test_pages_on_several_nodes(guest: Callable[..., LabResult]) -> None:
    """In place, misplaced, huge, merged, swapped, zero, shared with a child; looked at in three ways."""
    result = guest(
        shlex.join([sys.executable, str(SCRIPT)]), topology="dram-nvm", directory=ROOT, timeout_seconds=900
    )
    print(result.text)
    assert result.status == 0, result.text + result.stderr.decode(errors="replace")
    assert result.splats == ()
    assert "against 0,2,2: 2900 in place, 100 misplaced" in result.text
    assert "\nall seen" in result.text
