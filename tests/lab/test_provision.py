"""`hmexp provision` on a real kernel, from raw memory: to nodes, twice, in use, and back."""

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
SCRIPT = Path(__file__).with_name("provision_in_guest.py")
KILLED = Path(__file__).with_name("provision_killed_in_guest.py")


@pytest.mark.parametrize(("topology", "kind", "nodes"), [("nvdimm-raw", "nvm", 2), ("cxl-raw", "cxl", 1)])
def test_from_raw_to_nodes_and_back(
    guest: Callable[..., LabResult], kernel: Kernel, built: Path, topology: str, kind: str, nodes: int
) -> None:
    version = _version(kernel)
    if kind == "cxl":
        _require_cxl_regions(kernel)
    placers = ["first_touch", "hybridmem", *(["weighted"] if version >= (6, 9) else [])]
    result = guest(
        shlex.join([sys.executable, str(SCRIPT), kind, str(built / "hybridmem.ko"), *placers]),
        topology=topology,
        directory=ROOT,
        timeout_seconds=900,
    )
    print(result.text)
    assert result.status == 0, result.text + result.stderr.decode(errors="replace")
    assert f"{nodes} nodes are {kind}" in result.text
    assert ("by the other model of devices" in result.text) is (version < (5, 18))
    assert "memory in use stops the undo" in result.text
    assert result.text.rstrip().endswith("devdax again")
    assert result.splats == ()


@pytest.mark.long
@pytest.mark.parametrize(
    ("where", "what"),
    [("between", "raw"), ("within", "raw"), ("through", "raw"), ("through", "labels"), ("between", "cxl")],
)
def test_killed(guest: Callable[..., LabResult], kernel: Kernel, where: str, what: str) -> None:
    """With -9, between things and while ndctl and daxctl work: the next command says where, and completes."""
    if what == "cxl":
        _require_cxl_regions(kernel)
    result = guest(
        shlex.join([sys.executable, str(KILLED), where, what]),
        topology="cxl-raw" if what == "cxl" else "nvdimm-raw",
        directory=ROOT,
        timeout_seconds=1800,
    )
    print(result.text)
    assert result.status == 0, result.text + result.stderr.decode(errors="replace")
    assert "\nall seen" in result.text
    assert result.splats == ()


def _version(kernel: Kernel) -> tuple[int, ...]:
    return tuple(int(part) for part in kernel.release.split("+")[0].split("-")[0].split(".")[:2])


def _require_cxl_regions(kernel: Kernel) -> None:
    if _version(kernel) < (6, 3):
        # Regions of volatile CXL memory came with Linux 6.3; `make lab-test` runs this on 6.12 and 7.3.
        pytest.skip(f"Linux {kernel.release} makes no regions of volatile CXL memory")
