"""What ``auto``, ``none`` and ``NODE=PROFILE`` mean: the same to a sweep, a study and a measurement."""

from __future__ import annotations

import pytest

from hmexp.errors import ParameterError
from hmexp.memory.emulated_node import find_request
from hmexp.system.topology import Node, NodeKind, Topology

GIB = 1 << 30


def machine(*kinds: NodeKind) -> Topology:
    return Topology(tuple(Node(n, kind, (), GIB, GIB, {}) for n, kind in enumerate(kinds)))


ONE = machine(NodeKind.DRAM)
THREE = machine(NodeKind.DRAM, NodeKind.DRAM, NodeKind.DRAM)
HYBRID = machine(NodeKind.DRAM, NodeKind.CXL)


@pytest.mark.parametrize(
    ("text", "topology", "named", "found"),
    [
        ("none", ONE, [0, 2], None),
        ("auto", HYBRID, [0, 7], None),
        ("auto", ONE, None, "2=optane-dcpmm"),
        ("auto", THREE, None, "3=optane-dcpmm"),
        ("auto", ONE, [0, 7], "7=optane-dcpmm"),
        ("auto", THREE, [0, 1], None),
        (" 5=optane-dcpmm ", HYBRID, [0, 1], "5=optane-dcpmm"),
    ],
)
def test_a_node_is_emulated_where_it_is_asked_for_or_slow_memory_is_missing(
    text: str, topology: Topology, named: list[int] | None, found: str | None
) -> None:
    request = find_request(text, topology, named)
    assert (None if request is None else str(request)) == found


@pytest.mark.parametrize(
    ("text", "named", "says"),
    [
        ("auto", [0, 5, 9], "nodes 5, 9 do not exist, and only one node can be emulated"),
        ("1=optane-dcpmm", None, "node 1 is a real node of this machine"),
        ("sometimes", None, "'sometimes' is neither auto, none nor NODE=PROFILE"),
    ],
)
def test_what_cannot_be_emulated_is_refused(text: str, named: list[int] | None, says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        find_request(text, THREE, named)
