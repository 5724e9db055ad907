"""What kind of program a command starts: found in the path, static or dynamic, and with whose rights."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hmexp.errors import StartError

_ELF: Final = b"\x7fELF"
_INTERPRETER: Final = 3  # PT_INTERP
_LONGEST_LINE: Final = 256
#: Scripts whose interpreter is a script; Linux follows no more.
_MOST_SCRIPTS: Final = 5


@dataclass(frozen=True)
class Executable:
    """The program that a command starts.

    Parameters
    ----------
    path : str
        The file that is executed.
    program : str
        The file whose code runs: the interpreter, where `path` is a script.
    elf : bool
        Whether that is an ELF program, as it should be.
    bits : int
        32 or 64; 0 where it is none.
    loader : str or None
        Its dynamic loader; None for a static program.
    secure : str or None
        Why it runs with other rights than those of its caller (``set-user-id root``); None if it does not.
    """

    path: str
    program: str
    elf: bool = False
    bits: int = 0
    loader: str | None = None
    secure: str | None = None

    @property
    def static(self) -> bool:
        """Whether it is an ELF program without a dynamic loader."""
        return self.elf and self.loader is None


def find_executable(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Executable:
    """Find the program of a command as a shell does, and look at it.

    Parameters
    ----------
    command : sequence of str
        The program and its arguments.
    environment : mapping, optional
        Has the ``PATH`` to search; by default this process's own.

    Raises
    ------
    StartError
        With status 127 if it is not found, 126 if it cannot be executed.
    """
    if not command or not command[0]:
        raise StartError("no program was named", "write it after --, as in: hmexp run -- sort big.txt", 125)
    name = command[0]
    search = (os.environ if environment is None else environment).get("PATH", os.defpath)
    found = name if "/" in name else shutil.which(name, path=search)
    if found is None:
        raise StartError(f"{name} was not found in PATH ({search})", "name the program by its path", 127)
    _require_executable(found)
    return _look(found)


def _require_executable(path: str) -> None:
    try:
        mode = Path(path).stat().st_mode
    except OSError as error:
        status = 127 if error.errno in (errno.ENOENT, errno.ENOTDIR) else 126
        raise StartError(f"{path} cannot be executed: {error.strerror}", None, status) from error
    if stat.S_ISDIR(mode):
        raise StartError(f"{path} cannot be executed: it is a folder", None, 126)
    if not os.access(path, os.X_OK):
        raise StartError(f"{path} cannot be executed: permission denied", f"chmod +x {path}", 126)


def _look(path: str) -> Executable:
    program = path
    for _ in range(_MOST_SCRIPTS):
        # Rights belong to the file that is executed first; Linux ignores those of a script.
        head = _read_head(program)
        interpreter = _interpreter(head)
        if interpreter is None:
            break
        program = interpreter
    else:
        head = b""
    if not head.startswith(_ELF):
        # A shell runs what it cannot read otherwise; a file that may not be read may be anything.
        return Executable(path, program)
    bits, loader = _read_elf(program, head)
    return Executable(path, program, elf=True, bits=bits, loader=loader, secure=_secure(program))


def _read_head(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(4096)
    except OSError:
        return b""


def _interpreter(head: bytes) -> str | None:
    if not head.startswith(b"#!"):
        return None
    words = head[2:_LONGEST_LINE].split(b"\n")[0].split()
    if not words:
        return None
    name = os.fsdecode(words[0])
    if Path(name).name == "env" and len(words) > 1:
        # Without its options, which a script has rarely: env -S, env NAME=VALUE.
        rest = [os.fsdecode(word) for word in words[1:] if not word.startswith(b"-") and b"=" not in word]
        return (shutil.which(rest[0]) if rest else None) or name
    return name


def _read_elf(path: str, head: bytes) -> tuple[int, str | None]:
    bits = {1: 32, 2: 64}.get(head[4] if len(head) > 4 else 0, 0)
    order = "<" if head[5:6] == b"\x01" else ">"
    try:
        if bits == 64:
            (start,) = struct.unpack_from(f"{order}Q", head, 32)
            size, count = struct.unpack_from(f"{order}HH", head, 54)
        else:
            (start,) = struct.unpack_from(f"{order}I", head, 28)
            size, count = struct.unpack_from(f"{order}HH", head, 42)
        with Path(path).open("rb") as file:
            file.seek(start)
            table = file.read(size * count)
            for index in range(count):
                if struct.unpack_from(f"{order}I", table, index * size)[0] != _INTERPRETER:
                    continue
                fields = f"{order}QQQQ" if bits == 64 else f"{order}IIII"
                offset, _, _, length = struct.unpack_from(
                    fields, table, index * size + (8 if bits == 64 else 4)
                )
                file.seek(offset)
                return bits, os.fsdecode(file.read(min(length, 4096)).rstrip(b"\0"))
    except (OSError, struct.error):
        return bits, None
    return bits, None


def _secure(path: str) -> str | None:
    found = Path(path).stat()
    if found.st_mode & stat.S_ISUID and found.st_uid != os.geteuid():
        return f"set-user-id {found.st_uid}" if found.st_uid else "set-user-id root"
    if found.st_mode & stat.S_ISGID and found.st_gid != os.getegid():
        return f"set-group-id {found.st_gid}"
    try:
        os.getxattr(path, "security.capability")
    except OSError:
        return None
    return "capabilities of its own (setcap)" if os.geteuid() else None
