"""Every placer on a real kernel with three nodes: layouts, two at once, sabotage, settings."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hmexp.lab import LabResult

pytestmark = pytest.mark.lab

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("placers_in_guest.py")
EXACT = ("first_touch", "move_pages", "hybridmem", "mbind", "shared_policy", "userfaultfd")


def test_every_placer(guest: Callable[..., LabResult], built: Path, tmp_path: Path) -> None:
    """One boot for all: the script asserts, and says what it saw."""
    result = guest(
        shlex.join([sys.executable, str(SCRIPT), str(built / "hybridmem.ko"), str(tmp_path)]),
        topology="three-dram",
        writable=[tmp_path],
        directory=ROOT,
        timeout_seconds=900,
    )
    print(result.text)
    assert result.status == 0, result.text + result.stderr.decode(errors="replace")
    assert result.splats == ()
    # Four orders at three granules.
    for name in EXACT:
        assert f"\n{name}: 12 layouts proven" in result.text
    # Equal shares of pages: of the orders only 2,0.
    assert "\ninterleave: 1 layouts proven" in result.text
    if "weighted: not here: the kernel does not know MPOL_WEIGHTED_INTERLEAVE" not in result.text:
        assert "\nweighted: 4 layouts proven" in result.text
    assert "caught: wrong placement: 10 of 1024 pages are on a wrong node" in result.text
    assert "\ncaught: 5 pages below an emulated node" in result.text
    for name in ("hybridmem", "weighted", "userfaultfd"):
        assert f"\n{name} refuses: " in result.text
    for name in ("SIGINT", "SIGTERM", "SIGKILL"):
        assert f"\na sweep ended by {name} left the settings as before" in result.text
    assert "\nall seen" in result.text
