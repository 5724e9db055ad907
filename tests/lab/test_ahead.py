"""Pages that come before they are touched, on real nodes: exact, few, and at the edge of what there is."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hmexp.lab import LabResult

pytestmark = [
    pytest.mark.lab,
    pytest.mark.long,
    pytest.mark.skipif(not (shutil.which("make") and shutil.which("gcc")), reason="no compiler"),
]

COST = re.compile(r"# granule 4 KiB, (.+), (shared|private): [0-9]+ ns a page .* ratio ([0-9.]+)")


def run(guest: Callable[..., LabResult], built: Path, out: Path, *names: str) -> LabResult:
    """The named tests of the module in a guest, each of which has to pass."""
    result = guest(
        f"TESTS='{' '.join(names)}' OUT={out} {built}/tests/run.sh",
        topology="module-tests",
        writable=[out],
        append="init_on_alloc=0",
        timeout_seconds=900,
    )
    print(result.text)
    assert result.status == 0, result.text + result.stderr.decode(errors="replace")
    assert result.splats == ()
    for name in names:
        assert f"{name}: passed" in result.text
    return result


def test_pages_ahead_are_exact_and_few(guest: Callable[..., LabResult], built: Path, tmp_path: Path) -> None:
    """A sequence, random touches, the switches, threads at the last pages of a node; msync and writev."""
    run(guest, built, tmp_path, "abi", "ahead", "io")
    for name in ("ahead", "io"):
        print((tmp_path / f"{name}.tap").read_text())


def test_pages_ahead_are_never_forced(guest: Callable[..., LabResult], built: Path, tmp_path: Path) -> None:
    """A full node, a cgroup at its limit, a cpuset without the node: as if there were no pages ahead."""
    run(guest, built, tmp_path, "limits")


def test_what_a_page_costs_is_told(guest: Callable[..., LabResult], built: Path, tmp_path: Path) -> None:
    """Times of an emulated processor: that each is printed, not what it is."""
    told = {(way, kind) for way, kind, _ in COST.findall(run(guest, built, tmp_path, "populate").text)}
    for way in ("touch", "touch of one page in 16"):
        assert {(way, "shared"), (way, "private")} <= told
