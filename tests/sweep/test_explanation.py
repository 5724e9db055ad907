"""`hmexp sweep --explain`: what it prints is what is measured then."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hmexp.experiment.pace import Span
from hmexp.store.reader import POINTS, read_points
from hmexp.sweep.explanation import explain
from hmexp.sweep.pace import Pace
from hmexp.sweep.parameters import SweepParameters
from hmexp.sweep.plan import make_plan
from hmexp.sweep.run import run_sweep
from hmexp.system.cpus import allowed_cpus
from hmexp.system.topology import Node, NodeKind, Topology, read_topology

GIB = 1 << 30
SMALL = "--patterns 0 0,2 --operations read --size 1MiB --launches 2 --samples 2 --sample-seconds 0.001"
PACE = Pace(1.0, 1e-9, 2e-9, {})


class Silent:
    def show(self, progress: object) -> None:
        pass


def test_explain_tells_and_measures_nothing(tmp_path: Path, run_hmexp: Callable[..., Any]) -> None:
    given = [*SMALL.split(), "--placers", "first_touch", "interleave", "--results", str(tmp_path / "none")]
    done = run_hmexp("sweep", "--explain", *given)
    assert done.status == 0, done.stderr
    assert not (tmp_path / "none").exists()
    assert "4 points; 8 launches." in done.stdout
    assert re.search(r"^  patterns +0  0,2$", done.stdout, re.MULTILINE)
    assert re.search(r"^  placers +first_touch  interleave$", done.stdout, re.MULTILINE)
    assert re.search(r"Memory on node 0: 1MiB needed, .* free\.", done.stdout)
    assert re.search(r"Estimated time: \d+ (s|min) to \d+ (s|min) \(an estimate: ", done.stdout)


def test_of_a_run_that_is_gone_on_with_it_tells_the_rest_and_uses_what_its_launches_took(
    tmp_path: Path,
) -> None:
    given = {
        "patterns": ["0", "0,2"], "operations": ["read"], "size": "1MiB", "launches": 1, "samples": 2,
        "sample_seconds": 0.001, "precision": 0, "results": str(tmp_path), "run": "mine",
    }  # fmt: skip
    plan = make_plan(SweepParameters.from_mapping(given), read_topology())
    assert explain(plan, PACE).run is None
    path = run_sweep(plan, Silent(), lambda _: None).path
    explanation = explain(plan, PACE)
    assert (explanation.run, explanation.finished, explanation.points) == ("mine", 2, 2)
    assert "Nothing is left to do." in str(explanation)
    pace = PACE.with_records(read_points(path / POINTS).values())
    took = [record.elapsed_seconds for record in read_points(path / POINTS).values()]
    assert pace.of(plan.points[0]) == Span(min(took) + 1.0, max(took) + 1.0)


def test_what_cannot_be_measured_as_things_are_is_told_with_its_reason() -> None:
    full = Topology(
        (
            Node(0, NodeKind.DRAM, allowed_cpus(), 8 * GIB, 1 * GIB, {0: 10, 2: 20}),
            Node(2, NodeKind.CXL, (), 8 * GIB, 8 * GIB, {0: 20, 2: 10}),
        )
    )
    given = {"patterns": ["0", "2", "0,0,2"], "operations": ["read"], "size": "2GiB"}
    plan = make_plan(SweepParameters.from_mapping(given | {"placers": ["first_touch", "interleave"]}), full)
    explanation = explain(plan, PACE)
    assert explanation.memory == {0: (2 * GIB, 1 * GIB), 2: (2 * GIB, 8 * GIB)}
    reasons = "\n".join(f"{count} {why}" for why, count in explanation.not_measured.items())
    assert re.search(r"^2 .*needs 2GiB on node 0, which has free 1GiB", reasons, re.MULTILINE)
    assert re.search(r"^1 interleave: ", reasons, re.MULTILINE)
    assert "TOO LITTLE" in str(explanation)


@pytest.mark.parametrize("precision", [0, 0.01])
def test_more_launches_more_samples_and_larger_regions_take_longer(precision: float) -> None:
    def seconds(**values: object) -> Span:
        given = {"patterns": ["0"], "operations": ["read"], "precision": precision} | values
        topology = Topology((Node(0, NodeKind.DRAM, allowed_cpus(), 8 * GIB, 7 * GIB, {0: 10}),))
        return explain(make_plan(SweepParameters.from_mapping(given), topology), PACE).seconds

    usual = seconds()
    assert 0 < usual.low <= usual.high
    assert seconds(launches=6).low > usual.low
    assert seconds(samples=50).low > usual.low
    assert seconds(size="1GiB").low > usual.low
