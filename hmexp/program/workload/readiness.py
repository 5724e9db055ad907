"""Waiting until a program is ready: a port, a line of its output, a command that succeeds."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hmexp.errors import MeasurementError, ParameterError
from hmexp.program.launch.output import ProgramOutput
from hmexp.program.workload.site import Site
from hmexp.store.workload_records import ReadyRecord

_PAUSE_SECONDS: Final = 0.05
_LONGEST_TRY_SECONDS: Final = 5.0


def find_port() -> int:
    """A TCP port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@dataclass
class Readiness:
    """The conditions of one launch.

    Parameters
    ----------
    asked : ReadyRecord
        What must hold.
    site : Site
        Where commands run, and the values of their placeholders.
    output : ProgramOutput
        Of the program.
    is_alive : callable
        Whether the program still runs.
    """

    asked: ReadyRecord
    site: Site
    output: ProgramOutput
    is_alive: Callable[[], bool]

    def wait(self) -> None:
        """Wait until all of them hold.

        Raises
        ------
        MeasurementError
            If the program ends, or one of them does not hold in time: with its output.
        """
        deadline = time.monotonic() + self.asked.timeout_seconds
        waiting = dict(self._conditions())
        while waiting:
            for name, holds in list(waiting.items()):
                if holds(min(_LONGEST_TRY_SECONDS, max(_PAUSE_SECONDS, deadline - time.monotonic()))):
                    del waiting[name]
            if not waiting:
                return
            what = " and ".join(waiting)
            if not self.is_alive():
                raise MeasurementError(f"the program ended before it was ready ({what})", self._last_words())
            if time.monotonic() >= deadline:
                raise MeasurementError(
                    f"the program was not ready after {self.asked.timeout_seconds:g} s: there was no {what}",
                    self._last_words(),
                )
            time.sleep(_PAUSE_SECONDS)

    def _conditions(self) -> dict[str, Callable[[float], bool]]:
        asked, found = self.asked, dict[str, Callable[[float], bool]]()
        if asked.port is not None:
            port = self._port(str(asked.port))
            found[f"connection to port {port}"] = lambda seconds: _accepts(port, seconds)
        if asked.line is not None:
            line = asked.line
            found[f"line that matches {line!r}"] = lambda _: (
                self.output.find(line, 0, _PAUSE_SECONDS) is not None
            )
        if asked.command is not None:
            words = self.site.words(asked.command, shell=asked.shell)
            found[f"success of {' '.join(words)}"] = lambda seconds: self.site.succeeds(words, seconds)
        return found

    def _port(self, text: str) -> int:
        filled = self.site.fill(text)
        if not filled.isdecimal() or not 0 < int(filled) < 1 << 16:
            raise ParameterError(f"ready.port {text!r} is {filled!r}, which is not a port")
        return int(filled)

    def _last_words(self) -> str:
        text = self.output.text().strip()
        return f"its output ended with: {text[-500:]}" if text else "it has printed nothing"


def _accepts(port: int, seconds: float) -> bool:
    for address in ("127.0.0.1", "::1"):
        try:
            with socket.create_connection((address, port), timeout=seconds):
                return True
        except OSError:
            continue
    return False
