"""stress-ng on the device itself, and with its memory on the device by the preload library."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from hmexp.lab import LabResult

pytestmark = [
    pytest.mark.lab,
    pytest.mark.long,
    pytest.mark.skipif(not (shutil.which("make") and shutil.which("gcc")), reason="no compiler"),
]

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("stressors_in_guest.py")
#: What the guest runs, and a file that the package brings.
PACKAGES = {"stress-ng": "/usr/bin/stress-ng"}
#: Of each of five stressors [s].
SECONDS = os.environ.get("HMEXP_LAB_STRESSOR", "20")


def test_stressors_leave_data_and_kernel_whole(
    guest: Callable[..., LabResult],
    built: Path,
    lay_over: Callable[[Mapping[str, str]], tuple[Path, str]],
) -> None:
    """Their verification finds nothing, pages came from the device, none is left, and the log is clean."""
    _, link = lay_over(PACKAGES)
    script = shlex.join([sys.executable, str(SCRIPT), str(built / "hybridmem.ko"), SECONDS])
    result = guest(f"{link} && {script}", topology="module-tests", directory=ROOT, timeout_seconds=2400)
    print(result.text)
    assert result.status == 0, result.text + result.stderr.decode(errors="replace")
    assert result.splats == ()
    assert result.text.endswith("ok the module unloads\n0 not ok\n")
