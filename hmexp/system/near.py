"""Which memory is near: the CPUs that threads run on, the DRAM nearest to them, and the slow node."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from hmexp.errors import ParameterError, TopologyError
from hmexp.system import cpus
from hmexp.system.dax import NodeKind
from hmexp.system.topology import Node, Topology

#: A ratio's side that is not named.
AUTO = "auto"


def home_node(topology: Topology, cpu_node: int | None = None) -> Node:
    """The node on whose CPUs the threads run.

    Of the nodes with CPUs that this process may use, it is the first that has DRAM which may be used; else
    the first that has other memory; else the first.

    Parameters
    ----------
    topology : Topology
        The machine.
    cpu_node : int, optional
        The node that was asked for.

    Raises
    ------
    TopologyError
        If there is no such node.
    """
    if cpu_node is not None:
        return topology.node(cpu_node)
    allowed = set(cpus.allowed_cpus())
    usable = topology.usable_nodes
    ranks: tuple[Sequence[Node], ...] = (
        [node for node in usable if node.kind is NodeKind.DRAM],
        usable,
        topology.nodes,
        usable or topology.memory_nodes or topology.nodes,
    )
    found = [node for rank in ranks[:3] for node in rank if allowed & set(node.cpus)]
    return next(iter([*found, *ranks[3]]))


def near_node(
    topology: Topology, cpu_node: int | None = None, dram: str = AUTO, besides: int | None = None
) -> Node:
    """The DRAM node that is nearest to the threads.

    Nearest is the one that the firmware (HMAT) names for these CPUs, then that of the least distance (SLIT),
    then the first. A machine without DRAM has another node of memory in its place: HBM, then any other.

    Parameters
    ----------
    topology : Topology
        The machine.
    cpu_node : int, optional
        The node on whose CPUs the threads run; by default `home_node`.
    dram : str
        The number of a node that is to count as DRAM, or ``auto``.
    besides : int, optional
        A node that is not taken unless there is no other: one that is to count as slow.

    Raises
    ------
    TopologyError
        If no node has memory.
    ParameterError
        If `dram` is no node with memory that may be used.
    """
    if dram != AUTO:
        return topology.node(require_node(topology, "dram", dram))
    if not topology.memory_nodes:
        raise TopologyError("no node of this machine has memory", "see `hmexp nodes`")
    every = topology.usable_nodes
    usable = [node for node in every if node.id != besides] or list(every)
    hbm = [node for node in usable if node.kind is NodeKind.HBM]
    plain = [node for node in usable if node.kind is not NodeKind.GPU]
    choices = [node for node in usable if node.kind is NodeKind.DRAM] or hbm or plain or usable
    return min(choices, key=_nearness(home_node(topology, cpu_node)))


def near_dram(topology: Topology, cpu_node: int | None = None) -> int:
    """The number of `near_node`.

    Raises
    ------
    TopologyError
        If no node has memory.
    """
    return near_node(topology, cpu_node).id


def find_ratio(
    topology: Topology,
    cpu_node: int | None = None,
    *,
    dram: str = AUTO,
    slow: str = AUTO,
    emulated: int | None = None,
    far_dram: bool = False,
) -> tuple[int, ...]:
    """The nodes of a ratio: DRAM, and the slow one.

    Parameters
    ----------
    topology : Topology
        The machine.
    cpu_node : int, optional
        The node on whose CPUs the threads run; by default `home_node`.
    dram, slow : str
        Nodes by number, or ``auto``.
    emulated : int, optional
        The emulated node, which is the slow one.
    far_dram : bool
        Whether, on a machine without slow memory, other DRAM may stand for it: the nearest.

    Returns
    -------
    tuple of int
        Two different nodes, or the DRAM alone where there is no second node.

    Raises
    ------
    TopologyError
        If no node has memory.
    ParameterError
        If `dram` or `slow` cannot be used, or are the same node.
    """
    named = require_node(topology, "slow", slow) if slow != AUTO and emulated is None else None
    fast = near_node(topology, cpu_node, dram, named)
    if emulated is not None:
        if slow not in (AUTO, str(emulated)):
            raise ParameterError(
                f"slow {slow!r} is not the emulated node, which is {emulated}",
                f"leave out slow, or say slow {emulated}; or emulate none",
            )
        return fast.id, emulated
    found = near_slow(topology, cpu_node, fast.id, slow)
    if found is None and far_dram:
        others = [node for node in topology.dram_nodes if node.id != fast.id]
        found = min(others, key=_nearness(home_node(topology, cpu_node))).id if others else None
    return (fast.id,) if found is None else (fast.id, found)


def near_slow(
    topology: Topology, cpu_node: int | None = None, dram: int | None = None, slow: str = AUTO
) -> int | None:
    """The slow node of a ratio: known slow memory before unknown, and the nearest to the threads.

    Parameters
    ----------
    topology : Topology
        The machine.
    cpu_node : int, optional
        The node on whose CPUs the threads run; by default `home_node`.
    dram : int, optional
        The other node of the ratio.
    slow : str
        The number of a node that is to count as slow, whatever its kind; or ``auto``.

    Returns
    -------
    int or None
        Never `dram`; None where the machine has no slow node.

    Raises
    ------
    ParameterError
        If `slow` is no node with memory that may be used, or is `dram`.
    """
    if slow != AUTO:
        named = require_node(topology, "slow", slow)
        if named == dram:
            raise ParameterError(
                f"slow {slow}: node {named} is the DRAM of the ratio already",
                "name two different nodes with dram and slow; see `hmexp nodes`",
            )
        return named
    choices = [node for node in topology.slow_nodes if node.id != dram]
    if not choices:
        return None
    nearness = _nearness(home_node(topology, cpu_node))
    return min(choices, key=lambda node: (node.kind is NodeKind.UNKNOWN, *nearness(node))).id


def require_node(topology: Topology, name: str, text: str) -> int:
    """The node that a parameter names.

    Raises
    ------
    ParameterError
        If it is no node with memory, or this process may not use it.
    """
    usable = [node.id for node in topology.usable_nodes]
    word = text.strip()
    number = int(word) if word.isascii() and word.isdecimal() and len(word) < 10 else -1
    if number in usable and topology.may_use(number):
        return number
    there_is = any(node.id == number for node in topology.memory_nodes)
    forbidden = topology.limits.forbids(number) if there_is else None
    why = f": {forbidden}" if forbidden is not None else ""
    emulated = "; to emulate a slow node, emulate NODE=PROFILE" if name == "slow" and not there_is else ""
    raise ParameterError(
        f"{name} {text!r} is not a node with memory that this process may use{why}",
        f"use {AUTO}, or one of: {', '.join(map(str, usable))}; see `hmexp nodes`{emulated}",
    )


def _nearness(home: Node) -> Callable[[Node], tuple[bool, bool, float, float, int]]:
    """How near memory is to the CPUs of a node; less is nearer."""

    def rank(node: Node) -> tuple[bool, bool, float, float, int]:
        named = home.id in node.initiators
        latency = node.read_latency_ns if named and node.read_latency_ns is not None else math.inf
        distance = home.distances.get(node.id, node.distances.get(home.id, math.inf))
        return node.id != home.id, not named, latency, distance, node.id

    return rank
