"""The caches of the CPUs, as the kernel describes them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from hmexp.system.sysfs import read_int, read_text
from hmexp.units import KIB, format_size

#: Memory of so many times the last-level cache is far over it.
FAR_OVER: Final = 4
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


def explain_cached(size_bytes: int, cache_bytes: int | None) -> str | None:
    """Say how far a region of this size shows the cache, and not the memory behind it.

    Parameters
    ----------
    size_bytes : int
        What is walked [bytes].
    cache_bytes : int or None
        As of `last_level_cache_bytes` [bytes].

    Returns
    -------
    str or None
        How the sentence goes on after the size; None if it is far over the cache, or that is not known.
    """
    if cache_bytes is None or size_bytes >= FAR_OVER * cache_bytes:
        return None
    cache = format_size(cache_bytes)
    if size_bytes <= cache_bytes:
        return f"fits in the last-level cache ({cache}): that is measured, not the memory"
    return f"is not far over the last-level cache ({cache}), which is a part of what is measured"
