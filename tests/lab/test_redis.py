"""A Redis of at least 200 MiB on three nodes: placed, asked, dumped, moved, and beside a full node."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from hmexp.lab import LabResult
from hmexp.lab.kernels import Kernel

pytestmark = [pytest.mark.lab, pytest.mark.long]

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("redis_in_guest.py")


@pytest.mark.parametrize("what", ["whole", "moved", "full"])
def test_a_redis_on_hybrid_memory(
    guest: Callable[..., LabResult],
    kernel: Kernel,
    tmp_path: Path,
    redis_variables: Mapping[str, str],
    what: str,
) -> None:
    version = tuple(int(part) for part in kernel.release.split("+")[0].split("-")[0].split(".")[:2])
    # Weighted interleave is there since 6.9.
    ways = ["policy", "follow"] if version >= (6, 9) else ["follow"]
    parts = ["moved"] if what == "moved" else [f"{what}:{way}" for way in ways]
    result = guest(
        shlex.join([sys.executable, str(SCRIPT), str(tmp_path), *parts]),
        topology="three-dram",
        writable=[tmp_path],
        directory=ROOT,
        environment=dict(redis_variables),
        timeout_seconds=2400,
    )
    print(result.text)
    assert result.status == 0, result.text + result.stderr.decode(errors="replace")
    assert result.splats == ()
    assert "\nall seen" in result.text
