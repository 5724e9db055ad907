"""Journals of changed settings: what is changed is written down first, so that it can be undone.

Each holder of changed settings has one file, which names the values before. The holder keeps it locked
(flock), and the kernel lets go of the lock when the holder ends, however that comes. So a journal that
can be locked is one that nobody restored: the next run does.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from hmexp.errors import SettingsError
from hmexp.system.locks import try_lock
from hmexp.system.sysfs import read_text

_SUFFIX: Final = ".journal"
_POLL_SECONDS: Final = 0.02
_numbers: Final = itertools.count()


@dataclass(frozen=True)
class Change:
    """One file of the kernel that is changed.

    Parameters
    ----------
    path : str
        Where it is.
    before : str
        What it held.
    used : str or None
        What it is set to; None if it changes by itself, with the others.
    """

    path: str
    before: str
    used: str | None


@dataclass(frozen=True)
class Journal:
    """What one holder has changed.

    Parameters
    ----------
    boot_id : str
        Boot of the kernel; after another, everything is as the kernel makes it.
    pid : int
        Process.
    start_time : int
        When it started [clock ticks since boot].
    changes : tuple of Change
        In the order in which they are made, and undone.
    """

    boot_id: str
    pid: int
    start_time: int
    changes: tuple[Change, ...]

    @classmethod
    def of_this_process(cls, changes: tuple[Change, ...], proc_root: Path = Path("/proc")) -> Journal:
        """A journal for the calling process."""
        return cls(boot_id(proc_root), os.getpid(), _start_time(proc_root), changes)

    @classmethod
    def parse(cls, text: str) -> Journal | None:
        """Read a journal; None if it is cut off, which means that nothing had been changed yet."""
        try:
            data = json.loads(text)
            changes = tuple(Change(**change) for change in data.pop("changes"))
            return cls(**data, changes=changes)
        except (ValueError, TypeError, AttributeError, KeyError):
            return None


class JournalDirectory:
    """Where the holders of one machine keep their journals.

    Parameters
    ----------
    path : Path
        Lost at a reboot, as the settings are; made when it is first needed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def locked(self, name: str, wait_seconds: float, *, shared: bool = False) -> Iterator[float]:
        """Hold a lock of the whole machine, alone or `shared`; yields how long it took to get [s].

        Raises
        ------
        SettingsError
            If another holds it for too long, or the directory cannot be used.
        """
        try:
            self.path.mkdir(mode=0o755, parents=True, exist_ok=True)
            fd = os.open(self.path / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SettingsError(
                f"no journal of changed settings can be written in {self.path}: {error.strerror}",
                "run as root",
            ) from error
        try:
            started = time.monotonic()
            while not try_lock(fd, fcntl.LOCK_SH if shared else fcntl.LOCK_EX):
                if time.monotonic() - started > wait_seconds:
                    raise SettingsError(
                        f"another process has held {self.path / name}.lock for {wait_seconds:g} s",
                        "wait until that process has ended; `fuser` shows which it is",
                    )
                time.sleep(_POLL_SECONDS)
            yield time.monotonic() - started
        finally:
            os.close(fd)

    def write(self, journal: Journal) -> tuple[int, Path]:
        """Write a journal to the disk and lock it; returns the descriptor that holds the lock."""
        path = self.path / f"{os.getpid()}-{next(_numbers)}-{time.time_ns()}{_SUFFIX}"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            os.write(fd, json.dumps(asdict(journal)).encode())
            os.fsync(fd)
            directory = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except BaseException:
            os.close(fd)
            raise
        return fd, path

    def any(self) -> bool:
        """Whether there is a journal at all."""
        try:
            return any(entry.suffix == _SUFFIX for entry in self.path.iterdir())
        except OSError:
            return False

    def read(self) -> tuple[list[Journal], list[tuple[Path, Journal | None]]]:
        """Read the journals of those who live, and of those who have ended (with the file)."""
        alive: list[Journal] = []
        ended: list[tuple[Path, Journal | None]] = []
        for path in sorted(self.path.glob(f"*{_SUFFIX}")):
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                dead = try_lock(fd)
                with os.fdopen(os.dup(fd), encoding="utf-8", errors="replace") as file:
                    journal = Journal.parse(file.read())
            finally:
                os.close(fd)
            if dead:
                ended.append((path, journal))
            elif journal is not None:
                alive.append(journal)
        return alive, ended


def boot_id(proc_root: Path = Path("/proc")) -> str:
    """The kernel's name for this boot."""
    return read_text(proc_root / "sys/kernel/random/boot_id") or ""


def held_by(journals: list[Journal]) -> Mapping[str, Change]:
    """The changes of journals by path; the first holder of a path knows its value before."""
    held: dict[str, Change] = {}
    for journal in journals:
        for change in journal.changes:
            held.setdefault(change.path, change)
    return held


def _start_time(proc_root: Path) -> int:
    text = read_text(proc_root / "self/stat") or ""
    # The name of the program, in parentheses, may hold anything.
    fields: list[Any] = text.rpartition(")")[2].split()
    return int(fields[19]) if len(fields) > 19 else 0
