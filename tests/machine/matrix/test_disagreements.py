"""What is claimed against what was measured, on machines that are made up."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from hmexp.machine.matrix.cells import MatrixCell
from hmexp.machine.matrix.claimed import claimed_table
from hmexp.machine.matrix.disagreements import DIFFERENT, find_disagreements
from hmexp.machine.matrix.portrait import lines_of, say_claims
from hmexp.machine.matrix.value import Matrix
from hmexp.store.machine import ClaimRecord, ClaimsRecord, NodeRecord
from hmexp.store.validity import label_untimed


def cell(initiator: int, node: int, operation: str, value: float, spread: float = 0.01) -> MatrixCell:
    return MatrixCell(initiator, node, operation, 4, value, value * (1 - spread), value * (1 + spread))


def latencies(values: Mapping[tuple[int, int], float]) -> tuple[MatrixCell, ...]:
    return tuple(cell(initiator, node, "latency", value) for (initiator, node), value in values.items())


def abouts(matrix: Matrix) -> list[str]:
    return [each.about for each in find_disagreements(matrix)]


#: Two sockets, each with a slow node: 2 belongs to node 0, and 3 to node 1.
TRUE = {
    (0, 0): 80, (0, 1): 140, (0, 2): 300, (0, 3): 380, (1, 0): 140, (1, 1): 80, (1, 2): 380, (1, 3): 300,
}  # fmt: skip


def test_nothing_is_claimed() -> None:
    assert find_disagreements(Matrix(latencies(TRUE))) == ()


def test_the_wrong_initiator() -> None:
    claims = ClaimsRecord(nodes=(ClaimRecord(node=2, access="access1", initiators=(1,)),))
    [found] = find_disagreements(Matrix(latencies(TRUE), claims=claims))
    assert found.about == "initiators" and found.source == "firmware (HMAT, access1)"
    assert found.text == (
        "The firmware says node 1 is nearest to the memory of node 2; measured, node 0 is (300.0 ns against "
        "380.0 ns from node 1)."
    )
    right = ClaimsRecord(nodes=(ClaimRecord(node=2, access="access1", initiators=(0,)),))
    assert find_disagreements(Matrix(latencies(TRUE), claims=right)) == ()


def test_figures_that_are_swapped() -> None:
    claims = ClaimsRecord(
        nodes=(
            ClaimRecord(node=0, initiators=(0,), read_latency_ns=300.0),
            ClaimRecord(node=2, initiators=(0,), read_latency_ns=80.0),
        )
    )
    found = find_disagreements(Matrix(latencies(TRUE), claims=claims))
    assert [each.about for each in found] == ["figures", "figures", "order"]
    assert "gives node 0 a read latency of 300 ns; measured from node 0, it is 80.00 ns" in found[0].text
    assert (
        "node 2 has the better read latency of nodes 2 and 0; measured from node 0, node 0 has"
        in found[2].text
    )


def test_distances_that_are_wrong_in_both_ways() -> None:
    nodes = (
        NodeRecord(id=0, distances={0: 10, 1: 21, 2: 28, 3: 17}),
        NodeRecord(id=1, distances={0: 21, 1: 10, 2: 17, 3: 28}),
    )
    texts = [each.text for each in find_disagreements(Matrix(latencies(TRUE), nodes))]
    assert any("puts node 3 at distance 17 from node 0, and node 2 at 28" in text for text in texts)
    assert any("puts the CPUs of node 1 at distance 17 from the memory of node 2" in text for text in texts)


def test_weights_that_are_not_the_bandwidths() -> None:
    cells = (cell(0, 0, "read", 120.0), cell(0, 2, "read", 30.0))
    assert abouts(Matrix(cells, claims=ClaimsRecord(weights={0: 4, 2: 1}, automatic=True))) == []
    [found] = find_disagreements(Matrix(cells, claims=ClaimsRecord(weights={0: 1, 2: 1}, automatic=True)))
    assert found.about == "weights" and found.text.startswith(
        "The kernel's automatic weights give nodes 0 and 2 1:1"
    )
    assert "as 4.00:1" in found.text


values = st.floats(0.5, 1000.0)


@given(values, values, st.floats(0.0, 0.5))
def test_a_figure_within_its_interval_or_a_quarter_is_no_disagreement(
    claimed: float, measured: float, spread: float
) -> None:
    claims = ClaimsRecord(nodes=(ClaimRecord(node=0, read_gbps=claimed),))
    found = abouts(Matrix((cell(0, 0, "read", measured, spread),), claims=claims))
    inside = measured * (1 - spread) <= claimed <= measured * (1 + spread)
    near = abs(claimed - measured) <= DIFFERENT * max(claimed, measured)
    assert found == ([] if inside or near else ["figures"])


@given(st.dictionaries(st.tuples(st.integers(0, 3), st.integers(0, 3)), values, max_size=16))
def test_what_the_firmware_measured_itself_is_never_a_disagreement(
    measured: dict[tuple[int, int], float],
) -> None:
    """Claims that are made of the cells agree with them, whatever cells are missing."""
    nodes = sorted({node for _, node in measured})
    best = {n: min((v, i) for (i, node), v in measured.items() if node == n) for n in nodes}
    claims = ClaimsRecord(
        nodes=tuple(
            ClaimRecord(node=n, access="access1", initiators=(best[n][1],), read_latency_ns=best[n][0])
            for n in nodes
        )
    )
    assert find_disagreements(Matrix(latencies(measured), claims=claims)) == ()


def test_a_model_is_not_held_against_the_firmware() -> None:
    claims = ClaimsRecord(nodes=(ClaimRecord(node=0, access="access1", initiators=(0,), read_gbps=300.0),))
    cells = (cell(0, 0, "read", 20.0), cell(0, 2, "read", 5.0))
    assert find_disagreements(Matrix(cells, claims=claims))
    modelled = Matrix(cells, claims=claims, emulated=True)
    assert find_disagreements(modelled) == ()
    assert say_claims(modelled) == [
        "Not compared: a node is emulated, and its model says nothing of this machine."
    ]


def test_times_that_mean_nothing_are_not_called_the_firmwares_fault() -> None:
    claims = ClaimsRecord(nodes=(ClaimRecord(node=0, access="access1", initiators=(0,), read_gbps=300.0),))
    first, second = say_claims(Matrix((cell(0, 0, "read", 20.0),), claims=claims, timing_valid=False))
    assert "timing is not valid" in first and "300 GB/s" in second


def test_a_node_that_the_lab_slows_contradicts_a_false_claim_and_says_why() -> None:
    claims = ClaimsRecord(nodes=(ClaimRecord(node=0, access="access1", initiators=(0,), read_gbps=300.0),))
    labels = (label_untimed("emulated: lab plugin: accesses to node 0 are delayed"),)
    found = Matrix((cell(0, 0, "read", 0.2),), claims=claims, timing_valid=False, labels=labels)
    first, second = say_claims(found)
    assert "the lab's plugin slows a node" in first and "300 GB/s" in second


def test_what_is_claimed_stands_beside_what_was_measured() -> None:
    claims = ClaimsRecord(
        nodes=(ClaimRecord(node=2, access="access1", initiators=(1,), read_gbps=107.4, read_latency_ns=80),),
        weights={0: 3, 2: 1},
        automatic=True,
    )
    nodes = (NodeRecord(id=0, distances={0: 10, 2: 28}), NodeRecord(id=1), NodeRecord(id=2))
    cells = (cell(0, 0, "read", 20.0), cell(0, 2, "read", 5.0), cell(1, 2, "read", 9.0))
    heads, rows = claimed_table(Matrix(cells, nodes, claims))
    assert [dict(zip(heads, row, strict=True)) for row in rows] == [
        {
            "node": "0", "nearest CPUs": "-", "read [GB/s]": "-", "write [GB/s]": "-", "read [ns]": "-",
            "distance from 0": "10", "distance from 1": "-", "weight (automatic)": "3",
        },
        {
            "node": "2", "nearest CPUs": "1 (access1)", "read [GB/s]": "107.4", "write [GB/s]": "-",
            "read [ns]": "80", "distance from 0": "28", "distance from 1": "-", "weight (automatic)": "1",
        },
    ]  # fmt: skip
    assert any("107.4" in line for line in lines_of(Matrix(cells, nodes, claims)))
    assert claimed_table(Matrix(cells, (NodeRecord(id=0),)))[1] == []
