"""The record of weights that were set for good: one file, whose name says how far they are.

It goes from one name to the next by `rename`, so each change of state happens at one moment. Its holder
keeps it locked (flock) meanwhile, and the kernel lets go of the lock when the holder ends, however it ends.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

from hmexp.errors import SettingsError
from hmexp.system.journal import Change, Journal, boot_id
from hmexp.system.locks import is_free
from hmexp.system.setting_files import HERE, Machine
from hmexp.system.sysfs import read_text

State = Literal["pending", "applied", "undoing"]
#: States in which a holder is at work.
UNFINISHED: Final[tuple[State, ...]] = ("pending", "undoing")


@dataclass(frozen=True)
class LastingChange:
    """One file of the kernel that is set for good.

    Parameters
    ----------
    path : str
        Where it is.
    before : str
        What it held before hmexp changed it for the first time: what `undo_weights` restores.
    former : str
        What it held before this change.
    used : str
        What it is set to.
    """

    path: str
    before: str
    former: str
    used: str


@dataclass(frozen=True)
class LastingWeights:
    """Weights that were set for good.

    Parameters
    ----------
    boot_id : str
        Boot of the kernel; after another, everything is as the kernel makes it.
    pid : int
        Process that set them.
    changes : tuple of LastingChange
        The nodes' weights, then the automatic mode.
    """

    boot_id: str
    pid: int
    changes: tuple[LastingChange, ...]

    @classmethod
    def parse(cls, text: str) -> LastingWeights | None:
        """Read what was written; None if it is cut off, which means that nothing had been changed yet."""
        try:
            data = json.loads(text)
            changes = tuple(LastingChange(**change) for change in data.pop("changes"))
            return cls(**data, changes=changes)
        except (ValueError, TypeError, AttributeError, KeyError):
            return None

    def to_former(self) -> Journal:
        """The way back to what was there before this change."""
        changes = tuple(Change(each.path, each.former, each.used) for each in self.changes)
        return Journal(self.boot_id, self.pid, 0, changes)

    def to_first(self) -> Journal:
        """The way back to what was there before the first change."""
        changes = tuple(Change(each.path, each.before, each.used) for each in self.changes)
        return Journal(self.boot_id, self.pid, 0, changes)


def read_weights(machine: Machine = HERE, state: State = "applied") -> LastingWeights | None:
    """What was set for good and is still meant to be so; None if nothing was, in this boot of the kernel."""
    text = read_text(path_of(machine, state))
    found = None if text is None else LastingWeights.parse(text)
    return found if found is not None and found.boot_id == boot_id(machine.proc_root) else None


def path_of(machine: Machine, state: State) -> Path:
    """Where the record is in a state."""
    return machine.directory / f"weights.{state}"


def write_pending(made: LastingWeights, machine: Machine) -> int:
    """Write the pending file to the disk and lock it; returns the descriptor that holds the lock."""
    path = path_of(machine, "pending")
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            os.write(fd, json.dumps(asdict(made)).encode())
            os.fsync(fd)
            _sync(machine)
        except BaseException:
            os.close(fd)
            raise
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}", "run as root") from error
    return fd


def rename_record(machine: Machine, old: State, new: State) -> None:
    """Take the record from one state to the next, on the disk too."""
    path_of(machine, old).rename(path_of(machine, new))
    _sync(machine)


def _sync(machine: Machine) -> None:
    fd = os.open(machine.directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def is_orphan(path: Path) -> bool:
    """Whether the file is there and its holder has ended."""
    return is_free(path) is True


def lock_record(path: Path) -> int:
    """Lock a record; returns the descriptor that holds the lock."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    fcntl.flock(fd, fcntl.LOCK_EX)
    return fd
