"""The options that a kernel was built with: where they are found, and which of them matter here."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LINE: Final = re.compile(r"^CONFIG_(\w+)=(.*)$", re.MULTILINE | re.ASCII)


@dataclass(frozen=True)
class Need:
    """Options that belong together, and what does not work without them.

    Parameters
    ----------
    options : tuple of str
        Their names, without ``CONFIG_``.
    without : str
        What a kernel without one of them cannot do.
    signs : tuple of str
        Files below the root that say that this machine has what they are for; none: every machine.
    essential : bool
        Nothing can be measured without them.
    """

    options: tuple[str, ...]
    without: str
    signs: tuple[str, ...] = ()
    essential: bool = False


_DAX_SIGNS: Final = (
    "sys/bus/dax/devices/*", "sys/bus/nd/devices/*", "sys/bus/cxl/devices/*", "sys/firmware/acpi/tables/NFIT",
    "sys/firmware/acpi/tables/CEDT",
)  # fmt: skip

NEEDS: Final = (
    Need(("NUMA",), "there are no nodes to place pages on", essential=True),
    Need(("PROC_PAGE_MONITOR",), "nothing shows which frames and huge pages a region has"),
    Need(("MIGRATION",), "the placer move_pages cannot move pages"),
    Need(("USERFAULTFD",), "the placer userfaultfd cannot work"),
    Need(("TRANSPARENT_HUGEPAGE",), "there are no pages of 2MiB to measure"),
    Need(
        ("MEMORY_HOTPLUG", "DEV_DAX", "DEV_DAX_KMEM"),
        "persistent and CXL memory cannot become a NUMA node",
        _DAX_SIGNS,
    ),
    Need(("LIBNVDIMM", "ACPI_NFIT"), "NVDIMMs are not seen", ("sys/firmware/acpi/tables/NFIT",)),
    Need(
        ("CXL_BUS", "CXL_ACPI", "CXL_PORT", "CXL_MEM", "CXL_REGION"),
        "CXL memory is not seen",
        ("sys/firmware/acpi/tables/CEDT",),
    ),
    Need(
        ("ACPI_HMAT",),
        "the firmware's speeds of the nodes are not shown, and kinds are guessed without them",
        ("sys/firmware/acpi/tables/HMAT",),
    ),
)  # fmt: skip

#: Options of kernels for finding mistakes. What a program measures in its own loops hardly suffers; faults,
#: migrations and placing do.
DEBUGGING: Final = (
    "KASAN", "KCSAN", "KMSAN", "PROVE_LOCKING", "DEBUG_PAGEALLOC_ENABLE_DEFAULT", "DEBUG_KMEMLEAK",
    "DEBUG_VM", "PAGE_OWNER", "PAGE_TABLE_CHECK_ENFORCED",
)  # fmt: skip


def parse_options(text: str) -> dict[str, str]:
    """Read a kernel's configuration: the options that are set, by their names without ``CONFIG_``."""
    return {match[1]: match[2] for match in _LINE.finditer(text)}


def read_options(root: Path, release: str | None) -> tuple[dict[str, str], Path] | None:
    """Read the options of the kernel that runs.

    Parameters
    ----------
    root : Path
        Where `/proc`, `/boot` and `/lib` are.
    release : str or None
        The kernel's release.

    Returns
    -------
    (dict, Path) or None
        The options, and the file that has them; None if no file that has them can be read.
    """
    places = [root / "proc/config.gz"]
    if release:
        places += [root / f"boot/config-{release}", root / f"lib/modules/{release}/config"]
        places += [root / f"usr/lib/modules/{release}/config", root / f"lib/modules/{release}/build/.config"]
    for path in places:
        try:
            data = path.read_bytes()
            text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8", "replace")
        except (OSError, EOFError, zlib.error):
            continue
        options = parse_options(text)
        if options:
            return options, path
    return None


def missing(need: Need, options: Mapping[str, str]) -> tuple[str, ...]:
    """The options of a need that the kernel does not have."""
    return tuple(name for name in need.options if options.get(name) not in ("y", "m"))


def has_signs(need: Need, root: Path) -> bool:
    """Whether this machine has what the options are for."""
    return not need.signs or any(next(root.glob(sign), None) is not None for sign in need.signs)
