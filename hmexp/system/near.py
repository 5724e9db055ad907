"""The near node: where threads run, and which memory is nearest to them."""

from __future__ import annotations

from collections.abc import Sequence

from hmexp.errors import TopologyError
from hmexp.system.cpus import allowed_cpus
from hmexp.system.topology import Node, Topology


def near_node(topology: Topology) -> Node:
    """The node at which the threads run: the first with both memory and CPUs that this process may use.

    Raises
    ------
    TopologyError
        If no node has memory.
    """
    return _first(topology.usable_nodes)


def near_dram(topology: Topology) -> int:
    """The DRAM node that is nearest to the threads: the first with CPUs that this process may use.

    A machine without DRAM has another node of memory in its place.

    Raises
    ------
    TopologyError
        If no node has memory.
    """
    return _first(topology.dram_nodes or topology.usable_nodes).id


def _first(nodes: Sequence[Node]) -> Node:
    if not nodes:
        raise TopologyError("no node of this machine has memory", "see `hmexp nodes`")
    allowed = set(allowed_cpus())
    return next((node for node in nodes if allowed & set(node.cpus)), nodes[0])
