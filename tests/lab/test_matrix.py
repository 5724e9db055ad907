"""`hmexp matrix` where the firmware is wrong: the memory of the lab is equally fast, whatever HMAT says."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from hmexp.lab import LabResult

pytestmark = pytest.mark.lab

ROOT = Path(__file__).resolve().parents[2]


class Case(NamedTuple):
    """A topology; what its firmware claims of a node, and the words in which that is called wrong."""

    topology: str
    initiators: tuple[int, ...]
    nodes: tuple[int, ...]
    node: int
    nearest: list[int]
    read_gbps: float
    read_latency_ns: float
    words: str


# Bandwidths are written in units of 1024 x 1024 bytes a second there; Linux passes the number on as MB/s.
CASES = (
    Case("hmat", (0,), (0, 1), 1, [0], 30.72, 300,
         "The firmware gives node 0 a read bandwidth of 102.4 GB/s; measured"),
    # The NVDIMM is called the fast node, and near the CPUs of node 1.
    Case("hmat-false", (0, 1), (0, 1, 2), 2, [1], 102.4, 80,
         "The firmware gives node 2 a read bandwidth of 102.4 GB/s; measured from node 1"),
)  # fmt: skip


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=[pytest.mark.long] * (len(case.nodes) > 2), id=case.topology)
        for case in CASES
    ],
)
def test_the_matrix_says_that_the_firmware_is_wrong(
    guest: Callable[..., LabResult], tmp_path: Path, case: Case
) -> None:
    options = "--size 4MiB --launches 3 --samples 2 --sample-seconds 0.01 --precision 0 --threads 1 --json"
    measured = ("matrix", "--operations", "read", "latency", *options.split(), "--results", str(tmp_path))
    result = guest(
        shlex.join([sys.executable, "-m", "hmexp", *measured]),
        topology=case.topology,
        writable=[tmp_path],
        directory=ROOT,
        timeout_seconds=1800,
    )
    assert result.status == 0, result.text + result.stderr.decode(errors="replace")
    assert result.splats == ()
    [line] = [line for line in result.text.splitlines() if line.startswith("{")]
    found: dict[str, Any] = json.loads(line)
    # Every node from the CPUs of every one that has some; each cell proven, or it would be missing.
    assert {(c["initiator"], c["node"], c["operation"]) for c in found["cells"]} == {
        (initiator, node, operation)
        for initiator in case.initiators
        for node in case.nodes
        for operation in ("read", "latency")
    }
    assert found["missing"] == []
    claim = next(each for each in found["claims"]["nodes"] if each["node"] == case.node)
    assert claim["initiators"] == case.nearest
    assert (claim["read_gbps"], claim["read_latency_ns"]) == (case.read_gbps, case.read_latency_ns)
    texts = [each["text"] for each in found["disagreements"]]
    print(case.topology, *texts, sep="\n  ")
    assert any(case.words in text for text in texts), texts
    if not result.timing_valid:
        assert found["labels"] == ["functional only: software emulation, timings not valid"]
