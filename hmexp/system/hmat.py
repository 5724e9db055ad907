"""How fast a node is by the firmware's word: the ACPI table HMAT, as the kernel shows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from hmexp.system.sysfs import numbered, read_int

if TYPE_CHECKING:
    from collections.abc import Container, Mapping
    from pathlib import Path

# The files below accessN/initiators, and how many of their units make one of ours: the kernel's
# ABI document (sysfs-devices-node) gives latency in ns and bandwidth in MB/s.
_FILES: Final = {
    "read_latency_ns": ("read_latency", 1.0),
    "write_latency_ns": ("write_latency", 1.0),
    "read_gbps": ("read_bandwidth", 1000.0),
    "write_gbps": ("write_bandwidth", 1000.0),
}
HMAT_FIGURES: Final = tuple(_FILES)
# access1 counts CPUs alone, access0 any initiator, such as a device without CPUs ("generic"), which may be
# far nearer to the memory than any CPU (Linux 5.10, Documentation/admin-guide/mm/numaperf.rst).
_CLASSES: Final = ("access1", "access0")


@dataclass(frozen=True)
class Access:
    """What one access class of a node says.

    Parameters
    ----------
    path : Path or None
        The folder it is from; None where the firmware says nothing.
    initiators : tuple of int
        The nodes that it is seen from: those nearest to this memory.
    figures : mapping of str to float or None
        One entry for each of `HMAT_FIGURES`: latencies [ns], bandwidths [GB/s]; None where the
        firmware says nothing (or 0, which is the same).
    """

    path: Path | None = None
    initiators: tuple[int, ...] = ()
    figures: Mapping[str, float | None] = field(default_factory=lambda: dict.fromkeys(HMAT_FIGURES))

    @property
    def says_something(self) -> bool:
        """Whether there is any figure."""
        return any(value is not None for value in self.figures.values())


def read_access(node_folder: Path, cpu_nodes: Container[int] | None = None) -> tuple[Access, str | None]:
    """Read how fast a node is for the nearest CPUs.

    Parameters
    ----------
    node_folder : Path
        ``/sys/devices/system/node/nodeN``.
    cpu_nodes : container of int, optional
        The nodes that have CPUs: figures for initiators that have none are left out.

    Returns
    -------
    Access
        The class of CPUs alone, or that of any initiator where the former says nothing.
    str or None
        What a reader should know of it, in a sentence.
    """
    classes = [_read_class(node_folder / name) for name in _CLASSES]
    chosen = next((access for access in classes if access.says_something), None)
    if chosen is None:
        # Without figures the firmware may still say which CPUs are nearest.
        chosen = next((access for access in classes if access.initiators), Access())
    given = chosen.initiators
    if not given or cpu_nodes is None:
        return chosen, None
    near = tuple(node for node in given if node in cpu_nodes)
    if near:
        return Access(chosen.path, near, chosen.figures), None
    note = (
        f"{chosen.path} is seen from node {', '.join(map(str, given))}, which has no CPU: hmexp ignores it."
    )
    return Access(), note if chosen.says_something else None


def _read_class(folder: Path) -> Access:
    figures: dict[str, float | None] = {}
    for name, (file, divisor) in _FILES.items():
        value = read_int(folder / "initiators" / file)
        figures[name] = value / divisor if value is not None and value > 0 else None
    return Access(folder / "initiators", tuple(numbered(folder / "initiators", "node")), figures)


def read_hmat(node_folder: Path) -> dict[str, float | None]:
    """Read the figures of one node, as seen from the best CPUs.

    Parameters
    ----------
    node_folder : Path
        ``/sys/devices/system/node/nodeN``.

    Returns
    -------
    dict of str to float or None
        One entry for each of `HMAT_FIGURES`: latencies [ns], bandwidths [GB/s]; None where the
        firmware says nothing (or 0, which is the same).
    """
    return dict(read_access(node_folder)[0].figures)
