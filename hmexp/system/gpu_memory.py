"""Nodes whose memory is that of a GPU, by the word of its driver or of its place on the PCI bus."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from hmexp.system.sysfs import list_folder, read_int, read_text

if TYPE_CHECKING:
    from pathlib import Path

_NODE: Final = re.compile(r"^Node:[ \t]*(\d{1,9})[ \t]*$", re.MULTILINE | re.ASCII)
# Classes of the PCI code assignment: 3D controllers, other display controllers, processing accelerators.
# A VGA controller (0x0300) has no node of its own.
_CLASSES: Final = ("0x0302", "0x0380", "0x1200")


def read_gpu_nodes(proc_root: Path) -> dict[int, str]:
    """Nodes that NVIDIA's driver calls a GPU's memory, each with the file and what it says."""
    found = {}
    for gpu in list_folder(proc_root / "driver" / "nvidia" / "gpus"):
        path = gpu / "numa_status"
        match = _NODE.search(read_text(path) or "")
        if match is not None:
            found[int(match[1])] = f"{path} says Node: {match[1]}"
    return found


def read_device_nodes(sys_root: Path) -> dict[int, str]:
    """Nodes that GPUs and accelerators stand on, each with the file and what it says.

    A GPU stands on a node with CPUs, unless it brought a node of its own.
    """
    found = {}
    for device in list_folder(sys_root / "bus" / "pci" / "devices"):
        kind = read_text(device / "class") or ""
        if kind[:6].lower() in _CLASSES:
            node = read_int(device / "numa_node")
            if node is not None and node >= 0:
                found[node] = f"{device / 'numa_node'} says {node}, and {device.name} is of class {kind[:10]}"
    return found
