"""A process that is not ours, held: whether it still is the same, and a lock that only one mover has."""

from __future__ import annotations

import fcntl
import os
import select
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hmexp.closing import Closing
from hmexp.errors import ProgramError
from hmexp.system.locks import is_free
from hmexp.system.sysfs import read_text, split_lines

#: Fields of /proc/PID/stat behind the name, counted from 0 (proc_pid_stat(5) counts from 1, with the name).
_STATE, _FLAGS, _MINFLT, _START = 0, 6, 7, 19
#: Of the flags: it is ending, and gives up its memory before it counts as ended (PF_EXITING).
_EXITING: Final = 0x4


class TargetBusyError(ProgramError):
    """Another process of hmexp is moving the pages of this one."""


@dataclass(frozen=True)
class Stat:
    """What /proc/PID/stat says.

    Parameters
    ----------
    state : str
        A letter; `Z` is a process that has ended and was not waited for.
    exiting : bool
        Whether this thread is ending, or has ended: it has no memory any more, or not for long.
    minor_faults : int
        Faults without a read from a disk, of all its threads.
    start_time : int
        When it started [clock ticks since boot].
    """

    state: str
    exiting: bool
    minor_faults: int
    start_time: int


def read_stat(pid: int, proc_root: Path = Path("/proc")) -> Stat | None:
    """Read /proc/PID/stat; None if there is no such process."""
    text = read_text(proc_root / str(pid) / "stat")
    # The name of the program, in parentheses, may hold anything.
    fields = (text or "").rpartition(")")[2].split()
    if len(fields) <= _START:
        return None
    exiting = fields[_STATE] in "ZX" or bool(int(fields[_FLAGS]) & _EXITING)
    return Stat(fields[_STATE], exiting, int(fields[_MINFLT]), int(fields[_START]))


def has_ended(pid: int) -> bool:
    """Whether there is no such process, or it ends just now, or was only not waited for."""
    return not _is_thread(pid)


class HeldProcess(Closing):
    """A process, held so that its number cannot be taken for another's.

    Parameters
    ----------
    pid : int
        The process.

    Raises
    ------
    ProgramError
        If there is no such process, or it has ended.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        try:
            # First the process, then what is read of it: if it lives afterwards, all is of one process.
            self.pidfd = os.pidfd_open(pid)
        except (OSError, OverflowError) as error:
            raise _no_process(pid) from error
        self._lock_fd = -1
        stat = read_stat(pid)
        if stat is None or self.ended:
            self.close()
            raise _no_process(pid)
        self.start_time: Final = stat.start_time
        self.thread = pid
        self.find_thread()
        self.name = ""
        self.find_name()

    def close(self) -> None:
        """Let go of the process, and of its lock."""
        for fd in (self.pidfd, self._lock_fd):
            if fd >= 0:
                os.close(fd)
        self.pidfd = self._lock_fd = -1

    @property
    def ended(self) -> bool:
        """Whether the process has ended."""
        return self.ends_within(0)

    def ends_within(self, seconds: float) -> bool:
        """Whether the process ends within a time: its memory goes before it counts as ended [s]."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return bool(poll.poll(int(seconds * 1000)))

    def find_thread(self) -> int:
        """Find a thread that has its memory, for `thread`: its first one may have ended before the others."""
        self.thread = self.pid
        if not _is_thread(self.pid):
            with suppress(OSError):
                others = sorted(int(entry.name) for entry in Path(f"/proc/{self.pid}/task").iterdir())
                self.thread = next(filter(_is_thread, others), self.pid)
        return self.thread

    def find_name(self) -> None:
        """Read the name of the program that it executes now, for `name`."""
        self.name = read_text(Path(f"/proc/{self.pid}/comm")) or self.name

    @property
    def is_ending(self) -> bool:
        """Whether none of its threads has memory any more, or not for long."""
        return not _is_thread(self.find_thread())

    @property
    def minor_faults(self) -> int:
        """Faults of all its threads so far; 0 if it is gone."""
        stat = read_stat(self.pid)
        return 0 if stat is None else stat.minor_faults

    @property
    def image(self) -> str:
        """What changes when the process executes another program; empty if it cannot be read."""
        try:
            # The auxiliary vector has addresses that the kernel chooses at each exec.
            return Path(f"/proc/{self.thread}/auxv").read_bytes().hex()
        except OSError:
            return ""

    @property
    def allowed_nodes(self) -> str | None:
        """The nodes whose memory it may have, as the kernel lists them."""
        for line in split_lines(read_text(Path(f"/proc/{self.pid}/status")) or ""):
            if line.startswith("Mems_allowed_list:"):
                return line.partition(":")[2].strip()
        return None

    @property
    def is_locked(self) -> bool:
        """Whether another mover has it now."""
        return is_free(Path(f"/proc/{self.pid}"), fcntl.LOCK_SH) is False

    def lock(self) -> None:
        """Keep every other mover on this machine off the process, until we close or end, however that comes.

        The lock is on the process's own folder in /proc: it needs no file, and no one to clean up.

        Raises
        ------
        TargetBusyError
            If another has it.
        """
        try:
            self._lock_fd = os.open(f"/proc/{self.pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TargetBusyError(
                f"another hmexp is moving the pages of process {self.pid} ({self.name})",
                f"wait for it, or stop it; `fuser /proc/{self.pid}` shows which it is",
            ) from error
        except OSError as error:
            raise _no_process(self.pid) from error


def _is_thread(number: int) -> bool:
    """Whether there is a thread of this number that is not about to end."""
    stat = read_stat(number)
    return stat is not None and not stat.exiting


def _no_process(pid: int) -> ProgramError:
    return ProgramError(f"there is no process {pid}, or it has ended", "`ps -e` lists the processes")
