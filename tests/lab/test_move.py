"""`hmexp move` and `hmexp run --via follow` on real kernels with several nodes: programs that check
themselves, and a Redis under load.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hmexp.lab import LabResult
from hmexp.lab.errors import LabNeedError

pytestmark = [pytest.mark.lab, pytest.mark.long]

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
#: Scripts, and parts of them, by boot: each boot takes some minutes without KVM.
BOOTS = {
    "moves": ("move_in_guest.py", "plain", "killed", "ending", "pinned", "growing", "refused"),
    "hostile": ("move_in_guest.py", "hostile", "huge", "rejoined", "full", "balanced"),
    "followed": ("follow_in_guest.py",),
}


def need(program: str, package: str) -> None:
    if shutil.which(program) is None:
        if os.environ.get("HMEXP_LAB_REQUIRED"):
            raise LabNeedError(f"no {program}", f"apt-get install {package}")
        # A developer may have none; CI sets HMEXP_LAB_REQUIRED, which makes this a failure.
        pytest.skip(f"no {program}")


@pytest.mark.parametrize("boot", BOOTS)
def test_programs_that_check_themselves(guest: Callable[..., LabResult], tmp_path: Path, boot: str) -> None:
    need("gcc", "gcc")
    program = tmp_path / "moved_program"
    flags = ["-O1", "-Wall", "-Wextra", "-Werror", "-pthread"]
    subprocess.run(["gcc", *flags, "-o", program, HERE / "moved_program.c"], check=True)
    name, *parts = BOOTS[boot]
    script = [sys.executable, str(HERE / name), str(tmp_path), str(program), *parts]
    result = guest(
        shlex.join(script), topology="three-dram", writable=[tmp_path], directory=ROOT, timeout_seconds=1800
    )
    print(result.text)
    assert result.status == 0, result.text + result.stderr.decode(errors="replace")
    assert result.splats == ()
    assert "\nall seen" in result.text


def test_a_redis_under_load(guest: Callable[..., LabResult], tmp_path: Path) -> None:
    need("redis-server", "redis-server")
    script = [sys.executable, str(HERE / "move_redis_in_guest.py"), str(tmp_path)]
    result = guest(
        shlex.join(script), topology="three-dram", writable=[tmp_path], directory=ROOT, timeout_seconds=1800
    )
    print(result.text)
    assert result.status == 0, result.text + result.stderr.decode(errors="replace")
    assert result.splats == ()
    assert "none failed, digest as before" in result.text and "\nall seen" in result.text
