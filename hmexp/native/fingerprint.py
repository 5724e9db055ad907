"""The files that the C core is built from, in one number: a compiled core says which ones it was made of."""

from __future__ import annotations

import zlib
from pathlib import Path

#: Beside the sources, but made by cffi.
_GENERATED = "_core.c"


def fingerprint(folder: Path) -> int | None:
    """CRC-32 of the names and contents of all C files of a folder; None if there are none.

    It distinguishes an old core from a new one; it is no guard against anybody.
    """
    paths = sorted(path for path in folder.glob("*.[ch]") if path.name != _GENERATED)
    found = 0
    for path in paths:
        found = zlib.crc32(path.name.encode() + b"\0" + path.read_bytes(), found)
    return found if paths else None
