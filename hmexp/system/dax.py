"""Memory that a device lends to the system: which node it went to, and what it is made of."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from hmexp.system.sysfs import list_folder, read_int, real_path

if TYPE_CHECKING:
    from collections.abc import Iterable


class NodeKind(StrEnum):
    """What the memory of a node is."""

    DRAM = "dram"
    NVM = "nvm"
    CXL = "cxl"
    HBM = "hbm"
    GPU = "gpu"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class DaxMemory:
    """A DAX device in system-ram mode (driver `kmem`).

    Parameters
    ----------
    name : str
        Name of the device, such as ``dax0.0``.
    node : int
        The node its memory belongs to.
    kind : NodeKind
        What it is, according to the buses it is attached to.
    size_bytes : int or None
        Its size; None where the kernel does not say [bytes].
    path : Path
        Where it is in the tree of devices.
    """

    name: str
    node: int
    kind: NodeKind
    size_bytes: int | None = None
    path: Path = Path()

    @property
    def is_soft_reserved(self) -> bool:
        """Whether it is memory that the firmware set aside for a special purpose."""
        return self.kind is NodeKind.UNKNOWN and any(part.startswith("hmem") for part in self.path.parts)

    def __str__(self) -> str:
        what = "soft-reserved memory" if self.is_soft_reserved else f"{self.kind}"
        return f"{self.name} ({what})"


def read_dax_memory(sys_root: Path) -> tuple[DaxMemory, ...]:
    """List the DAX devices whose memory is system memory; empty when there are none."""
    folder = sys_root / "bus" / "dax"
    found = []
    for device in list_folder(folder / "devices"):
        # A device with another driver (device_dax) is a file in /dev, not memory of a node.
        if not _is_lent(device, folder):
            continue
        node = read_int(device / "target_node")
        if node is not None and node >= 0:
            size_bytes = read_int(device / "size")
            found.append(
                DaxMemory(
                    device.name,
                    node,
                    kind_of_device(device, sys_root),
                    size_bytes if size_bytes is not None and size_bytes > 0 else None,
                    real_path(device),
                )
            )
    return tuple(found)


def _is_lent(device: Path, folder: Path) -> bool:
    if os.path.lexists(device / "driver"):
        return real_path(device / "driver").name == "kmem"
    return os.path.lexists(folder / "drivers" / "kmem" / device.name)


def kind_of_device(device: Path, sys_root: Path) -> NodeKind:
    """What the memory of a device is, by the buses that it is attached to.

    Parameters
    ----------
    device : Path
        The device, or a link to it.
    sys_root : Path
        Where `/sys` is.

    Returns
    -------
    NodeKind
        ``nvm``, ``cxl`` or ``unknown``.
    """
    root, real = real_path(sys_root), real_path(device)
    if not real.is_relative_to(root):
        return NodeKind.UNKNOWN
    parts = real.relative_to(root).parts
    chain = [root.joinpath(*parts[:depth]) for depth in range(1, len(parts) + 1)]
    buses = {real_path(each / "subsystem").name for each in chain if os.path.lexists(each / "subsystem")}
    # Persistent memory first: behind CXL it hangs from an nvdimm bus below a CXL device, and what
    # makes it NVM is the nvdimm bus. "region0" alone says nothing: both kinds have one.
    if "nd" in buses or _any_matches(parts, r"ndbus\d+"):
        return NodeKind.NVM
    if "cxl" in buses or _any_matches(parts, r"ACPI0017:.*|decoder\d+\.\d+|dax_region\d+|cxl.*"):
        return NodeKind.CXL
    # For instance hmem: memory that the firmware set aside, which may be HBM as well as CXL.
    return NodeKind.UNKNOWN


def _any_matches(parts: Iterable[str], expression: str) -> bool:
    return any(re.fullmatch(expression, part) for part in parts)
