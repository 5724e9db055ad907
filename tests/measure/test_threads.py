"""Which CPUs threads are put on, on machines of several shapes."""

from __future__ import annotations

import pytest

from hmexp.errors import ParameterError
from hmexp.measure.threads import place_threads
from hmexp.system.cpus import allowed_cpus
from hmexp.system.topology import Node, Topology

#: Two sockets of two cores with two hardware threads each, and a node without CPUs.
TWO = Topology(
    nodes=(
        Node(0, "dram", (0, 1, 4, 5), 1 << 30, 1 << 30),
        Node(1, "dram", (2, 3, 6, 7), 1 << 30, 1 << 30),
        Node(2, "cxl", (), 1 << 30, 1 << 30),
    ),
)
CORES = {cpu: (cpu % 4, cpu % 4 + 4) for cpu in range(8)}


def test_compact_fills_cores_and_then_nodes() -> None:
    assert place_threads(2, "compact", TWO, CORES) == (0, 4)
    assert place_threads(6, "compact", TWO, CORES) == (0, 4, 1, 5, 2, 6)


def test_spread_takes_the_nodes_in_turn() -> None:
    chosen = place_threads(4, "spread", TWO, CORES)
    assert [cpu in TWO.nodes[0].cpus for cpu in chosen] == [True, False, True, False]
    assert len(set(chosen)) == 4


def test_near_stays_on_the_first_node() -> None:
    assert set(place_threads(4, "near", TWO, CORES)) == set(TWO.nodes[0].cpus)


def test_a_node_can_be_asked_for() -> None:
    assert set(place_threads(4, "node:1", TWO, CORES)) == set(TWO.nodes[1].cpus)


@pytest.mark.parametrize(
    ("threads", "placement", "says"),
    [
        (5, "node:1", "beyond the CPUs of node 1"),
        (1, "node:2", "beyond the CPUs of node 2"),
        (9, "compact", "beyond the CPUs"),
        (9, "spread", "beyond the CPUs"),
        (1, "anywhere", "near, compact, spread"),
        (1, "node:x", "near, compact, spread"),
        (0, "compact", "positive"),
    ],
)
def test_what_cannot_be_had_is_refused(threads: int, placement: str, says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        place_threads(threads, placement, TWO, CORES)


def test_a_list_of_cpus_is_taken_as_it_is_or_refused() -> None:
    mine = allowed_cpus()
    assert place_threads(len(mine), tuple(reversed(mine))) == tuple(reversed(mine))
    with pytest.raises(ParameterError, match="may not run on CPU"):
        place_threads(1, [max(mine) + 1000])
    with pytest.raises(ParameterError, match="named twice"):
        place_threads(2, [mine[0], mine[0]])
    with pytest.raises(ParameterError, match="as many CPUs"):
        place_threads(2, [mine[0]])
