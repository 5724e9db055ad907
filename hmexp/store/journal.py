"""Files of JSON that survive being killed at any moment: lines that are only appended, or replaced whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hmexp.errors import StoreError
from hmexp.store.files import FULL

_BLOCK_BYTES: Final = 1 << 16


@contextmanager
def file_errors(doing: str, path: Path) -> Iterator[None]:
    """Turn an error of the file system into one that says what was being done, and to which file."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        if isinstance(error, FileExistsError) and doing.startswith("make"):
            reason = "something that is not a folder has this name"
        remedy = "choose another results folder"
        if doing == "read":
            remedy = "check that it is a file that you may read, or restore it from a copy of the run"
        if error.errno in FULL:
            remedy = f"make room there and run the same command again, which resumes; or {remedy}"
        raise StoreError(f"cannot {doing} {path}: {reason}", remedy) from error


def append_line(path: Path, line: bytes, *, new: bool) -> None:
    """Add a line and return when it is on the disk.

    Parameters
    ----------
    path : Path
        The file.
    line : bytes
        What to add, without its end.
    new : bool
        Whether the file may be made. One that was there and is no longer is not made again: what it had
        would be gone without a word.

    Raises
    ------
    StoreError
        If the file cannot be written; what was written of the line is cut off when the file is next opened.
    """
    make = os.O_CREAT if new else 0
    with file_errors("write", path):
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | make | os.O_CLOEXEC, 0o666)
        try:
            data = line + b"\n"
            while data:
                data = data[os.write(fd, data) :]
            os.fsync(fd)
        finally:
            os.close(fd)
        if new:
            sync_folder(path.parent)


def drop_torn_line(path: Path) -> None:
    """Cut off what a killed process left of a line: no measurement can be read from it."""
    if not path.exists():
        return
    with file_errors("repair", path), path.open("r+b") as file:
        size = end = file.seek(0, os.SEEK_END)
        while end > 0:
            # From the end: the file may be large, and in most cases its last byte shows.
            start = max(0, end - (1 if end == size else _BLOCK_BYTES))
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        if end != size:
            file.truncate(end)
            os.fsync(file.fileno())


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file as a whole: a reader sees the old one or the new one.

    Its folder must be held by this process: what a killed one leaves is written over.
    """
    temporary = path.with_name(f".{path.name}.new")
    with file_errors("write", path):
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make new names in a folder last."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
