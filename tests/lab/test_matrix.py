"""`hmexp matrix` where the firmware is wrong: the memory of the lab is equally fast, whatever HMAT says."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hmexp.lab import LabResult

pytestmark = pytest.mark.lab

ROOT = Path(__file__).resolve().parents[2]


def test_the_matrix_says_that_the_firmware_is_wrong(guest: Callable[..., LabResult], tmp_path: Path) -> None:
    options = "--size 4MiB --launches 3 --samples 2 --sample-seconds 0.01 --precision 0 --threads 1 --json"
    measured = ("matrix", "--operations", "read", "latency", *options.split(), "--results", str(tmp_path))
    result = guest(
        shlex.join([sys.executable, "-m", "hmexp", *measured]),
        topology="hmat",
        writable=[tmp_path],
        directory=ROOT,
        timeout_seconds=900,
    )
    assert result.status == 0, result.text + result.stderr.decode(errors="replace")
    assert result.splats == ()
    [line] = [line for line in result.text.splitlines() if line.startswith("{")]
    found = json.loads(line)
    # Both nodes from the CPUs of the one that has some; each cell proven, or it would be missing.
    assert {(c["initiator"], c["node"], c["operation"]) for c in found["cells"]} == {
        (0, node, operation) for node in (0, 1) for operation in ("read", "latency")
    }
    assert found["missing"] == []
    claims = {claim["node"]: claim for claim in found["claims"]["nodes"]}
    assert claims[1]["initiators"] == [0] and claims[1]["read_latency_ns"] == 300
    texts = [each["text"] for each in found["disagreements"]]
    assert any("The firmware gives node 0 a read bandwidth of" in text for text in texts), texts
    if not result.timing_valid:
        assert found["labels"] == ["functional only: software emulation, timings not valid"]
