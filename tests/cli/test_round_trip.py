"""A machine's memory as data, the whole way: capture, export, import, emulate, sweep, compare.

What is checked is that each step takes what the one before wrote, what it says, and that nothing passes for
real that is emulated. Whether the figures agree depends on a quiet machine: `benchmarks/round_trip.py`.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hmexp.system.topology import read_topology

NODE = read_topology().memory_nodes[0].id
SWEEP = (
    "sweep", "--patterns", str(NODE), "9", "--operations", "read", "write", "latency", "--size", "2MiB",
    "--launches", "2", "--samples", "2", "--sample-seconds", "0.001", "--precision", "0", "--threads", "1",
    "--results", "results",
)  # fmt: skip


def test_a_captured_machine_is_emulated_swept_and_compared(
    run_hmexp: Callable[..., Any], tmp_path: Path
) -> None:
    done = run_hmexp(*SWEEP, "--emulate", "9=optane-dcpmm", "--run", "here")
    assert done.status == 0, done.stderr
    done = run_hmexp("profile", "export", "results/here", "-o", "bundle.json")
    assert done.status == 0 and "Written: bundle.json" in done.stderr + done.stdout

    done = run_hmexp("profile", "import", "bundle.json", "-o", "it.toml")
    assert done.status == 0, done.stderr
    assert "--emulate 2=it.toml" in done.stderr + done.stdout
    done = run_hmexp("profile", "capture", "results/here", "-o", "own.toml")
    assert done.status == 0, done.stderr
    own, imported = (tomllib.loads(Path(name).read_text()) for name in ("own.toml", "it.toml"))
    assert (own["dram"], own["slow"]) == (imported["dram"], imported["slow"])
    assert own["slow"]["intervals"] and imported["title"].startswith("EMULATED")

    done = run_hmexp(*SWEEP, "--emulate", "9=it.toml", "--run", "there")
    assert done.status == 0, done.stderr
    # What the slow node of the captured run must show was optane's; here it is what was measured there.
    emulation = json.loads(Path("results/there/run.json").read_text())["emulation"]
    assert emulation["profile"]["slow"]["read_gbps"] == own["slow"]["read_gbps"]
    scale, shown = emulation["scale"], emulation["nodes"]["9"]
    assert shown["latency_ns"] == pytest.approx(scale["latency"] * own["slow"]["latency_ns"])

    done = run_hmexp("compare", "results/here", "results/there")
    assert done.status == 1 and "hmexp compare --of-profile" in done.stdout
    done = run_hmexp("compare", "results/here", "results/there", "--of-profile", "--json")
    assert done.status == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found["points"]) == 6 and found["counts"]["not comparable"] == 0
    assert found["labels"] == [
        "A: EMULATED node 9: optane-dcpmm scaled to this host", "B: EMULATED node 9: it scaled to this host",
    ]  # fmt: skip
    # The profile was made of A's points: A is as far from it as not at all.
    records = [json.loads(line) for line in Path("results/there/points.jsonl").read_text().splitlines()]
    own_errors = {r["point_id"]: r["result"]["median"] / r["model"]["value"] for r in records}
    for point in found["points"]:
        assert point["quotient"] == pytest.approx(own_errors[point["b"]])
