"""Where a node's memory is in the physical address space, and what the kernel says lies there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hmexp.system.dax import NodeKind
from hmexp.system.sysfs import list_folder, numbered, read_text, split_lines

if TYPE_CHECKING:
    from pathlib import Path

_HEX: Final = re.compile(r"(?:0x)?([0-9a-fA-F]{1,16})")
_LINE: Final = re.compile(r"\s*([0-9a-f]{1,16})-([0-9a-f]{1,16}) : (.+)", re.ASCII)
#: A node's memory counts as lying in a range if at least this part of it does.
_NEARLY_ALL: Final = 0.9
#: What /proc/iomem calls memory that is no plain DRAM, or may be none.
_NAMES: Final = (
    (re.compile(r"CXL Window \d+"), NodeKind.CXL),
    (re.compile(r"Persistent Memory(?: \(legacy\))?"), NodeKind.NVM),
    (re.compile(r"Soft Reserved"), NodeKind.UNKNOWN),
)


@dataclass(frozen=True)
class AddressRange:
    """A range of physical addresses, and what is there.

    Parameters
    ----------
    first, last : int
        First and last address.
    kind : NodeKind
        What is there; ``unknown`` is memory that the firmware set aside.
    source : str
        The file that says so, and what it says.
    """

    first: int
    last: int
    kind: NodeKind
    source: str


def read_block_bytes(sys_root: Path) -> int | None:
    """Size of a block of memory, the unit of hotplug; None where the kernel shows none [bytes]."""
    return _read_hex(sys_root / "devices" / "system" / "memory" / "block_size_bytes") or None


def read_blocks(sys_root: Path, node_id: int) -> tuple[int, ...]:
    """Numbers of a node's blocks of memory, ascending; a block begins at its number times its size."""
    return tuple(numbered(sys_root / "devices" / "system" / "node" / f"node{node_id}", "memory"))


def read_special_ranges(sys_root: Path, proc_root: Path) -> tuple[AddressRange, ...]:
    """Ranges that are no plain DRAM: CXL's regions and decoders, and those of `/proc/iomem`.

    Addresses are shown to root alone; for others there are none.
    """
    found = [*_read_cxl(sys_root), *_read_iomem(proc_root / "iomem")]
    # What is set aside may hold a window of CXL, or lie in one: what is known comes first.
    return tuple(sorted(found, key=lambda one: one.kind is NodeKind.UNKNOWN))


def find_range(
    blocks: Iterable[int], block_bytes: int, ranges: Iterable[AddressRange]
) -> AddressRange | None:
    """The first range in which nearly all of these blocks lie; None if there is none."""
    starts = [number * block_bytes for number in blocks]
    for one in ranges:
        inside = sum(one.first <= start and start + block_bytes - 1 <= one.last for start in starts)
        if starts and inside >= _NEARLY_ALL * len(starts):
            return one
    return None


def _read_cxl(sys_root: Path) -> list[AddressRange]:
    found = []
    folder = sys_root / "bus" / "cxl" / "devices"
    for region in numbered(folder, "region").values():
        # A region of persistent memory is NVM behind CXL.
        kind = NodeKind.NVM if read_text(region / "mode") == "pmem" else NodeKind.CXL
        found.append(_range_of(region / "resource", region / "size", kind))
    found += [
        _range_of(decoder / "start", decoder / "size", NodeKind.CXL)
        for decoder in list_folder(folder)
        if re.fullmatch(r"decoder\d{1,9}\.\d{1,9}", decoder.name, re.ASCII)
    ]
    return [one for one in found if one is not None]


def _range_of(start: Path, size: Path, kind: NodeKind) -> AddressRange | None:
    first, length = _read_hex(start), _read_hex(size)
    if not first or not length:
        return None
    return AddressRange(first, first + length - 1, kind, f"{start} says {first:#x}, {size.name} {length:#x}")


def _read_iomem(path: Path) -> list[AddressRange]:
    found = []
    for line in split_lines(read_text(path) or ""):
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        first, last, name = int(match[1], 16), int(match[2], 16), match[3].strip()
        kind = next((kind for pattern, kind in _NAMES if pattern.fullmatch(name)), None)
        if kind is not None and first < last:
            found.append(AddressRange(first, last, kind, f"{path} says {match[1]}-{match[2]} : {name}"))
    return found


def _read_hex(path: Path) -> int | None:
    match = _HEX.fullmatch(read_text(path) or "")
    return int(match[1], 16) if match is not None else None
