"""The near node on machines of other shapes, with the CPUs that this process may use."""

from __future__ import annotations

import pytest

from hmexp.errors import TopologyError
from hmexp.system.cpus import allowed_cpus
from hmexp.system.near import home_node, near_dram, near_node
from hmexp.system.topology import Node, NodeKind, Topology

GIB = 1 << 30
HERE = allowed_cpus()
ELSEWHERE = (max(HERE) + 1,)


def machine(*nodes: tuple[NodeKind, tuple[int, ...], int]) -> Topology:
    return Topology(tuple(Node(n, kind, cpus, size, size, {}) for n, (kind, cpus, size) in enumerate(nodes)))


@pytest.mark.parametrize(
    ("nodes", "home", "dram"),
    [
        ([(NodeKind.DRAM, HERE, GIB)], 0, 0),
        ([(NodeKind.DRAM, ELSEWHERE, GIB), (NodeKind.DRAM, HERE, GIB)], 1, 1),
        # CPUs without memory of their own.
        ([(NodeKind.DRAM, HERE, 0), (NodeKind.DRAM, (), GIB)], 0, 1),
        # Threads run at slow memory; what is compared with is DRAM all the same.
        ([(NodeKind.DRAM, ELSEWHERE, GIB), (NodeKind.NVM, HERE, GIB)], 1, 0),
        ([(NodeKind.CXL, (), GIB), (NodeKind.DRAM, HERE, GIB)], 1, 1),
        ([(NodeKind.CXL, (), GIB), (NodeKind.CXL, HERE, GIB)], 1, 1),
    ],
)
def test_the_first_with_cpus_that_may_be_used_is_near(
    nodes: list[tuple[NodeKind, tuple[int, ...], int]], home: int, dram: int
) -> None:
    made = machine(*nodes)
    assert (home_node(made).id, near_node(made).id, near_dram(made)) == (home, dram, dram)


@pytest.mark.parametrize("find", [near_node, near_dram])
def test_without_memory_nothing_is_near(find: object) -> None:
    with pytest.raises(TopologyError, match="no node of this machine has memory"):
        find(machine((NodeKind.DRAM, HERE, 0)))  # type: ignore[operator]
