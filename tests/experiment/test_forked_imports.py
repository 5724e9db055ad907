"""A worker that is forked has imported all it needs: a child would do so anew for each launch."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hmexp.experiment.task import encode_task
from hmexp.sweep.parameters import SweepParameters
from hmexp.sweep.plan import make_plan
from hmexp.system.near import near_dram
from hmexp.system.topology import read_topology

SCRIPT = """
import sys
from hmexp.experiment import worker
from hmexp.experiment.kinds import import_loops
import_loops()
before = set(sys.modules)
answer = worker.answer(sys.stdin.buffer.read())
assert b'"status":"ok"' in answer, answer
print(sorted(set(sys.modules) - before))
"""


@pytest.mark.parametrize("operation", ["read", "write_nt", "latency"])
def test_a_launch_imports_nothing_more(operation: str) -> None:
    topology = read_topology()
    given = {
        "patterns": [str(near_dram(topology))], "operations": [operation], "threads": [1], "size": "4MiB",
        "samples": 3, "sample_seconds": 0.002, "emulate": "none", "shapes": "plain",
    }  # fmt: skip
    plan = make_plan(SweepParameters.from_mapping(given), topology)
    task = encode_task(plan.task(plan.points[0], None, 0))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], input=task, capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode() == "[]\n"
