"""What a host keeps of a fleet: finished launches, until the gatherer has stored them.

A launch that was finished while its gatherer, or the scheduler, was being killed is on the host's disk:
whoever
asks for it again gets that record, and nothing is measured twice.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hmexp.errors import ParameterError
from hmexp.fleet.names import require_safe
from hmexp.store.journal import file_errors, replace_file

_POINT: Final = re.compile(r"[0-9a-f]{1,64}")


def spool_folder() -> Path:
    """Where hosts keep launches: `hmexp/fleet` in the XDG cache directory."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG specification: a relative path is to be ignored.
    return (base if base.is_absolute() else Path.home() / ".cache") / "hmexp" / "fleet"


class Spool:
    """The finished launches of one fleet on one host.

    Parameters
    ----------
    fleet, host : str
        Names of both.

    Raises
    ------
    ParameterError
        If a name cannot be part of a path.
    StoreError
        If the folder cannot be made.
    """

    def __init__(self, fleet: str, host: str) -> None:
        self._folder = spool_folder() / require_safe(fleet) / require_safe(host)
        with file_errors("make the folder for finished launches", self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)

    def find(self, point: str, launch: int) -> bytes | None:
        """The record of a launch; None if it is not here."""
        file = self._file(point, launch)
        if not file.exists():
            return None
        with file_errors("read", file):
            return file.read_bytes().rstrip(b"\n")

    def keep(self, point: str, launch: int, record: bytes) -> None:
        """Keep a record, and return when it is on the disk."""
        replace_file(self._file(point, launch), record + b"\n")

    def drop_others(self, point: str, launch: int) -> None:
        """Remove all but one: a gatherer asks for a launch when those before it are stored."""
        for file in self._folder.glob("*.json"):
            if file != self._file(point, launch):
                file.unlink(missing_ok=True)

    def all(self) -> list[bytes]:
        """Every record that is kept."""
        with file_errors("read", self._folder):
            return [file.read_bytes().rstrip(b"\n") for file in sorted(self._folder.glob("*.json"))]

    def clear(self) -> None:
        """Remove everything: all of it is stored elsewhere."""
        shutil.rmtree(self._folder, ignore_errors=True)
        try:
            self._folder.parent.rmdir()
        except OSError:
            return  # another host of the same fleet, on this machine

    def _file(self, point: str, launch: int) -> Path:
        if not _POINT.fullmatch(point) or launch < 0:
            raise ParameterError(f"{point!r} is not the id of a point")
        return self._folder / f"{point}-{launch}.json"


@contextmanager
def slot(host: str) -> Iterator[None]:
    """Have a host for oneself: what still runs there, for whomever, ends first."""
    file = spool_folder() / f"{require_safe(host)}.slot"
    with file_errors("write", file):
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
