"""`hmexp weights --apply` on a real kernel: set, verified, undone, and killed at many moments."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hmexp.lab import LabResult
from hmexp.lab.kernels import Kernel

pytestmark = pytest.mark.lab

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("weights_in_guest.py")
OLD = """
import json, subprocess, sys
done = subprocess.run(
    [sys.executable, "-m", "hmexp", "weights", "--profile", "cxl-expander", "--nodes", "0,1", "--apply"],
    capture_output=True, text=True,
)
print(done.returncode, done.stderr)
"""


def _version(kernel: Kernel) -> tuple[int, ...]:
    return tuple(int(part) for part in kernel.release.split("+")[0].split("-")[0].split(".")[:2])


@pytest.mark.parametrize("kills", [0, 2])
def test_applied_verified_undone_and_killed(
    guest: Callable[..., LabResult], kernel: Kernel, tmp_path: Path, kills: int
) -> None:
    """Killed while they are set, without verifying; and killed while they are verified."""
    if _version(kernel) < (6, 9):
        # What `--apply` says there is the next test's.
        pytest.skip(f"Linux {kernel.release} has no weighted interleave")
    result = guest(
        shlex.join([sys.executable, str(SCRIPT), str(tmp_path), str(kills)]),
        topology="hmat",
        writable=[tmp_path],
        directory=ROOT,
        timeout_seconds=1800,
    )
    print(result.text)
    assert result.status == 0, result.text + result.stderr.decode(errors="replace")
    assert result.splats == ()
    assert "\nall seen" in result.text
    # Linux 6.16 and later begin with automatic weights of the HMAT.
    assert ("the kernel's automatic weights are those" in result.text) is (_version(kernel) >= (6, 16))


def test_an_older_kernel_is_refused(guest: Callable[..., LabResult], kernel: Kernel, tmp_path: Path) -> None:
    if _version(kernel) >= (6, 9):
        # These have it: the test above.
        pytest.skip(f"Linux {kernel.release} has weighted interleave")
    script = tmp_path / "old.py"
    script.write_text(OLD)
    result = guest(shlex.join([sys.executable, str(script)]), topology="dram-nvm", directory=ROOT)
    assert result.status == 0, result.text
    assert "\n2 hmexp: weights cannot be set here: the kernel does not know" in "\n" + result.text
    assert "boot Linux 6.9 or later" in result.text
