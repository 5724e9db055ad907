"""How fast a node is by the firmware's word: the ACPI table HMAT, as the kernel shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hmexp.system.sysfs import read_int

if TYPE_CHECKING:
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


def read_hmat(node_folder: Path) -> dict[str, float | None]:
    """Read the figures of one node, as seen from its best initiators.

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
    figures: dict[str, float | None] = dict.fromkeys(HMAT_FIGURES)
    # access0 counts any initiator, access1 CPUs alone: the first one that says anything is used.
    for access in ("access0", "access1"):
        for name, (file, divisor) in _FILES.items():
            value = read_int(node_folder / access / "initiators" / file)
            figures[name] = value / divisor if value is not None and value > 0 else None
        if any(value is not None for value in figures.values()):
            break
    return figures
