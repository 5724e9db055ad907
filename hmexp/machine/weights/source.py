"""Where bandwidths come from: a run of `hmexp matrix`, or a profile."""

from __future__ import annotations

from collections.abc import Iterable

from hmexp.errors import ParameterError
from hmexp.machine.weights.speeds import Reach, Reaches
from hmexp.memory.profile import Profile
from hmexp.system.near import near_dram
from hmexp.system.sysfs import format_id_list
from hmexp.system.topology import Topology

#: A node that no interleaving should use unless it is named: its memory belongs to a device.
_DEVICES = ("gpu",)


def reaches_of_profile(profile: Profile, nodes: tuple[int, int]) -> Reaches:
    """The bandwidths of a profile's two memories, for the CPUs of its DRAM node.

    Parameters
    ----------
    profile : Profile
        Published or captured speeds.
    nodes : tuple of int
        Which node is its DRAM, and which its slow memory.
    """
    speeds = (profile.dram, profile.slow)
    row = {n: Reach(s.read_gbps, s.write_gbps) for n, s in zip(nodes, speeds, strict=True)}
    return {nodes[0]: row}


def nodes_of_profile(topology: Topology) -> tuple[int, int]:
    """The DRAM node and the slow node of this machine that a profile's two memories are taken for."""
    dram = near_dram(topology)
    others = [n.id for n in (*topology.slow_nodes, *topology.usable_nodes) if n.id != dram]
    # A machine with one node may still be asked what another's weights would be.
    return dram, others[0] if others else dram + 1


def choose_initiators(reaches: Reaches, named: int | None) -> Reaches:
    """The rows of the initiators that weights are wanted for: the one that is named, or all.

    Raises
    ------
    ParameterError
        If the one that is named was not measured.
    """
    if named is None:
        return reaches
    if named not in reaches:
        raise ParameterError(f"initiator {named} was not measured", f"use one of: {format_id_list(reaches)}")
    return {named: reaches[named]}


def choose_nodes(reaches: Reaches, topology: Topology, named: Iterable[int] | None) -> tuple[int, ...]:
    """The nodes to interleave over: those that are named, or all that were measured and may be used.

    Raises
    ------
    ParameterError
        If one that is named may not be used, or there are fewer than two.
    """
    measured = sorted({node for row in reaches.values() for node in row})
    # A profile, or a run that was made elsewhere, has nodes that this machine does not have.
    here = {node.id: str(node.kind) for node in topology.nodes}
    if named is not None:
        found = tuple(dict.fromkeys(named))
        for node in found:
            limit = topology.limits.forbids(node) if node in here else None
            if limit is not None:
                raise ParameterError(
                    f"node {node} may not be used: {limit}", "leave it out of --nodes, or widen the cpuset"
                )
    else:
        found = tuple(
            node
            for node in measured
            if node not in here or (topology.may_use(node) and here[node] not in _DEVICES)
        )
    if len(found) < 2:
        raise ParameterError(
            f"there is nothing to interleave: of the nodes {format_id_list(measured)} that were measured, "
            f"{format_id_list(found)} may be used",
            "weights need two nodes with memory; `hmexp nodes` lists those of this machine",
        )
    return found
