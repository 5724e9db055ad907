"""What is left of a launch: its processes are found and killed, however the launch ended.

A program is not tied to the life of the process that started it, and may have started others. Three things
find them: the session of the launch; those that are known, with all that they have started; and a mark in
their environment. One is missed that has left the session, has no parent left, and has overwritten its
environment.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: Variable in the environment of all that a launch starts.
MARK: Final = "HMEXP_LAUNCH"
_PROC: Final = Path("/proc")
_PAUSE_SECONDS: Final = 0.02
_LONGEST_SECONDS: Final = 10.0


@dataclass(frozen=True)
class Running:
    """A process; its start distinguishes it from a later one of the same number.

    Parameters
    ----------
    pid, parent, session : int
        Its number, its parent's, and its session's.
    started : int
        When it started [clock ticks after boot].
    """

    pid: int
    parent: int
    session: int
    started: int


def read_running(pid: int) -> Running | None:
    """A process that runs; None if there is none, or it has ended and nobody has asked how."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # The name may hold anything, spaces and brackets too.
    fields = text.rpartition(")")[2].split()
    if fields[0] in "ZX":
        return None
    return Running(pid, int(fields[1]), int(fields[3]), int(fields[19]))


@dataclass(frozen=True)
class Remains:
    """How the processes of a launch are found.

    Parameters
    ----------
    mark : str
        Value of `MARK` in their environment.
    session : int or None
        Their session, if it is the launch's own.
    """

    mark: str
    session: int | None = None

    def find(self, known: Iterable[Running] = ()) -> set[int]:
        """Find those that run, but this process.

        Parameters
        ----------
        known : iterable of Running
            Processes of the launch, as they were when they were started.
        """
        every = {pid: one for pid in _pids() if (one := read_running(pid)) is not None}
        found = {one.pid for one in known if every.get(one.pid, one).started == one.started} & set(every)
        found |= {pid for pid, one in every.items() if one.session == self.session or self._is_marked(pid)}
        grown = True
        while grown:
            more = {pid for pid, one in every.items() if one.parent in found and pid not in found}
            grown, found = bool(more), found | more
        return found - {os.getpid()}

    def kill(self, known: Iterable[Running] = ()) -> int:
        """Kill them until none is left, and return how many there were."""
        known = tuple(known)
        killed: set[int] = set()
        deadline = time.monotonic() + _LONGEST_SECONDS
        while (found := self.find(known)) and time.monotonic() < deadline:
            for pid in found:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            killed |= found
            time.sleep(_PAUSE_SECONDS)
        return len(killed)

    def _is_marked(self, pid: int) -> bool:
        try:
            environment = (_PROC / str(pid) / "environ").read_bytes()
        except OSError:
            return False
        return f"{MARK}={self.mark}".encode() in environment.split(b"\0")


def _pids() -> list[int]:
    return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]
