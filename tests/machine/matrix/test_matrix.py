"""`hmexp matrix` on the nodes that this machine has: measured, stored, shown again, and refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hmexp.errors import CapacityError, ParameterError, StoreError
from hmexp.machine.matrix.axes import find_points
from hmexp.machine.matrix.plan import MatrixParameters, make_matrix
from hmexp.machine.matrix.value import Matrix
from hmexp.memory.placers import PLACERS
from hmexp.sweep.calibration import calibrated_points
from hmexp.sweep.point import SweepPoint
from hmexp.system.cpus import allowed_cpus
from hmexp.system.topology import Node, NodeKind, Topology, read_topology
from tests.cli.conftest import Run, run  # noqa: F401 - a fixture

SMALL = (
    "--operations", "read", "latency", "--size", "1MiB", "--launches", "2", "--samples", "2",
    "--sample-seconds", "0.001", "--precision", "0", "--threads", "1",
)  # fmt: skip
GIB = 1 << 30


def test_measured_stored_and_shown_again(run: Run, tmp_path: Path) -> None:  # noqa: F811
    done = run("matrix", *SMALL, "--results", str(tmp_path))
    assert done.status == 0, done.stderr
    [folder] = tmp_path.glob("matrix-*")
    assert "read [GB/s], median and 95 % interval over launches" in done.stdout
    assert "Beside what firmware and kernel claim:" in done.stdout
    files = {path.name for path in folder.rglob("*") if path.is_file()}
    assert {"matrix.csv", "disagreements.csv", "matrix.svg", "matrix.png", "run.json"} <= files

    again = json.loads(run("matrix", "--from", str(folder), "--json").stdout)
    matrix = Matrix.load(folder)
    nodes = [node.id for node in read_topology().memory_nodes]
    assert {(each["initiator"], each["node"]) for each in again["cells"]} >= {(nodes[0], nodes[0])}
    assert {each["unit"] for each in again["cells"]} == {"GB/s", "ns"}
    assert run("compare", str(folder), str(folder)).status == 0
    assert len(again["cells"]) == len(matrix.cells) and matrix.operations == ("read", "latency")
    assert matrix.claims is not None and [claim.node for claim in matrix.claims.nodes] == nodes
    found = matrix.cell(nodes[0], nodes[0], "latency")
    assert found is not None and found.unit == "ns" and found.low <= found.median <= found.high
    assert "read [GB/s]" in matrix._repr_html_()
    assert run("report", str(folder)).status == 0

    resumed = run("matrix", *SMALL, "--results", str(tmp_path), "--run", folder.name)
    assert resumed.status == 0 and len(list(tmp_path.glob("matrix-*"))) == 1


def test_the_run_of_something_else_is_refused(run: Run, example: Path) -> None:  # noqa: F811
    with pytest.raises(StoreError, match="not the run of a matrix"):
        Matrix.load(example)
    done = run("matrix", "--from", str(example))
    assert done.status == 2 and "name a folder that `hmexp matrix` has made" in done.stderr


@pytest.fixture
def example() -> Path:
    return Path(__file__).resolve().parents[3] / "results" / "example"


def machine(second: Node) -> Topology:
    cpus = allowed_cpus()
    first = Node(0, NodeKind.DRAM, cpus[:1], GIB, GIB, {0: 10, 1: 20})
    return Topology((first, second))


def test_every_initiator_against_every_node() -> None:
    cpus = allowed_cpus()
    if len(cpus) < 2:
        pytest.skip("one CPU")
    two = machine(Node(1, NodeKind.DRAM, cpus[1:], GIB, GIB, {0: 20, 1: 10}))
    matrix = make_matrix(MatrixParameters(operations=("read", "latency"), size="1MiB"), two)
    seen = {(point.cpu_node, point.pattern, point.operation) for point in matrix.points}
    assert seen == {(i, n, op) for i in "01" for n in "01" for op in ("read", "latency")}
    assert matrix.added == frozenset() and "node 0, 1 against the memory of node 0, 1" in matrix.headline
    # A node of memory alone is measured, and measures nothing.
    slow = machine(Node(1, NodeKind.CXL, (), GIB, GIB, {0: 20, 1: 10}))
    matrix = make_matrix(MatrixParameters(operations=("read", "loaded_read"), size="1MiB"), slow)
    assert {(point.cpu_node, point.pattern) for point in matrix.points} == {("0", "0"), ("0", "1")}
    assert any("Loaded latency from node 0 is left out" in note for note in matrix.notes)
    with pytest.raises(ParameterError, match="loaded latency needs two"):
        make_matrix(MatrixParameters(operations=("loaded_read",), size="1MiB"), slow)


def test_a_node_that_is_too_small_is_left_out_and_named() -> None:
    tiny = machine(Node(1, NodeKind.DRAM, (), 1 << 20, 1 << 20, {0: 20, 1: 10}))
    matrix = make_matrix(MatrixParameters(operations=("read",), size="2MiB"), tiny)
    assert {point.pattern for point in matrix.points} == {"0"}
    assert any(note.startswith("Node 1 is left out: ") for note in matrix.notes)
    with pytest.raises(CapacityError):
        make_matrix(MatrixParameters(operations=("read",), size="2MiB", nodes=("1",)), tiny)
    with pytest.raises(CapacityError):
        make_matrix(MatrixParameters(operations=("read",), size="2GiB"), tiny)


def test_bandwidth_takes_all_cpus_and_a_load_leaves_one() -> None:
    point = SweepPoint(
        pattern="0", granule_bytes=4096, size_bytes=1 << 20, placer="first_touch", operation="read",
        threads=1, samples=1, sample_seconds=0.1, emulate=None, cpu_node="0",
    )  # fmt: skip
    planned = (point, replace(point, cpu_node="3"), replace(point, pattern="3"))
    names = ("read", "latency", "loaded_read")
    points, notes = find_points(planned, names, 0, {0: (0, 1, 2, 3), 3: (5,)})
    assert {(p.cpu_node, p.pattern, p.operation): p.threads for p in points} == {
        ("0", "0", "read"): 4, ("0", "3", "read"): 4, ("3", "0", "read"): 1,
        ("0", "0", "latency"): 1, ("0", "3", "latency"): 1, ("3", "0", "latency"): 1,
        ("0", "0", "loaded_read"): 3, ("0", "3", "loaded_read"): 3,
    }  # fmt: skip
    assert len(notes) == 1 and "from node 3 is left out" in notes[0]
    assert all(p.access is None for p in points if p.operation != "read")
    with pytest.raises(ParameterError, match="4 threads that load and one that chases"):
        find_points(planned, names, 4, {0: (0, 1, 2, 3), 3: (5,)})


def test_every_launch_that_scales_an_emulation_finds_its_cpus() -> None:
    cpus = allowed_cpus()
    if len(cpus) < 2:
        pytest.skip("one CPU")
    two = Topology((Node(0, NodeKind.DRAM, cpus[:2], GIB, GIB, {0: 10}),))
    matrix = make_matrix(MatrixParameters(size="1MiB", emulate="2=cxl-expander"), two)
    assert {point.threads for point in matrix.points} == {1, 2}
    for point in calibrated_points(matrix.plan):
        assert len(matrix.plan.cpus_of(point)) == point.cpu_count


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"initiators": ["7"]}, "initiators '7' is not a node with CPUs"),
        ({"nodes": ["7"]}, "nodes '7' is not a node with memory"),
        ({"operations": ["sing"]}, "operation 'sing' is unknown"),
        ({"size": "0"}, "0"),
        ({"precision": -1}, "precision"),
        ({"colour": "red"}, "unknown parameter"),
    ],
)
def test_what_cannot_be_used_is_refused(given: dict[str, object], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        make_matrix(MatrixParameters.from_mapping(given), read_topology())


def test_a_matrix_without_a_cell_is_no_success(run: Run, tmp_path: Path) -> None:  # noqa: F811
    if PLACERS["hybridmem"].unavailable() is None:
        pytest.skip("the kernel module is loaded")
    done = run("matrix", *SMALL, "--placer", "hybridmem", "--results", str(tmp_path))
    assert done.status == 1 and "No cell was measured" in done.stdout
    assert "skipped: placer hybridmem cannot work here" in done.stdout
    [folder] = tmp_path.glob("matrix-*")
    shown = run("matrix", "--from", str(folder), "--json")
    assert shown.status == 1 and json.loads(shown.stdout)["cells"] == []
