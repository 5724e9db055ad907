"""Every placer on a real kernel with three nodes: layouts, two at once, sabotage, settings."""

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
SCRIPT = Path(__file__).with_name("placers_in_guest.py")
#: Takes weights, is killed while it has them, and lets the next one put them back.
AUTOMATIC = """
import os, signal, time
import hmexp
from hmexp.system.settings import HERE, interleave_weights, repair
from hmexp.system.sysfs import read_text
nodes, modes = HERE.weight_files()
def values():
    return {path.name: read_text(path) for path in (*nodes.values(), *modes)}
before = values()
assert [read_text(path) for path in modes] == ["true"] and HERE.one_way_mode() is None, before
near, far = sorted(nodes)
with hmexp.allocate("4MiB", f"{near},{far},{far}", "weighted") as region:
    region.placement().require()
assert values() == before, values()
pid = os.fork()
if pid == 0:
    with interleave_weights({near: 7}):
        time.sleep(60)
while values()[f"node{near}"] != "7":
    time.sleep(0.05)
assert [read_text(path) for path in modes] == ["false"]
os.kill(pid, signal.SIGKILL)
os.waitpid(pid, 0)
assert len(repair()) == 2
assert values() == before, values()
print("automatic again:", before)
"""
EXACT = ("first_touch", "move_pages", "hybridmem", "mbind", "shared_policy", "userfaultfd")


def test_automatic_weights_are_automatic_again(
    guest: Callable[..., LabResult], kernel: Kernel, tmp_path: Path
) -> None:
    """Where the firmware tells bandwidths (HMAT) a kernel that makes weights of them can be made to again."""
    version = tuple(int(part) for part in kernel.release.split("+")[0].split("-")[0].split(".")[:2])
    if version < (6, 16):
        # They came with Linux 6.16; `make lab-test` runs this on 7.3.
        pytest.skip(f"Linux {kernel.release} has no automatic weights")
    script = tmp_path / "automatic.py"
    script.write_text(AUTOMATIC)
    result = guest(shlex.join([sys.executable, str(script)]), topology="hmat", directory=ROOT)
    assert result.status == 0, result.text + result.stderr.decode(errors="replace")
    assert "automatic again: {'node0':" in result.text
    assert result.splats == ()


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
