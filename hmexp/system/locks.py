"""Whether another process holds a lock (flock)."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def is_free(path: Path, how: int = fcntl.LOCK_EX) -> bool | None:
    """Whether the lock on a file could be had; None where the file cannot be opened. The lock is not kept.

    Parameters
    ----------
    path : Path
        A file, or a folder.
    how : int
        `fcntl.LOCK_EX`, or `fcntl.LOCK_SH`.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return try_lock(fd, how)
    finally:
        os.close(fd)


def try_lock(fd: int, how: int = fcntl.LOCK_EX) -> bool:
    """Lock an open file, if nobody else has it locked in a way that forbids that; returns whether."""
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
