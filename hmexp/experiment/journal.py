"""Files of JSON lines that are only ever appended to, and survive being killed at any moment."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from hmexp.errors import StoreError

_BLOCK_BYTES: Final = 1 << 16


@contextmanager
def told(what: str, path: Path) -> Iterator[None]:
    """Turn an error of the file system into one that says what was being done, and where."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise StoreError(
            f"{what} {path}: {reason}", "choose another folder with the parameter `results`"
        ) from error


def append_line(path: Path, record: Mapping[str, Any]) -> None:
    """Add a record as one line and return when it is on the disk."""
    line = json.dumps(record, separators=(",", ":"), allow_nan=False) + "\n"
    with told("cannot write", path):
        new = not path.exists()
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            data = line.encode()
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
    with told("cannot repair", path), path.open("r+b") as file:
        size = end = file.seek(0, os.SEEK_END)
        while end > 0:
            # From the end: the file may be large, and in most cases its last byte tells.
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


def sync_folder(path: Path) -> None:
    """Make new names in a folder last."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
