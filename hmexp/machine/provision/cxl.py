"""CXL memory devices with volatile memory that no region uses yet."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from hmexp.machine.provision.state import CxlState, HalfRegion
from hmexp.system.sysfs import list_folder, read_text, real_path


def read_half_region(sys_root: Path, region: str | None, endpoint: str | None) -> HalfRegion | None:
    """What is left of a region whose making was interrupted; None if nothing is, or if it was completed."""
    if region is None or endpoint is None:
        return None
    folder = sys_root / "bus/cxl/devices"
    is_there = os.path.lexists(folder / region)
    if os.path.lexists(folder / region / "driver"):
        return None
    user = read_text(folder / endpoint / "region") or ""
    holds = _size(folder / endpoint / "dpa_size") > 0 and user in ("", region)
    if not is_there and not holds:
        return None
    root = real_path(folder / region).parent.name if is_there else None
    return HalfRegion(region, root, endpoint, holds)


def read_cxl(sys_root: Path, freed: str | None = None) -> tuple[CxlState, ...]:
    """List the CXL memory devices that could become memory and are not mapped; empty where there are none.

    Parameters
    ----------
    sys_root : Path
        Where `/sys` is.
    freed : str, optional
        A decoder that counts as free, because it soon is.
    """
    folder = sys_root / "bus/cxl/devices"
    entries = [each.name for each in list_folder(folder)]
    memories = sorted(each for each in entries if re.fullmatch(r"mem\d+", each, re.ASCII))
    root = next(
        (each for each in sorted(entries) if os.path.lexists(folder / each / "create_ram_region")), None
    )
    if root is None:
        return ()
    region = read_text(folder / root / "create_ram_region") or ""
    if re.fullmatch(r"region\d+", region, re.ASCII) is None:
        return ()
    found = []
    for name in memories:
        ram_bytes = _size(folder / name / "ram/size")
        decoders = list(_decoders(folder, entries, name, alone=len(memories) == 1))
        used = [each for each in decoders if each != freed and _size(folder / each / "dpa_size")]
        if ram_bytes and decoders and not used:
            found.append(CxlState(name, ram_bytes, decoders[0], root, region))
    # The kernel's next region is one: the second device is planned when the first has become one.
    return tuple(found)


def _decoders(folder: Path, entries: list[str], memory: str, *, alone: bool) -> Iterator[str]:
    """The decoders of a device's endpoint, in order."""
    for name in sorted(entries):
        if not re.fullmatch(r"decoder\d+\.\d+", name, re.ASCII) or not os.path.lexists(
            folder / name / "dpa_size"
        ):
            continue
        port = real_path(folder / name).parent
        if real_path(port / "uport").name == memory or (alone and not os.path.lexists(port / "uport")):
            yield name


def _size(path: Path) -> int:
    text = read_text(path) or ""
    return int(text, 0) if re.fullmatch(r"0x[0-9a-fA-F]{1,16}|\d{1,20}", text, re.ASCII) else 0
