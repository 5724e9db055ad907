"""Where pages were before they were moved: a journal per process, written before each request.

A file belongs to one process of one boot. It is only ever appended to, a JSON object a line, and a torn last
line is passed over. It survives hmexp, not the machine: so it is never forced to a disk. Pages are noted
once, with the node where they were when they were first asked for: after several moves, undoing leads to
before the first.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
import tempfile
import time
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hmexp.errors import StoreError
from hmexp.native import PAGE_BYTES
from hmexp.program.pages.held import HeldProcess, read_stat
from hmexp.program.pages.wish import FormerWish, Nodes, Pages, find_sorted
from hmexp.system.journal import boot_id
from hmexp.system.setting_files import DIRECTORY

_SUFFIX: Final = ".moves"


def state_folder() -> Path:
    """Where journals of moves are: of root in /run, of others in their own runtime folder."""
    if os.geteuid() == 0:
        return DIRECTORY / "moves"
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    own = Path(runtime) / "hmexp" if runtime else Path(tempfile.gettempdir()) / f"hmexp-{os.geteuid()}"
    return own / "moves"


@dataclass(frozen=True)
class FormerMove:
    """A move that was made earlier.

    Parameters
    ----------
    pattern : str
        To what pattern; empty for one that put pages back.
    started : str
        When, as ISO 8601.
    ended : str or None
        Why it stopped; None if hmexp was killed, or is still at it.
    """

    pattern: str
    started: str
    ended: str | None


@dataclass
class MoveJournal:
    """What a process's journal says.

    Parameters
    ----------
    path : Path
        The file.
    pages, origins : numpy.ndarray
        The pages that were asked for, ascending, and the node of each before.
    moves : list of FormerMove
        The moves, in order.
    """

    path: Path
    pages: Pages = field(default_factory=lambda: np.empty(0, dtype=np.uint64))
    origins: Nodes = field(default_factory=lambda: np.empty(0, dtype=np.int32))
    moves: list[FormerMove] = field(default_factory=list)

    @property
    def wish(self) -> FormerWish:
        """The way back."""
        return FormerWish(self.pages, self.origins)

    @property
    def interrupted(self) -> FormerMove | None:
        """The last move, if it was killed."""
        return self.moves[-1] if self.moves and self.moves[-1].ended is None else None

    def add(self, pages: Pages, origins: Nodes) -> tuple[Pages, Nodes]:
        """Add pages that are not known yet; returns those."""
        new = ~find_sorted(self.pages, pages)[1]
        added, theirs = pages[new], origins[new]
        where = np.searchsorted(self.pages, added)
        self.pages = np.insert(self.pages, where, added)
        self.origins = np.insert(self.origins, where, theirs)
        return added, theirs


class JournalWriter:
    """The journal of a process while its pages are moved; its holder has the lock of the process.

    Parameters
    ----------
    target : HeldProcess
        The process.
    pattern : str
        What it is moved to.
    folder : Path, optional
        Where journals are.

    Raises
    ------
    StoreError
        If it cannot be written.
    """

    def __init__(self, target: HeldProcess, pattern: str, folder: Path | None = None) -> None:
        folder = folder or state_folder()
        _make_folder(folder)
        _remove_stale(folder)
        self.known = read_journal(target, folder) or MoveJournal(_path(target, folder))
        self._fd = -1
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            self._fd = os.open(self.known.path, flags, 0o600)
            _end_torn_line(self._fd, self.known.path)
        except OSError as error:
            raise _cannot_write(self.known.path, error) from error
        self.write_image(target)
        started = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        self._write({"move": pattern, "started": started, "by": os.getpid()})

    def close(self) -> None:
        """Let go of the file."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def write_image(self, target: HeldProcess) -> None:
        """Note which program the process executes: pages of an earlier one are gone."""
        self._write({"boot_id": boot_id(), "image": _digest(target.image)})

    def note(self, pages: Pages, origins: npt.NDArray[np.int16]) -> None:
        """Note where pages are, before they are asked for; those that are known already are passed over."""
        added, theirs = self.known.add(pages, origins.astype(np.int32))
        if added.size:
            self._write({"pages": encode(added, theirs)})

    def end(self, why: str, moved: int) -> None:
        """Note that the move has stopped."""
        with suppress(StoreError):  # nothing depends on it: it would only be called killed
            self._write({"ended": why, "page_moves": moved})

    def _write(self, record: dict[str, Any]) -> None:
        line = json.dumps(record).encode() + b"\n"
        try:
            while line:
                line = line[os.write(self._fd, line) :]
        except OSError as error:
            raise _cannot_write(self.known.path, error) from error


def read_journal(target: HeldProcess, folder: Path | None = None) -> MoveJournal | None:
    """Read the journal of a process; None if it has none, or only one of a program that it has replaced."""
    path = _path(target, folder or state_folder())
    try:
        with path.open("rb") as file:
            lines = file.read().split(b"\n")[:-1]
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from error
    found = MoveJournal(path)
    now = {"boot_id": boot_id(), "image": _digest(target.image)}
    current = False
    for line in lines:
        with suppress(ValueError, KeyError, TypeError, zlib.error):
            record = json.loads(line)
            if "image" in record:
                current = record == now
            elif current:
                _take(found, record)
    return found if found.moves or found.pages.size else None


def remove_journal(journal: MoveJournal) -> None:
    """Forget the moves of a process: all is as it was."""
    with suppress(FileNotFoundError):
        journal.path.unlink()


def _take(found: MoveJournal, record: dict[str, Any]) -> None:
    if "pages" in record:
        found.add(*decode(record["pages"]))
    elif "move" in record:
        found.moves.append(FormerMove(str(record["move"]), str(record["started"]), None))
    elif "ended" in record and found.moves:
        last = found.moves.pop()
        found.moves.append(FormerMove(last.pattern, last.started, str(record["ended"])))


def encode(pages: Pages, origins: Nodes) -> str:
    """Write pages with their nodes as runs, deflated: a repeating pattern takes next to nothing."""
    new = np.ones(len(pages), dtype=np.bool_)
    new[1:] = (np.diff(pages) != 1) | (np.diff(origins) != 0)
    first = np.flatnonzero(new)
    lengths = np.diff(np.append(first, len(pages))).astype(np.int64)
    steps = np.diff(pages[first].astype(np.int64), prepend=0)
    data = b"".join(part.astype("<i8").tobytes() for part in (steps, lengths, origins[first]))
    return base64.b64encode(zlib.compress(data)).decode()


def decode(text: str) -> tuple[Pages, Nodes]:
    """Read what `encode` has written.

    Raises
    ------
    ValueError
        If it is not whole.
    """
    steps, lengths, origins = np.frombuffer(zlib.decompress(base64.b64decode(text)), "<i8").reshape(3, -1)
    starts = np.repeat(np.cumsum(steps), lengths)
    within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return (starts + within).astype(np.uint64), np.repeat(origins, lengths).astype(np.int32)


def _path(target: HeldProcess, folder: Path) -> Path:
    return folder / f"{target.pid}-{target.start_time}{_SUFFIX}"


def _digest(image: str) -> str:
    return hashlib.sha256(f"{image} {PAGE_BYTES}".encode()).hexdigest()[:16]


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise _cannot_write(folder, error) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise StoreError(
            f"{folder} belongs to another user, or others may write there: no journal is kept in it",
            "remove it, or set XDG_RUNTIME_DIR to a folder of your own",
        )


def _remove_stale(folder: Path) -> None:
    """Remove the journals of processes that have ended."""
    for path in folder.glob(f"*{_SUFFIX}"):
        pid, _, start_time = path.name.removesuffix(_SUFFIX).partition("-")
        found = read_stat(int(pid)) if pid.isdecimal() else None
        if found is None or str(found.start_time) != start_time:
            with suppress(OSError):
                path.unlink()


def _end_torn_line(fd: int, path: Path) -> None:
    data = path.read_bytes()[-1:]
    if data not in (b"", b"\n"):
        os.write(fd, b"\n")


def _cannot_write(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"{path}: the journal of moved pages cannot be written: {error.strerror}",
        "without it nothing is moved, since nothing could be put back; make room there, or set "
        "XDG_RUNTIME_DIR to a folder that can be written",
    )
