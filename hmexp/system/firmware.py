"""What the firmware says of the machine: its version, and the memory devices in their slots.

The tables are SMBIOS (DMTF DSP0134, version 3.7): `/sys/firmware/dmi/tables/DMI`, which only root may read.
Serial numbers, asset tags and UUIDs are passed over: they would name the machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hmexp.system.sysfs import read_text

_MEMORY_DEVICE: Final = 17
_END: Final = 127
_HEADER_BYTES: Final = 4
_MIB: Final = 1 << 20
#: Section 7.18.2 of the specification; others are shown by their number.
_TYPES: Final = {
    0x01: "other", 0x02: "unknown", 0x03: "DRAM", 0x07: "RAM", 0x0F: "SDRAM", 0x12: "DDR", 0x13: "DDR2",
    0x18: "DDR3", 0x1A: "DDR4", 0x1B: "LPDDR", 0x1C: "LPDDR2", 0x1D: "LPDDR3", 0x1E: "LPDDR4",
    0x1F: "logical non-volatile device", 0x20: "HBM", 0x21: "HBM2", 0x22: "DDR5", 0x23: "LPDDR5",
    0x24: "HBM3",
}  # fmt: skip
#: Section 7.18.6.
_TECHNOLOGIES: Final = {
    0x01: "other", 0x02: "unknown", 0x03: "DRAM", 0x04: "NVDIMM-N", 0x05: "NVDIMM-F", 0x06: "NVDIMM-P",
    0x07: "Intel Optane persistent memory",
}  # fmt: skip
_FACTS: Final = ("bios_vendor", "bios_version", "bios_date", "board_vendor", "board_name")


@dataclass(frozen=True)
class _Structure:
    """One structure of the tables: what a field before its end holds."""

    kind: int
    data: bytes
    strings: tuple[str, ...]

    def number(self, offset: int, size: int) -> int | None:
        """A number; None where the structure, of an older version, ends before."""
        if offset + size > len(self.data):
            return None
        return int.from_bytes(self.data[offset : offset + size], "little")

    def text(self, offset: int) -> str | None:
        """A string by its number; None if there is none."""
        number = self.number(offset, 1) or 0
        return self.strings[number - 1] or None if 0 < number <= len(self.strings) else None


def read_firmware(sys_root: Path) -> dict[str, str | None]:
    """Read the firmware's and the board's maker and version; what cannot be read is None."""
    return {name: read_text(sys_root / "class/dmi/id" / name) for name in _FACTS}


def read_memory_devices(sys_root: Path) -> dict[str, object] | None:
    """Read the memory devices (DIMMs and the like) that the firmware lists.

    Parameters
    ----------
    sys_root : Path
        Where `/sys` is.

    Returns
    -------
    dict or None
        ``devices``, each with its slot, type, size [bytes] and speeds [MT/s], and how many slots are empty
        (``empty_slots``). None if the tables cannot be read, or list none. Tables that are cut off or damaged
        give what stands before the damage.
    """
    try:
        table = (sys_root / "firmware/dmi/tables/DMI").read_bytes()
    except OSError:
        return None
    slots = [one for one in _structures(table) if one.kind == _MEMORY_DEVICE]
    devices = [_device(one) for one in slots if one.number(0x0C, 2) != 0]
    return {"devices": devices, "empty_slots": len(slots) - len(devices)} if slots else None


def _structures(table: bytes) -> Iterator[_Structure]:
    at = 0
    while at + _HEADER_BYTES <= len(table):
        kind, length = table[at], table[at + 1]
        strings_at = at + length
        if length < _HEADER_BYTES or strings_at > len(table):
            return
        # Strings end with a zero byte each, and all of them with one more; without strings there are two.
        end = table.find(b"\0\0", strings_at)
        if end < 0:
            return
        texts = table[strings_at:end].split(b"\0") if end > strings_at else []
        words = tuple(text.decode("ascii", "replace").strip() for text in texts)
        yield _Structure(kind, table[at:strings_at], words)
        if kind == _END:
            return
        at = end + 2


def _device(one: _Structure) -> dict[str, object]:
    return {
        "slot": one.text(0x10),
        "bank": one.text(0x11),
        "size_bytes": _size(one),
        "type": _named(one.number(0x12, 1), _TYPES),
        "technology": _named(one.number(0x28, 1), _TECHNOLOGIES),
        "width_bits": _known(one.number(0x0A, 2)),
        "speed_mtps": _speed(one, 0x15, 0x54),
        "configured_mtps": _speed(one, 0x20, 0x58),
        "ranks": ((one.number(0x1B, 1) or 0) & 0xF) or None,
        "manufacturer": one.text(0x17),
        "part": one.text(0x1A),
    }


def _size(one: _Structure) -> int | None:
    size = _known(one.number(0x0C, 2))
    if size == 0x7FFF:
        extended = one.number(0x1C, 4)
        return (extended & 0x7FFFFFFF) * _MIB if extended else None
    if size is None:
        return None
    return (size & 0x7FFF) << 10 if size & 0x8000 else size * _MIB


def _speed(one: _Structure, offset: int, extended_offset: int) -> int | None:
    speed = one.number(offset, 2)
    if speed == 0xFFFF:
        speed = one.number(extended_offset, 4)
    return speed or None


def _known(number: int | None) -> int | None:
    return None if number in (0, 0xFFFF) else number


def _named(number: int | None, names: dict[int, str]) -> str | None:
    return None if number is None else names.get(number, f"{number:#x}")
