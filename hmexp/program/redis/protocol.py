"""A connection to a Redis for a few commands of its administrator; requests in number are the client's."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Final

from hmexp.closing import Closing
from hmexp.errors import HmexpError

#: What a Redis answers.
Reply = bytes | int | None | list["Reply"]
_LINE_END: Final = b"\r\n"


class RedisError(HmexpError):
    """A Redis answered with an error, or not at all."""


class RedisConnection(Closing):
    """One connection to a Redis.

    Parameters
    ----------
    path : Path
        The server's Unix socket.
    timeout_seconds : float or None
        How long each answer may take; None waits for as long as it takes [s].

    Raises
    ------
    RedisError
        If nobody listens there.
    """

    def __init__(self, path: Path, timeout_seconds: float | None = None) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.settimeout(timeout_seconds)
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise RedisError(f"no Redis listens on {path}: {error.strerror or error}") from error
        self._file = self._socket.makefile("rb")

    def close(self) -> None:
        """End the connection."""
        self._file.close()
        self._socket.close()

    def ask(self, *words: str) -> Reply:
        """Send a command and return the answer.

        Raises
        ------
        RedisError
            If the answer is an error, or there is none.
        """
        parts = [b"*%d" % len(words)]
        for word in words:
            encoded = word.encode()
            parts += [b"$%d" % len(encoded), encoded]
        try:
            self._socket.sendall(_LINE_END.join(parts) + _LINE_END)
            return self._read(words[0])
        except (OSError, ValueError) as error:
            raise RedisError(f"{words[0]}: the Redis on {self._path} did not answer: {error}") from error

    def text(self, *words: str) -> str:
        """Send a command whose answer is a text, and return that.

        Raises
        ------
        RedisError
            If the answer is something else.
        """
        reply = self.ask(*words)
        if not isinstance(reply, bytes):
            raise RedisError(f"{words[0]}: a text was expected, the answer is {reply!r}")
        return reply.decode(errors="replace")

    def info(self, section: str = "everything") -> dict[str, str]:
        """Return the fields of a section of INFO by their names."""
        lines = self.text("INFO", section).split("\r\n")
        return dict(line.split(":", 1) for line in lines if ":" in line and not line.startswith("#"))

    def _read(self, command: str) -> Reply:
        line = self._file.readline()
        if not line.endswith(_LINE_END):
            raise ValueError("it closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b"-":
            raise RedisError(f"{command}: {rest.decode(errors='replace')}")
        if kind == b":":
            return int(rest)
        if kind == b"$":
            length = int(rest)
            return None if length < 0 else self._file.read(length + 2)[:-2]
        if kind == b"*":
            return [self._read(command) for _ in range(max(0, int(rest)))]
        raise ValueError(f"{line[:40]!r} is not of Redis's protocol")
