"""Files of JSON lines that are only ever appended to, and survive being killed at any moment."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hmexp.errors import StoreError


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
        data = file.read()
        whole = data.rfind(b"\n") + 1
        if whole != len(data):
            file.truncate(whole)
            os.fsync(file.fileno())


def read_lines(file: Path, key: Callable[[dict[str, Any]], Hashable]) -> list[dict[str, Any]]:
    """The last line for each key, in the order of their first ones.

    Raises
    ------
    StoreError
        If a line that is complete cannot be read.
    """
    records: dict[Hashable, dict[str, Any]] = {}
    if not file.exists():
        return []
    with told("cannot read", file):
        lines = file.read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        if not line.endswith(b"\n"):
            break  # a process was killed while it wrote this; open_run cuts it off
        try:
            record = json.loads(line)
            records[key(record)] = record
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"line {number} of {file} is damaged: {error}",
                "remove that line; what it held is measured again",
            ) from error
    return list(records.values())


def sync_folder(path: Path) -> None:
    """Make new names in a folder last."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
