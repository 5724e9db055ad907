"""The program of a command: found as a shell does, and with whose rights it runs."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hmexp.errors import ProgramError, StartError
from hmexp.program.launch.linkage import find_privileges, find_program


@dataclass(frozen=True)
class Executable:
    """The program that a command starts.

    Parameters
    ----------
    path : str
        The file that is executed.
    privileges : str or None
        Why it runs with other rights than those of its caller, as the end of a sentence that begins with its
        name; None if it does not.
    """

    path: str
    privileges: str | None = None


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
        raise StartError("no program was named", "write it after --, as in: hmexp run -- sort big.txt")
    name = command[0]
    search = (os.environ if environment is None else environment).get("PATH", os.defpath)
    found = name if "/" in name else shutil.which(name, path=search)
    if found is None:
        raise StartError(f"{name} was not found in PATH ({search})", "name the program by its path", 127)
    _require_executable(found)
    try:
        return Executable(found, find_privileges(find_program([found], search)))
    except (OSError, ProgramError):
        # Its interpreter is missing, or it may be executed and not be read: the kernel has the last word.
        return Executable(found)


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
