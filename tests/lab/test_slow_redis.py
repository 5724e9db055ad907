"""The notebook of a Redis where the emulator slows a node: measured as on hardware, and labelled."""

from __future__ import annotations

import csv
import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

import hmexp.lab
from hmexp.lab.kernels import Kernel
from hmexp.lab.slow_node import SlowNode
from hmexp.units import MIB

pytestmark = [pytest.mark.lab, pytest.mark.long]

ROOT = Path(__file__).resolve().parents[2]
SLOW = SlowNode(2, 6000, 12_000, 2 * MIB)
RATIOS = ("1:0", "1:1", "0:1")
#: Small: each of six servers is loaded and asked by an emulated CPU.
LISTS = f'ratios: {json.dumps(RATIOS)}\nreads: ["100"]\nvalues: ["1KiB"]\ndram: "0"\nslow: "2"'
GIVEN = {
    "data": "4MiB", "rate": 50, "connections": 2, "seconds": 1.0, "dump": "no", "way": "follow",
    "launches": 2, "settle_seconds": 30.0, "run": "slow",
}  # fmt: skip


def test_the_notebook_gives_its_verdict_and_says_that_it_is_emulated(
    kernel: Kernel, tmp_path: Path, redis_variables: Mapping[str, str]
) -> None:
    given = [word for name, value in GIVEN.items() for word in ("-p", name, str(value))]
    files = [str(ROOT / "notebooks" / "redis.ipynb"), str(tmp_path / "out.ipynb")]
    command = [
        sys.executable, "-m", "papermill", *files, "--no-progress-bar", "--start-timeout", "600",
        *given, "-p", "results", str(tmp_path / "results"), "-y", LISTS,
    ]  # fmt: skip
    result = hmexp.lab.run(
        shlex.join(command), kernel.release, "three-dram", 3600, writable=[tmp_path], directory=ROOT,
        environment=dict(redis_variables), slow_node=SLOW,
    )  # fmt: skip
    assert result.status == 0, result.text + result.stderr.decode(errors="replace")
    with (tmp_path / "results" / "slow" / "requests.csv").open() as file:
        rows = {row["ratio"]: row for row in csv.DictReader(file)}
    assert set(rows) == set(RATIOS)
    print(*(f"{ratio}: {row['throughput [requests/s]']} requests/s" for ratio, row in rows.items()), sep="\n")
    for row in rows.values():
        assert float(row["throughput [requests/s]"]) > 0 and float(row["misplaced_share"]) < 0.05

    cells = json.loads((tmp_path / "out.ipynb").read_text())["cells"]
    [verdict] = [cell["outputs"] for cell in cells if "".join(cell["source"]) == "study.verdict()"]
    text = "".join(
        "".join(output.get("data", {}).get("text/plain", output.get("text", ""))) for output in verdict
    )
    print(text)
    assert "emulated: lab plugin" in text.lower()
    assert "A Redis of 95 % reads or more is to keep" in text
    for ratio in RATIOS[1:]:
        assert f"{ratio}: it does" in text or f"{ratio}: open" in text
    assert "The sentence" in text or "Whether the sentence holds here is open." in text
