"""What the preload library counts, in a file that all processes of a program share."""

from __future__ import annotations

import errno
import os
import struct
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from hmexp.errors import ParseError
from hmexp.units import format_size

# native/preload/preload.h: struct hm_counters.
_MAGIC: Final = b"HMPRELD1"
_NAMES, _NAME_BYTES = 24, 160
_COUNTS: Final = 12
_HEAD: Final = struct.Struct(f"=8s{_COUNTS}Q")
FILE_BYTES: Final = _HEAD.size + _NAMES * _NAME_BYTES


@dataclass(frozen=True)
class PreloadCounters:
    """What the library did, in all processes of a program together.

    Parameters
    ----------
    processes : int
        Programs that it has started in; a fork alone is none.
    mappings, bytes : int
        Mappings that were given to the device, and how large they were when made [bytes].
    reservations : int
        Mappings given to it that were not accessible when made: address space, not memory.
    ordinary, ordinary_bytes : int
        Large mappings that stayed ordinary because the device failed, and their size [bytes].
    last_errno : int
        Of the last such failure; 0 for none.
    out_of_phase : int
        Large mappings that the program moved to an address of its choice, at which the pattern is shifted.
    reopened : int
        Times that the device was opened again because the program had closed its descriptor.
    without_device : int
        Programs in which the device could not be opened.
    deepbind : int
        Libraries that were to be loaded with RTLD_DEEPBIND, and were loaded without.
    uncovered : int
        Times that a program was started in which the library cannot be.
    names : tuple of (str, str)
        Reason and path of the first of these.
    """

    processes: int
    mappings: int
    bytes: int
    reservations: int
    ordinary: int
    ordinary_bytes: int
    last_errno: int
    out_of_phase: int
    reopened: int
    without_device: int
    deepbind: int
    uncovered: int
    names: tuple[tuple[str, str], ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know: what was not placed, and why."""
        found = []
        why = os.strerror(self.last_errno) if self.last_errno else "unknown"
        if self.ordinary:
            code = errno.errorcode.get(self.last_errno, str(self.last_errno))
            found.append(
                f"{self.ordinary} large mappings ({format_size(self.ordinary_bytes)}) stayed ordinary "
                f"memory: /dev/hybridmem failed ({why}, {code})"
            )
        if self.without_device:
            found.append(f"{self.without_device} processes could not open /dev/hybridmem: {why}")
        if self.out_of_phase:
            found.append(
                f"{self.out_of_phase} large mappings were moved (mremap) to addresses of the program's "
                "choice, where the pattern is shifted"
            )
        if self.deepbind:
            found.append(f"{self.deepbind} libraries were loaded without RTLD_DEEPBIND: there is one malloc")
        if self.uncovered:
            shown = ", ".join(f"{path} ({reason})" for reason, path in dict.fromkeys(self.names))
            found.append(f"{self.uncovered} programs were started that the library cannot be in: {shown}")
        return tuple(found)


def create_counters(path: Path) -> None:
    """Make a file to count in; only its owner may read it.

    Parameters
    ----------
    path : Path
        Where; nothing may be there.
    """
    with path.open("xb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(_MAGIC.ljust(FILE_BYTES, b"\0"))


def read_counters(path: Path) -> PreloadCounters:
    """Read what has been counted so far.

    Raises
    ------
    ParseError
        If it is no such file.
    """
    data = path.read_bytes()
    if len(data) < FILE_BYTES or not data.startswith(_MAGIC):
        raise ParseError(f"{path} has no counters of the preload library")
    counts = _HEAD.unpack_from(data)[1:]
    names = []
    for at in range(_HEAD.size, FILE_BYTES, _NAME_BYTES):
        reason, separator, name = data[at : at + _NAME_BYTES].split(b"\0")[0].partition(b"\t")
        if separator:
            names.append((reason.decode("ascii", "replace"), name.decode("utf-8", "replace")))
    keys = [field.name for field in fields(PreloadCounters) if field.name != "names"]
    return PreloadCounters(**dict(zip(keys, counts, strict=True)), names=tuple(names))
