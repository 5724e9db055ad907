"""What firmware and kernel claim of the nodes' speed: to be held against what is measured."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path

from hmexp.store.machine import ClaimRecord, ClaimsRecord
from hmexp.system.hmat import read_access
from hmexp.system.setting_files import Machine
from hmexp.system.sysfs import read_int, read_text
from hmexp.system.topology import Topology


def read_claims(topology: Topology, sys_root: Path = Path("/sys")) -> ClaimsRecord:
    """Read what the firmware (HMAT) and the kernel say of every node with memory.

    Parameters
    ----------
    topology : Topology
        The nodes.
    sys_root : Path
        Where `/sys` is.

    Returns
    -------
    ClaimsRecord
        Best initiators and figures by node, and the weights of weighted interleave. What is not
        said, or cannot be read, is left out.
    """
    weights, modes = Machine(sys_root=sys_root).weight_files()
    found = {node: read_int(path) for node, path in weights.items()}
    states = [read_text(mode) for mode in modes]
    cpu_nodes = {node.id for node in topology.nodes if node.cpus}
    return ClaimsRecord(
        nodes=tuple(_read_claim(node.id, sys_root, cpu_nodes) for node in topology.memory_nodes),
        weights={
            node: weight for node, weight in sorted(found.items()) if weight is not None and 0 < weight < 256
        },
        automatic=states[0] == "true" if states else None,
    )


def _read_claim(node_id: int, sys_root: Path, cpu_nodes: Container[int]) -> ClaimRecord:
    """What is said of one node: initiators and figures of the same class, that of CPUs if there is one."""
    access = read_access(sys_root / "devices" / "system" / "node" / f"node{node_id}", cpu_nodes)[0]
    return ClaimRecord(
        node=node_id,
        access=None if access.path is None else access.path.parent.name,
        initiators=access.initiators,
        read_gbps=access.figures["read_gbps"],
        write_gbps=access.figures["write_gbps"],
        read_latency_ns=access.figures["read_latency_ns"],
        write_latency_ns=access.figures["write_latency_ns"],
    )
