"""Writing a report's files whole or not at all."""

from __future__ import annotations

import errno
import glob
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from hmexp.errors import StoreError

#: Errors of a disk, or of a share of it, that is full.
FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_atomically(path: Path, content: str | bytes | Iterable[str]) -> Path:
    """Write a file so that a reader sees the old or the new one, never half of it.

    The content is a text or bytes, or the parts of a text one after the other. The folder must exist: one
    that somebody has removed meanwhile does not come back with a few files in it.

    Raises
    ------
    StoreError
        If the folder or the file cannot be written.
    """
    parts = [content] if isinstance(content, str | bytes) else content
    # Beside the target: a rename is atomic only within one file system.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        _remove_leftovers(path)
        try:
            with temporary.open("wb") as file:
                for part in parts:
                    file.write(part.encode() if isinstance(part, str) else part)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise _refusal(path, error) from error
    return path


def make_folder(path: Path, *, parents: bool = False) -> None:
    """Make a folder for files, unless it is there.

    Raises
    ------
    StoreError
        If it cannot be made; without `parents` also if the folder above it does not exist.
    """
    try:
        path.mkdir(parents=parents, exist_ok=True)
    except OSError as error:
        raise _refusal(path, error) from error


def _refusal(path: Path, error: OSError) -> StoreError:
    """What to tell a person of a file or folder that cannot be written."""
    if isinstance(error, FileExistsError | NotADirectoryError):
        odd = next(folder for folder in (path, *path.parents) if os.path.lexists(folder))
        return StoreError(f"{path} cannot be written: {odd} is not a folder", "move it away, and try again")
    remedy = "check the permissions, or copy the run to a folder that you can write"
    if error.errno in FULL:
        remedy = "make room there and run the same command again"
    if isinstance(error, FileNotFoundError):
        gone = next((folder for folder in reversed(path.parents) if not folder.exists()), path.parent)
        return StoreError(
            f"{path} cannot be written: {gone} does not exist",
            "if it was removed meanwhile, run the same command again; else make it first",
        )
    return StoreError(f"{path} cannot be written: {error.strerror or error}", remedy)


def _remove_leftovers(path: Path) -> None:
    """Remove what a process that was killed has left of the same file."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        number = left.name.split(".")[-2]
        if number.isdigit() and _has_ended(number):
            left.unlink(missing_ok=True)


def _has_ended(process: str) -> bool:
    # Without /proc nobody knows.
    return Path("/proc/self").exists() and not Path("/proc", process).exists()
