"""What a topology of the lab is: the nodes of a virtual machine, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hmexp.units import GIB, MIB, format_size

DRAM: Final = "dram"
NVM: Final = "nvm"
CXL: Final = "cxl"
MEMORYLESS: Final = "memoryless"
ABSENT: Final = "absent"
KINDS: Final = (DRAM, NVM, CXL, MEMORYLESS, ABSENT)

BLOCK_BYTES: Final = 128 * MIB
"""Memory of an NVDIMM becomes ordinary memory in blocks of this size [bytes] on x86-64."""

CXL_WINDOW_BYTES: Final = 256 * MIB
"""Windows and devices of CXL memory are multiples of this size [bytes]."""


@dataclass(frozen=True)
class Speed:
    """A node's speeds in the firmware's HMAT: what the kernel reads, not how fast the node is.

    Parameters
    ----------
    read_latency_ns, write_latency_ns : int
        Latency [ns].
    read_bandwidth_mibps, write_bandwidth_mibps : int
        Bandwidth [MiB/s].
    """

    read_latency_ns: int
    write_latency_ns: int
    read_bandwidth_mibps: int
    write_bandwidth_mibps: int


@dataclass(frozen=True)
class GuestNode:
    """One NUMA node of the virtual machine.

    Parameters
    ----------
    id : int
        Number of the node.
    kind : str
        ``dram``; ``nvm`` (an NVDIMM, brought online as memory inside the guest); ``cxl`` (a CXL type 3
        memory device, likewise); ``memoryless`` (CPUs only); ``absent`` (possible but never online, which
        leaves a gap in the numbers).
    size_bytes : int
        Memory that the node offers [bytes]; 0 where there is none.
    cpus : int
        CPUs that belong to it.
    movable : bool
        An ``nvm`` or ``cxl`` node's memory goes to ZONE_MOVABLE, so that it can be taken offline again.
    online : bool
        Whether an ``nvm`` or ``cxl`` node is brought online before the command runs.
    speed : Speed or None
        Entry in the HMAT.
    initiator : int or None
        Node whose CPUs are nearest, as the HMAT claims; None claims the node's own CPUs, else node 0's.
    """

    id: int
    kind: str
    size_bytes: int
    cpus: int
    movable: bool
    online: bool
    speed: Speed | None
    initiator: int | None = None


@dataclass(frozen=True)
class GuestTopology:
    """The nodes of a virtual machine.

    Parameters
    ----------
    name : str
        Name of the file, without ``.toml``.
    title : str
        One line for a person.
    nodes : tuple of GuestNode
        In the order of their ids, which are 0, 1, 2, ...
    distances : tuple of tuple of int
        ``distances[i][j]`` as in ``numactl --hardware``; empty for the kernel's default. Firmware does not
        know the node of a CXL device, which has no row.
    """

    name: str
    title: str
    nodes: tuple[GuestNode, ...]
    distances: tuple[tuple[int, ...], ...] = ()

    @property
    def cpus(self) -> int:
        """CPUs that run (those of an absent node never do)."""
        return sum(node.cpus for node in self.nodes if node.kind != ABSENT)

    @property
    def firmware_nodes(self) -> tuple[GuestNode, ...]:
        """Nodes that the firmware describes: not that of a CXL device, which the kernel numbers itself."""
        return tuple(node for node in self.nodes if node.kind != CXL)

    @property
    def has_speeds(self) -> bool:
        """Whether an HMAT is made."""
        return any(node.speed is not None for node in self.nodes)

    def of_kind(self, kind: str) -> tuple[GuestNode, ...]:
        """Nodes of a kind, in order."""
        return tuple(node for node in self.nodes if node.kind == kind)

    @property
    def summary(self) -> str:
        """The nodes in a few words, such as ``0 dram 2GiB, 1 nvm 1152MiB``."""
        parts = []
        for node in self.nodes:
            size = f" {exact_size(node.size_bytes)}" if node.size_bytes else ""
            parts.append(
                f"{node.id} {node.kind}{size}"
                + (" (left offline)" if node.kind in (NVM, CXL) and not node.online else "")
            )
        return ", ".join(parts)


def exact_size(size_bytes: int) -> str:
    """Write a size so that reading it again gives the same one."""
    return format_size(size_bytes) if size_bytes % GIB == 0 else f"{size_bytes // MIB}MiB"
