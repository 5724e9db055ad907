"""Setting the files of a machine's settings, and putting back what they held."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from hmexp.errors import SettingsError
from hmexp.system.journal import Change, Journal, boot_id, held_by
from hmexp.system.setting_files import Machine, write_text
from hmexp.system.sysfs import read_text


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Make SIGTERM and SIGHUP exceptions for a while, where they would end the process at once.

    Only in the main thread, and only where nobody else handles them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    changed = [
        number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_DFL
    ]
    for number in changed:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)


def set_value(change: Change) -> None:
    """Set what a change sets.

    Raises
    ------
    SettingsError
        If the kernel refuses it.
    """
    path = Path(change.path)
    if change.used is None or read_text(path) == change.used:
        return
    problem = write_text(path, change.used)
    if problem is not None:
        raise refused(path, problem)


def put_back(journal: Journal, held: Mapping[str, Change], machine: Machine) -> list[str]:
    """Put values back; what somebody else has set since is left as that one wants it.

    Returns
    -------
    list of str
        A sentence for each value that could not be put back.
    """
    problems = []
    for change in journal.changes:
        path = Path(change.path)
        now = read_text(path)
        if change.path in held or not machine.knows(change.path) or now == change.before:
            continue
        if change.used is not None and now != change.used:
            continue
        problem = write_text(path, change.before)
        if problem is not None:
            problems.append(f"{path} cannot be put back to {change.before}: {problem}")
    return problems


def repair_journals(machine: Machine) -> list[str]:
    """Put back what the holders of journals had changed who were killed; the caller holds the lock.

    Returns
    -------
    list of str
        A sentence for each setting that was put back, or could not be.
    """
    alive, ended = machine.journals.read()
    messages: list[str] = []
    for path, journal in ended:
        problems: list[str] = []
        if journal is not None and journal.boot_id == boot_id(machine.proc_root):
            before = {change.path: read_text(Path(change.path)) for change in journal.changes}
            problems = put_back(journal, held_by(alive), machine)
            messages += [
                f"{change.path} is {change.before} again; process {journal.pid}, which had set it, was killed"
                for change in journal.changes
                if not problems and before[change.path] != read_text(Path(change.path))
            ]
        messages += problems
        if not problems:
            path.unlink(missing_ok=True)
    return messages


def refused(path: Path, why: str) -> SettingsError:
    """The error for a file that may not be written."""
    return SettingsError(
        f"{path} cannot be set: {why}", "run as root, in a container with /sys and /proc/sys writable"
    )
