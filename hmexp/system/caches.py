"""The caches of the CPUs, as the kernel describes them."""

from __future__ import annotations

import re
from pathlib import Path

from hmexp.system.sysfs import read_int, read_text
from hmexp.units import KIB

_SIZE = re.compile(r"(\d+)K")


def last_level_cache_bytes(sys_root: Path = Path("/sys")) -> int | None:
    """The size of one cache of the highest level; None where the kernel does not say it.

    Parameters
    ----------
    sys_root : Path
        Root of the kernel's file system of devices.

    Returns
    -------
    int or None
        The size [bytes].
    """
    found = []
    for folder in (sys_root / "devices/system/cpu").glob("cpu[0-9]*/cache/index[0-9]*"):
        level, size = read_int(folder / "level"), _SIZE.fullmatch((read_text(folder / "size") or "").strip())
        if level is not None and size is not None:
            found.append((level, int(size[1]) * KIB))
    return max(found)[1] if found else None
