"""How a program is linked: its word size, its loader and its libraries, from the file alone."""

from __future__ import annotations

import os
import shutil
import stat
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hmexp.errors import ProgramError

_ELF: Final = b"\x7fELF"
_LOAD, _DYNAMIC, _INTERPRETER = 1, 2, 3
_NEEDED, _STRINGS = 1, 5
#: Scripts whose interpreter is a script; Linux follows no more.
_MOST_SCRIPTS: Final = 5
_LONGEST_LINE: Final = 256
_SANITIZERS: Final = ("libasan.", "libtsan.", "libhwasan.", "liblsan.")


@dataclass(frozen=True)
class Linkage:
    """How a program is linked.

    Parameters
    ----------
    path : Path
        The file whose code runs: of a script, its interpreter.
    bits : int
        32 or 64; 0 for what is no ELF program.
    machine : int
        ELF's number of the processor.
    loader : str or None
        Path of its dynamic loader; None if it is static.
    libraries : tuple of str
        Names of the libraries that it asks for itself.
    """

    path: Path
    bits: int = 0
    machine: int = 0
    loader: str | None = None
    libraries: tuple[str, ...] = ()


def find_program(command: Sequence[str], search: str | None = None) -> Path:
    """Find the file whose code a command runs; of a script that is its interpreter.

    Parameters
    ----------
    command : sequence of str
        The program and its arguments.
    search : str, optional
        The ``PATH`` to search; by default that of this process.

    Raises
    ------
    ProgramError
        If it is not found, or cannot be executed.
    """
    name = command[0] if command else ""
    found = shutil.which(name, path=search)
    if found is None:
        raise ProgramError(f"{name or 'the program'} was not found, or cannot be executed")
    for _ in range(_MOST_SCRIPTS):
        with Path(found).open("rb") as file:
            line = file.read(_LONGEST_LINE).split(b"\n")[0]
        words = [os.fsdecode(word) for word in line[2:].split()] if line.startswith(b"#!") else []
        if not words:
            break
        found = words[0]
        # `env` becomes the program that it names, with the same environment.
        if Path(found).name == "env":
            rest = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
            found = (shutil.which(rest[0], path=search) if rest else None) or found
    return Path(found)


def read_linkage(path: Path) -> Linkage:
    """Read how a program is linked; what is no ELF program has 0 bits.

    Raises
    ------
    ProgramError
        If the file cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ProgramError(f"{path} cannot be read: {error.strerror}") from error
    if not data.startswith(_ELF):
        return Linkage(path)
    try:
        return _read(path, data)
    except (struct.error, IndexError):
        return Linkage(path)


def find_obstacle(linkage: Linkage) -> str | None:
    """Why the dynamic loader would start a program without a preloaded library; None if it would not."""
    if not linkage.bits:
        return "it is no ELF program"
    if linkage.bits != 64:
        return "it is a 32-bit program"
    if linkage.machine != read_linkage(Path("/proc/self/exe")).machine:
        return "it is a program for another processor"
    if linkage.loader is None:
        return "it is linked statically, and such a program loads no library"
    if Path(linkage.loader).name.startswith("ld-musl"):
        return f"it is of another C library (its loader is {linkage.loader})"
    if any(name.startswith(_SANITIZERS) for name in linkage.libraries):
        return "it is built with a sanitizer, whose library must be the first that is loaded"
    secure = find_privileges(linkage.path)
    return None if secure is None else f"it {secure}, and the loader then ignores LD_PRELOAD"


def find_privileges(path: Path) -> str | None:
    """What makes the execution of a program secure; None if nothing does."""
    found = path.stat()
    if found.st_mode & stat.S_ISUID and found.st_uid != os.geteuid():
        return f"is set-user-ID (user {found.st_uid})"
    if found.st_mode & stat.S_ISGID and found.st_gid != os.getegid():
        return f"is set-group-ID (group {found.st_gid})"
    try:
        os.getxattr(path, "security.capability")
    except OSError:
        return None
    # Root has these capabilities already: execution is secure for others alone.
    return "has file capabilities (setcap)" if os.geteuid() else None


def _read(path: Path, data: bytes) -> Linkage:
    bits = {1: 32, 2: 64}[data[4]] if data[4] in (1, 2) else 0
    order = "<" if data[5] == 1 else ">"
    (machine,) = struct.unpack_from(f"{order}H", data, 18)
    if bits != 64:
        return Linkage(path, bits, machine)
    (start,) = struct.unpack_from(f"{order}Q", data, 32)
    size, count = struct.unpack_from(f"{order}HH", data, 54)
    loader, dynamic, loads = None, b"", []
    for index in range(count):
        at = start + index * size
        (kind,) = struct.unpack_from(f"{order}I", data, at)
        offset, address, _, length = struct.unpack_from(f"{order}QQQQ", data, at + 8)
        if kind == _INTERPRETER:
            loader = os.fsdecode(data[offset : offset + length].rstrip(b"\0"))
        elif kind == _DYNAMIC:
            dynamic = data[offset : offset + length]
        elif kind == _LOAD:
            loads.append((address, length, offset))
    return Linkage(path, bits, machine, loader, _libraries(data, order, dynamic, loads))


def _libraries(data: bytes, order: str, dynamic: bytes, loads: list[tuple[int, int, int]]) -> tuple[str, ...]:
    entries = [struct.unpack_from(f"{order}QQ", dynamic, at) for at in range(0, len(dynamic) - 15, 16)]
    table = next((value for tag, value in entries if tag == _STRINGS), None)
    if table is None:
        return ()
    base = next((table - start + at for start, length, at in loads if start <= table < start + length), None)
    if base is None:
        return ()
    names = [base + value for tag, value in entries if tag == _NEEDED]
    return tuple(os.fsdecode(data[at : data.index(b"\0", at)]) for at in names)
