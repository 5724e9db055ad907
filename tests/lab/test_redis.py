"""A Redis of at least 200 MiB on three nodes: placed, asked, dumped, moved, and beside a full node."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from hmexp.lab import LabResult
from hmexp.lab.errors import LabNeedError
from hmexp.lab.kernels import Kernel
from hmexp.lab.tools import fetch_unpacked
from hmexp.program.client.build import build_client

pytestmark = [pytest.mark.lab, pytest.mark.long]

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("redis_in_guest.py")
PACKAGES = ("redis-server", "libhiredis-dev")


@pytest.fixture(scope="module")
def redis_variables() -> Mapping[str, str]:
    """Where the guest finds Redis: the machine's own, or unpacked beside the system; the client is built."""
    if shutil.which("redis-server") is not None and Path("/usr/include/hiredis/hiredis.h").exists():
        build_client()
        return {}
    try:
        tree = fetch_unpacked(PACKAGES)
    except LabNeedError as error:
        if os.environ.get("HMEXP_LAB_REQUIRED"):
            raise
        # A developer without a network; CI sets HMEXP_LAB_REQUIRED, which makes this a failure.
        pytest.skip(f"no Redis for the lab here: {error.message}")
    libraries = str(tree / "usr/lib/x86_64-linux-gnu")
    variables = {
        "PATH": f"{tree}/usr/bin:{os.environ['PATH']}",
        "LD_LIBRARY_PATH": libraries,
        "LIBRARY_PATH": libraries,
        "CPATH": str(tree / "usr/include"),
    }
    with pytest.MonkeyPatch.context() as patched:
        for name, value in variables.items():
            patched.setenv(name, value)
        build_client()
    return variables


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
