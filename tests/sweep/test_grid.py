"""The axes of a sweep beside the patterns: sizes, access orders, CPU nodes. Measured where that is quick."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from hmexp.errors import ParameterError
from hmexp.report.figures.layout import Layout
from hmexp.report.run.point import Point
from hmexp.report.run.results import Results
from hmexp.store.parameters import LoopPoint
from hmexp.store.reader import convert_point, read_run
from hmexp.store.schema import ID_VERSION
from hmexp.sweep.parameters import SweepParameters
from hmexp.sweep.plan import SweepPlan, make_plan
from hmexp.sweep.point import SweepPoint, hash_of
from hmexp.sweep.run import run_sweep
from hmexp.system.cpus import allowed_cpus
from hmexp.system.topology import Node, NodeKind, Topology, read_topology

ROOT = Path(__file__).resolve().parents[2]
GIB = 1 << 30
CPUS = allowed_cpus()
SOCKETS = Topology(
    (
        Node(0, NodeKind.DRAM, CPUS[:1], 8 * GIB, 7 * GIB, {0: 10, 1: 21}),
        Node(1, NodeKind.DRAM, CPUS[1:], 8 * GIB, 8 * GIB, {0: 21, 1: 10}),
        Node(2, NodeKind.CXL, (), 8 * GIB, 8 * GIB, {0: 21, 1: 31, 2: 10}),
    )
)


class Silent:
    def show(self, progress: object) -> None:
        pass


def access(point: Point) -> str | None:
    assert isinstance(point.record.parameters, LoopPoint)
    return point.record.parameters.access


def plan(topology: Topology, **values: Any) -> SweepPlan:
    return make_plan(SweepParameters.from_mapping(values), topology)


def test_points_keep_the_names_that_they_had_before_there_were_these_axes() -> None:
    point = plan(SOCKETS, patterns=["0,2"], operations=["read"]).points[0]
    values = dataclasses.asdict(point)
    assert values.pop("access") == "sequential" and values.pop("cpu_node") == "near"
    assert point.id == SweepPoint(**values).id == hash_of({"schema": ID_VERSION, **values})


def test_sizes_and_orders_make_points_and_latency_is_measured_once_a_size(tmp_path: Path) -> None:
    made = plan(
        read_topology(), size="1MiB,2MiB", patterns=["0,2"], operations=["read", "latency"], threads=1,
        access=["sequential", "random_line", "strided:4KiB", "strided:8KiB"], launches=1, samples=2,
        precision=0, sample_seconds=0.001, results=str(tmp_path),
    )  # fmt: skip
    by_id = {point.id: point for point in made.points}
    for id_, baseline in made.baselines.items():
        one, other = by_id[id_], by_id[baseline]
        assert (one.size_bytes, one.access, one.cpu_node) == (other.size_bytes, other.access, other.cpu_node)
    outcome = run_sweep(made, Silent(), lambda _: None)
    outcome.require_complete()
    records = [json.loads(line) for line in (outcome.path / "points.jsonl").read_text().splitlines()]
    reads = [r for r in records if r["parameters"]["operation"] == "read" and not r["added"]]
    assert {(r["parameters"]["size_bytes"] >> 20, r["parameters"]["access"]) for r in reads} == {
        (size, access)
        for size in (1, 2)
        for access in ("sequential", "random_line", "strided", "strided:8KiB")
    }
    for record in reads:
        details = record["result"]["details"]
        order, _, stride = record["parameters"]["access"].partition(":")
        assert details["access"] == order
        assert details["stride_bytes"] == (None if order != "strided" else 8192 if stride else 4096)
        assert record["proof"]["after"]["pages"] * 4096 == record["parameters"]["size_bytes"]
    chases = [r["parameters"] for r in records if r["parameters"]["operation"] == "latency"]
    assert len(chases) == 4 and {p["access"] for p in chases} == {None}  # two sizes, with all DRAM beside

    # No two of them are one curve, and none is drawn in the colour and panel of another.
    results = Results.load(outcome.path)
    points = results.select("read")
    assert all({access(p) for p in results.peers(q)} == {access(q)} for q in points)
    layout = Layout.of(results, points)
    asked = [p for p in points if not p.added]
    places = {(layout.colour(p), next(row for row in layout.rows if layout.holds(row, p))) for p in asked}
    assert len(places) == len(asked) == 8


def test_old_and_new_records_are_of_one_series() -> None:
    example = ROOT / "results" / "example"
    lines = (example / "points.jsonl").read_text().splitlines()
    new = next(record for line in lines if (record := json.loads(line))["parameters"]["operation"] == "read")
    parameters = dict(new["parameters"])
    assert (parameters.pop("access"), parameters.pop("cpu_node")) == ("sequential", "near")
    old = new | {"parameters": parameters}
    run = read_run(example)
    records = [convert_point(record) for record in (old, new)]
    one, other = (Results.from_records([record], run).points[0] for record in records)
    assert one.series == other.series


@pytest.mark.skipif(len(CPUS) < 2, reason="one CPU cannot be on two nodes; CI has two")
def test_threads_run_on_the_cpus_of_the_node_that_was_asked_for() -> None:
    made = plan(
        SOCKETS, patterns=["0,2"], operations=["read", "latency"], cpu_nodes=["near", 1], threads=1,
        emulate="none",
    )  # fmt: skip
    assert {p.cpu_node for p in made.points} == {"near", "1"}
    for point in made.points:
        assert made.cpus_of(point) == (CPUS[:1] if point.cpu_node == "near" else CPUS[1:2])
    assert len(made.added) == 4  # an all-DRAM point from each node


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"access": ["backwards"]}, "'backwards' is unknown.*random_granule.*strided:8KiB"),
        ({"access": ["random_line:8KiB"]}, "is unknown"),
        ({"access": ["strided:100"]}, "multiple of 64"),
        ({"access": ["strided:wide"]}, "strided:wide.*not a number"),
        ({"access": ["strided:2MiB"], "size": "1MiB"}, "stride of 2MiB is more than the 1MiB"),
        ({"access": []}, "access is an empty list"),
        ({"size": "1MiB,"}, "size ''"),
        ({"size": ["1MiB", "2 apples"]}, "apples"),
        ({"cpu_nodes": ["2"]}, "'2' is not a node with CPUs.*use near, or one or more of: 0, 1"),
        ({"cpu_nodes": ["far"]}, "'far' is not a node with CPUs"),
        ({"cpu_nodes": ["1"], "threads": len(CPUS)}, "beyond the CPUs of node 1"),
        ({"cpu_nodes": ["1"], "threads": len(CPUS) - 1, "operations": ["loaded"]}, "CPUs of node 1"),
    ],
)
@pytest.mark.skipif(len(CPUS) < 2, reason="one CPU cannot be on two nodes; CI has two")
def test_what_cannot_be_done_is_refused(values: dict[str, Any], says: str) -> None:
    import re

    given = {"patterns": ["0"], "operations": ["read"], "threads": 1, "emulate": "none"} | values
    with pytest.raises(ParameterError) as caught:
        plan(SOCKETS, **given)
    assert re.search(says, str(caught.value), re.DOTALL), str(caught.value)
