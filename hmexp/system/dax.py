"""Memory that a device lends to the system: which node it went to, and what it is made of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from hmexp.system.sysfs import read_int

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class NodeKind(StrEnum):
    """What the memory of a node is."""

    DRAM = "dram"
    NVM = "nvm"
    CXL = "cxl"
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
    """

    name: str
    node: int
    kind: NodeKind


def read_dax_memory(sys_root: Path) -> tuple[DaxMemory, ...]:
    """List the DAX devices whose memory is system memory; empty when there are none."""
    folder = sys_root / "bus" / "dax" / "devices"
    found = []
    try:
        devices = sorted(folder.iterdir())
    except OSError:
        return ()
    for device in devices:
        # A device with another driver (device_dax) is a file in /dev, not memory of a node.
        if (device / "driver").resolve().name != "kmem":
            continue
        node = read_int(device / "target_node")
        if node is not None and node >= 0:
            found.append(DaxMemory(device.name, node, _kind_of(device, sys_root)))
    return tuple(found)


def _kind_of(device: Path, sys_root: Path) -> NodeKind:
    root, real = sys_root.resolve(), device.resolve()
    if not real.is_relative_to(root):
        return NodeKind.UNKNOWN
    parts = real.relative_to(root).parts
    chain = [root.joinpath(*parts[:depth]) for depth in range(1, len(parts) + 1)]
    buses = {(each / "subsystem").resolve().name for each in chain if (each / "subsystem").exists()}
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
