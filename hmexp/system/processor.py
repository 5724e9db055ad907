"""Processors that have high-bandwidth memory on their package."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hmexp.system.sysfs import read_text, split_lines

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Enough of /proc/cpuinfo for the first CPU: on a large machine all of it takes long.
_FIRST_BYTES: Final = 8192
#: Family 6: Xeon Phi 72x0 (Knights Landing) and 72x5 (Knights Mill), which have MCDRAM.
_XEON_PHI: Final = ("87", "133")


@dataclass(frozen=True)
class HbmProcessor:
    """A processor with high-bandwidth memory.

    Parameters
    ----------
    name : str
        Its name.
    alone : bool
        Whether it has no other memory.
    source : str
        The file that names it, and what it says.
    """

    name: str
    alone: bool
    source: str


def read_hbm_processor(sys_root: Path, proc_root: Path) -> HbmProcessor | None:
    """The processor, if it is known to have high-bandwidth memory on its package; None otherwise."""
    path = sys_root / "devices/system/cpu/cpu0/regs/identification/midr_el1"
    midr = re.fullmatch(r"(?:0x)?([0-9a-fA-F]{1,16})", read_text(path) or "")
    # Arm's MIDR: implementer in bits 24 to 31 (0x46 is Fujitsu), part number in bits 4 to 15.
    if midr is not None and int(midr[1], 16) & 0xFF00FFF0 == 0x46000010:
        return HbmProcessor("A64FX", alone=True, source=f"{path} says {midr[0]}")
    path = proc_root / "cpuinfo"
    first = _read_first_cpu(path)
    name = first.get("model name", "")
    if first.get("CPU implementer", "").lower() == "0x46" and first.get("CPU part", "").lower() == "0x001":
        return HbmProcessor("A64FX", alone=True, source=f"{path} says CPU implementer 0x46, CPU part 0x001")
    if "MI300A" in name:
        return HbmProcessor("MI300A", alone=True, source=f"{path} says {name}")
    intel = first.get("vendor_id") == "GenuineIntel" and first.get("cpu family") == "6"
    if intel and first.get("model") in _XEON_PHI:
        return HbmProcessor("Xeon Phi", alone=False, source=f"{path} says model {first['model']}")
    if re.search(r"Xeon\S* CPU Max|Xeon\S* Max ", name + " "):
        return HbmProcessor("Xeon Max", alone=False, source=f"{path} says {name}")
    return None


def _read_first_cpu(path: Path) -> Mapping[str, str]:
    try:
        with path.open("rb") as file:
            text = file.read(_FIRST_BYTES).decode("utf-8", "replace")
    except OSError:
        return {}
    found: dict[str, str] = {}
    for line in split_lines(text):
        key, _, value = line.partition(":")
        found.setdefault(key.strip(), value.strip())
    return found
