"""A process that hmexp did not start: who it is, what it descends to, and why it may not be looked at."""

from __future__ import annotations

import os
import pwd
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hmexp.errors import ProgramError
from hmexp.native.foreign import share_memory

_PROC: Final = Path("/proc")
_KERNEL_THREAD: Final = 0x00200000  # PF_KTHREAD
_DEAD: Final = frozenset("ZXx")
_STAT: Final = re.compile(r"(\d+) \((.*)\) (\S) (-?\d+) (.*)", re.DOTALL)
#: Where in the rest of the line, after the parent, these numbers are.
_FLAGS: Final = 4
_MINOR_FAULTS: Final = 5
_START: Final = 17


@dataclass(frozen=True)
class Target:
    """A process at the moment it was looked at.

    Parameters
    ----------
    pid : int
        Its number.
    name : str
        Its name for the kernel, at most 15 bytes.
    parent : int
        Number of its parent.
    state : str
        A letter: ``R``, ``S``, ``Z`` for one that has ended and waits for its parent.
    start_ticks : int
        When it was started, in clock ticks since boot: with the number, that is which process it is.
    minor_faults : int
        How often it has touched memory that was not there yet: while this stands still, it takes none.
    is_kernel_thread : bool
        Whether it is the kernel's own, and has no memory of its own.
    """

    pid: int
    name: str
    parent: int
    state: str
    start_ticks: int
    minor_faults: int
    is_kernel_thread: bool

    @property
    def has_ended(self) -> bool:
        """Whether it has ended and only its parent has not asked for its status yet."""
        return self.state in _DEAD

    @property
    def title(self) -> str:
        """Its number and name."""
        return f"process {self.pid} ({self.name})"


def read_target(pid: int, proc_root: Path = _PROC) -> Target:
    """Look a process up.

    Raises
    ------
    ProgramError
        If there is none of this number.
    """
    try:
        text = (proc_root / str(pid) / "stat").read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise explain_refusal(pid, error, proc_root) from error
    match = _STAT.fullmatch(text.rstrip("\n"))
    rest = match[5].split() if match else []
    numbers = [rest[at] for at in (_FLAGS, _MINOR_FAULTS, _START)] if len(rest) > _START else []
    if match is None or not numbers or not all(word.isascii() and word.isdigit() for word in numbers):
        raise ProgramError(f"/proc/{pid}/stat does not look as documented: {text[:200]!r}")
    flags, faults, start = map(int, numbers)
    return Target(pid, match[2], int(match[4]), match[3], start, faults, bool(flags & _KERNEL_THREAD))


def require_target(pid: int, proc_root: Path = _PROC) -> Target:
    """Look a process up that has memory of its own.

    Raises
    ------
    ProgramError
        If there is none of this number, it has ended, or it is the kernel's own.
    """
    target = read_target(pid, proc_root)
    if target.is_kernel_thread:
        raise ProgramError(
            f"{target.title} is a thread of the kernel: it has no memory of its own",
            "name a program; `ps -e` lists them, the kernel's in brackets",
        )
    if target.has_ended and (threads := _find_threads(pid, proc_root)):
        raise ProgramError(
            f"the first thread of {target.title} has ended, and with it /proc/{pid} has no memory any more; "
            f"{len(threads)} threads run on",
            f"name another thread: --pid {threads[0]}",
        )
    if target.has_ended:
        raise ProgramError(
            f"{target.title} has ended: only its parent, process {target.parent}, has not asked for its "
            "status yet (a zombie); it has no memory any more",
            "name a process that runs",
        )
    return target


def _find_threads(pid: int, proc_root: Path) -> list[int]:
    """The threads of a process besides its first."""
    try:
        found = [int(folder.name) for folder in (proc_root / str(pid) / "task").iterdir()]
    except (OSError, ValueError):
        return []
    return sorted(thread for thread in found if thread != pid)


def find_children(pid: int, proc_root: Path = _PROC) -> tuple[Target, ...]:
    """All processes that descend from one and have an address space of their own, in order of their numbers.

    One between vfork and exec has its parent's memory, and is left out; so are those that have ended.
    """
    families: dict[int, list[Target]] = {}
    for folder in proc_root.iterdir():
        if folder.name.isascii() and folder.name.isdigit():
            try:
                target = read_target(int(folder.name), proc_root)
            except ProgramError:
                continue  # it ended just now
            families.setdefault(target.parent, []).append(target)
    found: list[Target] = []
    waiting = [pid]
    while waiting:
        parent = waiting.pop()
        for child in families.pop(parent, []):
            waiting.append(child.pid)
            if not (child.has_ended or child.is_kernel_thread or share_memory(parent, child.pid)):
                found.append(child)
    return tuple(sorted(found, key=lambda target: target.pid))


def explain_refusal(pid: int, error: OSError, proc_root: Path = _PROC) -> ProgramError:
    """The error for a person, of one that opening a file of a process has met."""
    folder = proc_root / str(pid)
    if isinstance(error, PermissionError):
        return _explain_permission(pid, folder)
    if isinstance(error, FileNotFoundError | ProcessLookupError):
        if not (proc_root / "self").exists():
            return ProgramError(f"{proc_root} is not mounted", "as root: mount -t proc proc /proc")
        if not folder.exists():
            return ProgramError(
                f"there is no process {pid}",
                "`ps -e` lists those that run here; a container or another namespace has numbers of its own",
            )
        return ProgramError(f"process {pid} has ended while it was read", "name one that runs")
    return ProgramError(f"{error.filename or folder} cannot be read: {error.strerror}")


def _explain_permission(pid: int, folder: Path) -> ProgramError:
    me = _name_of(os.geteuid())
    owner = _owner_of(folder)
    command = "run the same command with sudo, or as root"
    needed = "CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH"
    if owner is not None and owner != os.geteuid():
        return ProgramError(
            f"process {pid} belongs to user {_name_of(owner)}, and user {me} may not look into its memory",
            f"{command}; needed is the same user, or {needed}",
        )
    return ProgramError(
        f"process {pid} does not let user {me} look into its memory: it is setuid, has capabilities or has "
        "made itself undumpable (prctl PR_SET_DUMPABLE), or a security module forbids it",
        f"{command}; needed are {needed}",
    )


def _owner_of(folder: Path) -> int | None:
    """The real user of a process; that of an undumpable one's folder is root whoever it is."""
    try:
        for line in (folder / "status").read_text("utf-8", "replace").split("\n"):
            if line.startswith("Uid:"):
                return int(line.split()[1])
    except (OSError, ValueError, IndexError):
        pass
    return None


def _name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
