"""Memory devices of the firmware's tables, as they are, cut off, and damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmexp.system.firmware import read_firmware, read_memory_devices

END = bytes([127, 4, 0xFF, 0xFE]) + b"\0\0"
GIB = 1 << 30


def structure(kind: int, fields: dict[int, tuple[int, int]], length: int, *strings: str) -> bytes:
    """A structure: offset -> (size, value), its length, and its strings."""
    data = bytearray(length)
    data[0], data[1] = kind, length
    for offset, (size, value) in fields.items():
        data[offset : offset + size] = value.to_bytes(size, "little")
    return bytes(data) + (b"".join(text.encode() + b"\0" for text in strings) or b"\0") + b"\0"


def dimm(size: int, kind: int = 0x1A, technology: int = 3, length: int = 0x5C, extended: int = 0) -> bytes:
    """A DDR4 of 2933 MT/s that runs at 2666, in the form of SMBIOS 3.3; shorter ones are older."""
    fields = {
        0x0A: (2, 64), 0x0C: (2, size), 0x10: (1, 1), 0x11: (1, 2), 0x12: (1, kind), 0x15: (2, 2933),
        0x17: (1, 3), 0x18: (1, 4), 0x19: (1, 5), 0x1A: (1, 6), 0x1B: (1, 2), 0x1C: (4, extended),
        0x20: (2, 2666), 0x28: (1, technology),
    }  # fmt: skip
    kept = {offset: value for offset, value in fields.items() if offset + value[0] <= length}
    words = ("DIMM_A1", "NODE 1", "Some Maker ", "SERIAL-42", "ASSET-7", "PART-9  ")
    return structure(17, kept, length, *words)


def read(folder: Path, table: bytes) -> dict[str, object] | None:
    file = folder / "firmware/dmi/tables/DMI"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(table)
    return read_memory_devices(folder)


def devices(folder: Path, table: bytes) -> list[dict[str, object]]:
    found = read(folder, table)
    assert found is not None
    assert isinstance(found["devices"], list)
    return found["devices"]


def test_devices_and_empty_slots(tmp_path: Path) -> None:
    bios = structure(0, {}, 24, "Some Vendor", "1.2", "01/02/2026")
    optane = dimm(0x7FFF, kind=0x1F, technology=7, extended=128 * 1024)
    table = bios + dimm(16384) + dimm(0) + optane + structure(1, {}, 27) + dimm(0) + END
    found = read(tmp_path, table)
    assert found is not None and found["empty_slots"] == 2
    first, second = devices(tmp_path, table)
    assert first == {
        "slot": "DIMM_A1", "bank": "NODE 1", "size_bytes": 16 * GIB, "type": "DDR4", "technology": "DRAM",
        "width_bits": 64, "speed_mtps": 2933, "configured_mtps": 2666, "ranks": 2,
        "manufacturer": "Some Maker", "part": "PART-9",
    }  # fmt: skip
    assert second["size_bytes"] == 128 * GIB
    assert second["type"] == "logical non-volatile device"
    assert second["technology"] == "Intel Optane persistent memory"
    for private in ("SERIAL-42", "ASSET-7"):
        assert private not in json.dumps(found)


def test_older_tables_are_shorter_and_what_they_lack_is_none(tmp_path: Path) -> None:
    (old,) = devices(tmp_path, dimm(2048, length=0x15) + END)
    assert old["size_bytes"] == 2 * GIB and old["type"] == "DDR4"
    assert old["speed_mtps"] is old["configured_mtps"] is old["technology"] is old["part"] is None


@pytest.mark.parametrize(
    ("size", "extended", "size_bytes"),
    [(0x8000 | 512, 0, 512 * 1024), (0xFFFF, 0, None), (0x7FFF, 0, None), (0x7FFF, 65536, 64 * GIB)],
)
def test_sizes(tmp_path: Path, size: int, extended: int, size_bytes: int | None) -> None:
    (found,) = devices(tmp_path, dimm(size, extended=extended) + END)
    assert found["size_bytes"] == size_bytes


def test_speeds_too_large_for_the_old_field(tmp_path: Path) -> None:
    fields = {0x0C: (2, 1024), 0x12: (1, 0x99), 0x15: (2, 0xFFFF), 0x20: (2, 0), 0x54: (4, 70000)}
    (found,) = devices(tmp_path, structure(17, fields, 0x5C) + END)
    assert found["speed_mtps"] == 70000 and found["configured_mtps"] is None
    assert found["type"] == "0x99" and found["slot"] is None


def test_no_tables_are_no_error(tmp_path: Path) -> None:
    assert read_memory_devices(tmp_path) is None
    for nothing in (b"", b"\0", END, b"\x11\x00\x00\x00\0\0", b"\x11\x54\x00\x00"):
        assert read(tmp_path, nothing) is None
    assert set(read_firmware(tmp_path).values()) == {None}


@given(data=st.data())
def test_damaged_tables_are_no_error(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    table = bytearray(dimm(16384) + dimm(8192) + END)
    for _ in range(data.draw(st.integers(0, 8))):
        table[data.draw(st.integers(0, len(table) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(table[: data.draw(st.integers(0, len(table)))])
    found = read(tmp_path_factory.mktemp("sys"), cut + data.draw(st.binary(max_size=40)))
    assert found is None or json.loads(json.dumps(found)) == found
