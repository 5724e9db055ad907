"""The exit statuses of every command, and the words for them."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class ExitStatus(IntEnum):
    """How a command ended, as a shell or a script sees it."""

    OK = 0
    FAILED = 1
    USAGE = 2
    INTERNAL = 70
    LAB_TIMEOUT = 124
    LAB = 125
    REFUSED = 125
    NOT_EXECUTABLE = 126
    NOT_FOUND = 127
    INTERRUPTED = 130
    TERMINATED = 143


#: What each means, whatever the command.
MEANINGS: Final[dict[ExitStatus, str]] = {
    ExitStatus.OK: "The command did what it was asked to do.",
    ExitStatus.FAILED: "The command ran to its end, but something in it failed: a point, a check, an entry "
    "of a campaign; no point was measured or could be compared; or a comparison found what --fail-on-slower "
    "looks for.",
    ExitStatus.USAGE: "An option, a file or this machine does not allow what was asked.",
    ExitStatus.INTERNAL: "hmexp itself failed. The traceback on standard error belongs in a bug report.",
    ExitStatus.LAB_TIMEOUT: "hmexp lab: the time ran out.",
    ExitStatus.LAB: "hmexp lab: the guest died or could not start. hmexp run: the program was not started. "
    "Otherwise the status is the command's own.",
    ExitStatus.NOT_EXECUTABLE: "hmexp run: the program cannot be executed.",
    ExitStatus.NOT_FOUND: "hmexp run: the program was not found.",
    ExitStatus.INTERRUPTED: "Ctrl-C ended the command. What was measured is kept; run the same command again "
    "to resume.",
    ExitStatus.TERMINATED: "A signal (128 + 15, SIGTERM) ended the command. What was measured is kept.",
}


def describe_statuses(failed: str | None = None) -> str:
    """The exit statuses of one command, for the end of its help.

    Parameters
    ----------
    failed : str, optional
        When it exits with 1; a command that never does leaves it out.
    """
    parts = ["0 on success"]
    if failed is not None:
        parts.append(f"1 {failed}")
    parts.append("2 if an option, a file or this machine does not allow what was asked")
    return f"Exit status: {'; '.join(parts)}. `man hmexp` or `hmexp man` lists all of them."
