"""What firmware and kernel claim of the nodes' speed: to be held against what is measured."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from hmexp.store.machine import ClaimRecord, ClaimsRecord
from hmexp.system.hmat import read_hmat
from hmexp.system.setting_files import Machine
from hmexp.system.sysfs import read_int, read_text
from hmexp.system.topology import Topology

#: CPUs alone before any initiator, which may be a device (the kernel's numaperf.rst).
_CLASSES: Final = ("access1", "access0")


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
    return ClaimsRecord(
        nodes=tuple(_read_claim(node.id, sys_root) for node in topology.memory_nodes),
        weights={node: weight for node, weight in sorted(found.items()) if weight is not None and weight > 0},
        automatic=states[0] == "true" if states else None,
    )


def _read_claim(node_id: int, sys_root: Path) -> ClaimRecord:
    folder = sys_root / "devices" / "system" / "node" / f"node{node_id}"
    figures = read_hmat(folder)
    seen = {access: _read_initiators(folder / access / "initiators") for access in _CLASSES}
    access = next((access for access in _CLASSES if seen[access]), None)
    return ClaimRecord(
        node=node_id,
        access=access,
        initiators=() if access is None else seen[access],
        read_gbps=figures["read_gbps"],
        write_gbps=figures["write_gbps"],
        read_latency_ns=figures["read_latency_ns"],
        write_latency_ns=figures["write_latency_ns"],
    )


def _read_initiators(folder: Path) -> tuple[int, ...]:
    try:
        names = [entry.name for entry in folder.iterdir()]
    except OSError:
        return ()
    return tuple(sorted(int(name[4:]) for name in names if name.startswith("node") and name[4:].isdecimal()))
