"""What a program prints, read as it comes: its lines with their times, and the end of it all."""

from __future__ import annotations

import os
import re
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Final

_MOST_BYTES: Final = 8 << 20
_CHUNK: Final = 1 << 16


@dataclass(frozen=True)
class Line:
    """A line that a program printed.

    Parameters
    ----------
    number : int
        Which, from 0.
    seconds : float
        When it was read [s of `time.perf_counter`].
    text : str
        Without its end.
    """

    number: int
    seconds: float
    text: str


class ProgramOutput:
    """Reads a pipe in a thread, so that a program that prints never waits; keeps the last few megabytes.

    Parameters
    ----------
    fd : int
        The end of the pipe to read from; closed when the other end is.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lines: deque[Line] = deque()
        self._bytes, self._count, self._rest = 0, 0, b""
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True, name="program output")
        self._thread.start()

    @property
    def count(self) -> int:
        """How many lines there were so far."""
        with self._changed:
            return self._count

    def find(self, expression: str, since: int, timeout_seconds: float) -> Line | None:
        """Wait for a line.

        Parameters
        ----------
        expression : str
            A regular expression that a part of it matches.
        since : int
            Number of the first line that may be it.
        timeout_seconds : float
            How long to wait [s].

        Returns
        -------
        Line or None
            The first; None if there was none in time.
        """
        wanted = re.compile(expression)
        deadline = time.monotonic() + timeout_seconds
        with self._changed:
            while True:
                for line in self._lines:
                    if line.number >= since:
                        since = line.number + 1
                        if wanted.search(line.text):
                            return line
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                self._changed.wait(left)

    def text(self, since: int = 0) -> str:
        """All that is kept from a line on."""
        with self._changed:
            return "\n".join(line.text for line in self._lines if line.number >= since)

    def close(self, timeout_seconds: float = 0.5) -> None:
        """Wait until the pipe is closed by all who could write to it."""
        self._thread.join(timeout_seconds)

    def _read(self) -> None:
        while True:
            data = os.read(self._fd, _CHUNK)
            now = time.perf_counter()
            with self._changed:
                if not data:
                    if self._rest:
                        self._keep(now, self._rest)
                    os.close(self._fd)
                else:
                    *lines, self._rest = (self._rest + data).split(b"\n")
                    for line in lines:
                        self._keep(now, line)
                    if len(self._rest) > _MOST_BYTES:
                        self._keep(now, self._rest)
                        self._rest = b""
                self._changed.notify_all()
            if not data:
                return

    def _keep(self, now: float, line: bytes) -> None:
        text = line.decode(errors="replace")
        self._lines.append(Line(self._count, now, text))
        self._count += 1
        self._bytes += len(text)
        while self._bytes > _MOST_BYTES and len(self._lines) > 1:
            self._bytes -= len(self._lines.popleft().text)
