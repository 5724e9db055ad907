"""Memory that is there but that no program can use: what it is, what it waits for, and the next command.

What the kernel shows of it is in its ABI documents `sysfs-bus-dax`, `sysfs-bus-nvdimm`, `sysfs-bus-cxl` and
`sysfs-devices-memory`; the commands are those of ndctl's own tools (ndctl, daxctl, cxl).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hmexp.system.dax import NodeKind, kind_of_device
from hmexp.system.memory_map import read_block_bytes
from hmexp.system.sysfs import list_folder, numbered, read_int, read_text, real_path
from hmexp.units import format_size

#: PCI class of a CXL memory device (PCI Code and ID Assignment: 05h memory, 02h CXL, 10h the interface).
_CXL_CLASS: Final = "0x050210"
#: The programs whose steps `hmexp provision` knows.
_PROVISIONED: Final = ("ndctl", "daxctl", "cxl")
_DEVICE: Final = re.compile(r"dax\d{1,6}\.\d{1,6}", re.ASCII)
#: Modes of namespaces in sysfs, and their names in ndctl, with what is in them.
_MODES: Final = {"raw": "raw", "safe": "sector", "memory": "fsdax"}


@dataclass(frozen=True)
class IdleMemory:
    """Memory that no program can use as it is.

    Parameters
    ----------
    name : str
        Of the device, such as ``dax0.0``, ``mem0``, ``region0``; ``memory blocks`` for blocks of no device.
    kind : NodeKind
        ``nvm``, ``cxl`` or ``unknown``.
    size_bytes : int or None
        How much; None where the kernel does not say [bytes].
    node : int or None
        The node that it is or would be; None where that is not known yet.
    state : str
        What it is like, as the end of a sentence: ``is in devdax mode``.
    commands : tuple of str
        What makes it usable, in this order, as root; empty where hmexp gives no advice (it may hold data).
    """

    name: str
    kind: NodeKind
    size_bytes: int | None
    node: int | None
    state: str
    commands: tuple[str, ...] = ()

    @property
    def finding(self) -> str:
        """What there is, as a sentence without its end."""
        size = "" if self.size_bytes is None else f", {format_size(self.size_bytes)}"
        return f"{self.name} ({self.kind}{size}) {self.state}"

    @property
    def remedy(self) -> str:
        """The commands, one after the other."""
        return " && ".join(self.commands)

    @property
    def note(self) -> str:
        """All of it, as a sentence for a person."""
        if not self.commands:
            return f"{self.finding}."
        planned = any(command.split()[0] in _PROVISIONED for command in self.commands)
        more = " (`hmexp provision` plans and verifies it)" if planned else ""
        return f"{self.finding}: `{self.remedy}` makes it usable{more}."


def read_idle_memory(sys_root: Path = Path("/sys")) -> tuple[IdleMemory, ...]:
    """Find the memory that is there but not usable.

    Parameters
    ----------
    sys_root : Path
        Where `/sys` is. What is missing or damaged there is passed over.
    """
    dax = list(_dax_devices(sys_root))
    named = {memory.node for memory in dax}
    return (
        *dax,
        *_namespaces(sys_root),
        *_free_regions(sys_root),
        *_cxl_memories(sys_root),
        *_cxl_without_driver(sys_root),
        *(memory for memory in _blocks(sys_root) if memory.node not in named),
    )


def _dax_devices(sys_root: Path) -> Iterator[IdleMemory]:
    bus = sys_root / "bus" / "dax"
    for device in list_folder(bus / "devices"):
        size_bytes = read_int(device / "size")
        # A device of no size is a seed: an entry from which daxctl makes new ones.
        if _DEVICE.fullmatch(device.name) is None or size_bytes == 0:
            continue
        kind, node = kind_of_device(device, sys_root), _node_of(device)
        name, driver = device.name, _driver(device, bus)
        if driver == "kmem":
            found = None if node is None else _offline(sys_root, node)
            if found is not None:
                state, waiting_bytes = found
                yield IdleMemory(
                    name, kind, waiting_bytes or size_bytes, node, state, (f"daxctl online-memory {name}",)
                )
            continue
        mode = (
            "is in devdax mode, not system memory" if driver else "has no driver, so it is not system memory"
        )
        load = () if driver else ("modprobe device_dax", "modprobe kmem")
        reconfigure = f"daxctl reconfigure-device --mode=system-ram {name}"
        yield IdleMemory(name, kind, size_bytes, node, mode, (*load, reconfigure))


def _node_of(device: Path) -> int | None:
    node = read_int(device / "target_node")
    return node if node is not None and node >= 0 else None


def _driver(device: Path, bus: Path) -> str | None:
    if os.path.lexists(device / "driver"):
        return real_path(device / "driver").name
    drivers = (each.name for each in list_folder(bus / "drivers") if os.path.lexists(each / device.name))
    return next(drivers, None)


def _offline(sys_root: Path, node: int) -> tuple[str, int | None] | None:
    """How much of a node's memory is offline, in words and in bytes; None if nothing is."""
    folder = sys_root / "devices" / "system" / "node" / f"node{node}"
    blocks = numbered(folder, "memory")
    waiting = [block for block in blocks.values() if read_text(block / "state") == "offline"]
    block_bytes = read_block_bytes(sys_root)
    if waiting:
        some = (
            "none" if len(waiting) == len(blocks) else f"{len(blocks) - len(waiting)} of {len(blocks)} blocks"
        )
        size_bytes = None if block_bytes is None else len(waiting) * block_bytes
        return f"is memory of node {node}, {some} of it online", size_bytes
    meminfo = read_text(folder / "meminfo")
    # Without its blocks, a node's total says whether anything is online; without a folder nothing is.
    empty = meminfo is None or re.search(r"MemTotal:\s+0 kB", meminfo) is not None
    return (f"is memory of node {node}, none of it online", None) if empty and not blocks else None


def _namespaces(sys_root: Path) -> Iterator[IdleMemory]:
    """Namespaces that are disks: they may hold data, so that no command is offered."""
    for device in list_folder(sys_root / "bus" / "nd" / "devices"):
        if re.fullmatch(r"namespace\d+\.\d+", device.name, re.ASCII) is None:
            continue
        mode, size_bytes = _MODES.get(read_text(device / "mode") or ""), read_int(device / "size")
        if mode is None or not size_bytes:
            continue
        yield IdleMemory(
            device.name,
            NodeKind.NVM,
            size_bytes,
            _node_of(device),
            f"is a disk in {mode} mode and may hold data: hmexp leaves it as it is",
        )


def _free_regions(sys_root: Path) -> Iterator[IdleMemory]:
    """Regions of persistent memory in which no namespace takes the room."""
    for device in list_folder(sys_root / "bus" / "nd" / "devices"):
        free_bytes = read_int(device / "available_size")
        if re.fullmatch(r"region\d+", device.name, re.ASCII) is None or not free_bytes:
            continue
        create = f"ndctl create-namespace --mode=devdax --region={device.name}"
        online = f"daxctl reconfigure-device --mode=system-ram --region={device.name[6:]} all"
        state = "has room that no namespace takes"
        yield IdleMemory(device.name, NodeKind.NVM, free_bytes, _node_of(device), state, (create, online))


def _cxl_memories(sys_root: Path) -> Iterator[IdleMemory]:
    """CXL memory devices while there is no region at all: with one, sysfs does not say whose it is."""
    devices = list_folder(sys_root / "bus" / "cxl" / "devices")
    if any(re.fullmatch(r"region\d+", device.name, re.ASCII) for device in devices):
        return
    windows = (
        device.name
        for device in devices
        if re.fullmatch(r"decoder0\.\d+", device.name, re.ASCII)
        and read_int(device / "cap_volatile_ram") == 1
    )
    window = next(windows, "decoder0.0")
    for device in devices:
        size = read_text(device / "ram" / "size")
        if re.fullmatch(r"mem\d+", device.name, re.ASCII) is None or size is None:
            continue
        size_bytes = _hexadecimal(size)
        if size_bytes:
            create = f"cxl create-region -m -t ram -d {window} -w 1 {device.name}"
            node = read_int(device / "numa_node")
            yield IdleMemory(
                device.name,
                NodeKind.CXL,
                size_bytes,
                node if node is not None and node >= 0 else None,
                "is in no region, so it has no addresses",
                (create, "daxctl online-memory all"),
            )


def _cxl_without_driver(sys_root: Path) -> Iterator[IdleMemory]:
    for device in list_folder(sys_root / "bus" / "pci" / "devices"):
        if read_text(device / "class") == _CXL_CLASS and not os.path.lexists(device / "driver"):
            yield IdleMemory(
                device.name, NodeKind.CXL, None, None, "is a CXL memory device without a driver",
                ("modprobe cxl_pci", "modprobe cxl_mem", "modprobe cxl_acpi"),
            )  # fmt: skip


def _blocks(sys_root: Path) -> Iterator[IdleMemory]:
    """Blocks of memory that are offline, by node."""
    block_bytes = read_block_bytes(sys_root)
    for node in numbered(sys_root / "devices" / "system" / "node", "node"):
        found = _offline_blocks(sys_root, node)
        if found:
            yield IdleMemory(
                "memory blocks",
                NodeKind.UNKNOWN,
                None if block_bytes is None else len(found) * block_bytes,
                node,
                f"of node {node} are offline: memory{found[0]}"
                + (f" to memory{found[-1]}, {len(found)} in all" if len(found) > 1 else ""),
                (f"chmem --enable --blocks {found[0]}-{found[-1]}",),
            )


def _offline_blocks(sys_root: Path, node: int) -> list[int]:
    blocks = numbered(sys_root / "devices" / "system" / "node" / f"node{node}", "memory")
    return [number for number, block in blocks.items() if read_text(block / "state") == "offline"]


def _hexadecimal(text: str) -> int:
    return int(text, 16) if re.fullmatch(r"(0x)?[0-9a-fA-F]{1,16}", text) else 0
