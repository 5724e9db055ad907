"""Which nodes play which part in a sweep: whose CPUs are used, what is DRAM, and what is slow."""

from __future__ import annotations

from dataclasses import dataclass

from hmexp.memory.emulated_node import find_request
from hmexp.memory.emulation import EmulationRequest
from hmexp.sweep.parameters import SweepParameters
from hmexp.sweep.point import NEAR
from hmexp.system.near import AUTO, find_ratio, home_node
from hmexp.system.topology import Node, Topology


@dataclass(frozen=True)
class Roles:
    """Which nodes play which part.

    Parameters
    ----------
    home : Node
        The node on whose CPUs the threads run where no other is named.
    dram : Node
        The DRAM of a ratio, of the points to compare with, and below an emulated node.
    ratio_nodes : tuple of int
        The nodes of a ratio: the DRAM, and the slow one, real or emulated, if there is any.
    slow_nodes : tuple of int
        All nodes that count as slow.
    emulate : EmulationRequest or None
        The emulated node, if any.
    """

    home: Node
    dram: Node
    ratio_nodes: tuple[int, ...]
    slow_nodes: tuple[int, ...]
    emulate: EmulationRequest | None


def find_roles(parameters: SweepParameters, topology: Topology) -> Roles:
    """Choose the nodes of a sweep: those nearest to the CPUs that are used, or those that were named.

    Raises
    ------
    TopologyError
        If no node has memory, or `cpu_nodes` names one that does not exist.
    ParameterError
        If `dram` or `slow` cannot be used, or are the same node.
    EmulationError
        If the emulation profile cannot be used.
    """
    named = next((text.strip() for text in parameters.cpu_nodes), NEAR)
    # A node that is none is refused with the other axes.
    cpu_node = next((node.id for node in topology.nodes if str(node.id) == named), None)
    emulate = None
    if not (parameters.slow != AUTO and parameters.emulate.strip() == AUTO):
        emulate = find_request(parameters.emulate, topology)
    emulated = None if emulate is None else emulate.node
    nodes = find_ratio(topology, cpu_node, dram=parameters.dram, slow=parameters.slow, emulated=emulated)
    others = () if emulate is not None else (node.id for node in topology.slow_nodes)
    return Roles(
        home_node(topology),
        topology.node(nodes[0]),
        nodes,
        tuple(dict.fromkeys(node for node in (*nodes[1:], *others) if node != nodes[0])),
        emulate,
    )
