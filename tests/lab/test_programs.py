"""`hmexp run` on a machine with several nodes: policies exact and in shares, weights, Redis, full nodes."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from hmexp.lab import LabResult

pytestmark = [pytest.mark.lab, pytest.mark.long]

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("programs_in_guest.py")
#: What the guest runs, and a file that each package brings.
PACKAGES = {
    "redis-server": "/usr/bin/redis-server",
    "numactl": "/usr/bin/numactl",
    "libjemalloc2": "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2",
}


def test_programs(
    guest: Callable[..., LabResult],
    built: Path,
    lay_over: Callable[[Mapping[str, str]], tuple[Path, str]],
    tmp_path: Path,
) -> None:
    """One boot for all of it; the guest says what it saw."""
    _, link = lay_over(PACKAGES)
    script = shlex.join([sys.executable, str(SCRIPT), str(tmp_path), str(built / "hybridmem.ko")])
    result = guest(
        f"{link} && {script}",
        topology="dram-nvm",
        writable=[tmp_path],
        directory=ROOT,
        timeout_seconds=1800,
    )
    print(result.text)
    assert result.status == 0, result.text + result.stderr.decode(errors="replace")
    assert result.splats == ()
    assert "\nall seen" in result.text
