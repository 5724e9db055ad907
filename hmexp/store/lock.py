"""A folder that one process at a time works in."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from hmexp.closing import Closing
from hmexp.errors import StoreError
from hmexp.store.journal import file_errors

_LOCK: Final = ".lock"
#: How long to wait for a killed run's last process to let go of the directory [s].
_LOCK_PATIENCE_SECONDS: Final = 15.0


class Hold(Closing):
    """A folder that this process has for itself, until it is closed. Made by `hold`; a context manager.

    Parameters
    ----------
    path : Path
        The folder.
    fd : int
        The locked file in it.
    """

    def __init__(self, path: Path, fd: int) -> None:
        self.path, self._fd = path, fd

    def require(self) -> None:
        """Refuse to continue in a folder that is not the one that was locked: removed, moved, or replaced.

        Raises
        ------
        StoreError
            Naming the folder.
        """
        try:
            there = os.path.samestat((self.path / _LOCK).stat(), os.fstat(self._fd))
        except (FileNotFoundError, NotADirectoryError):
            there = False
        except OSError as error:
            raise StoreError(f"cannot look into {self.path}: {error.strerror}") from error
        if not there:
            raise StoreError(
                f"the directory {self.path} was removed or moved while it was being written to; what was in "
                "it is where it is now, or gone",
                "if it was moved, move it back; the same command measures what is missing",
            )

    def close(self) -> None:
        """Let other processes have the folder."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def hold(path: Path, say: Callable[[str], None]) -> Hold:
    """Have a folder for this process alone, until what is returned is closed.

    Raises
    ------
    StoreError
        If another process has it, and does not let go within a while.
    """
    lock = path / _LOCK
    with file_errors("write", lock):
        fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    deadline = time.monotonic() + _LOCK_PATIENCE_SECONDS
    waited = False
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError as error:
            holder = os.pread(fd, 32, 0).decode(errors="replace").strip() or "unknown"
            if error.errno not in (errno.EAGAIN, errno.EACCES) or time.monotonic() > deadline:
                os.close(fd)
                raise StoreError(
                    f"process {holder} is using {path}", "wait for it, or give this run another name"
                ) from error
            if not waited:
                say(f"Waiting for process {holder} to finish with {path.name}.")
                waited = True
            time.sleep(0.2)
    # Only for the message to others who wait: a full disk is reported where it matters.
    with suppress(OSError):
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return Hold(path, fd)
