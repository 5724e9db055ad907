"""The client as Python asks it: what is asked for, and the result as types."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec

from hmexp.decoding import decoder
from hmexp.errors import HmexpError, ParameterError
from hmexp.process import describe_end
from hmexp.program.client.build import build_client
from hmexp.store.client_records import ClientResult

Step = Literal["load", "verify", "run", "rush"]
_USAGE: Final = 2
_decoder: Final = decoder(ClientResult)


class ClientError(HmexpError):
    """The client of Redis gave no result: the server is gone, too slow, or was never there."""


@dataclass(frozen=True)
class Requests:
    """What the client asks of a server.

    Parameters
    ----------
    keys : int
        Number of keys.
    value_bytes : int
        Size of each value [bytes].
    read_percent : int
        Share of GET; the rest is SET [%].
    zipf : float
        Exponent of Zipf's law for keys; 0 is uniform.
    rate : float
        Requests per second, due whether or not earlier ones are answered; latency counts from when a
        request was due. 0: each connection sends when it has an answer, as fast as it goes [1/s].
    arrivals : str
        `poisson` or `even`: when requests are due, at a set rate.
    connections : int
        Connections, shared among the threads.
    threads : int
        Threads of the client.
    pipeline : int
        Requests under way on each connection, without a set rate.
    seconds : float
        How long it is measured [s].
    warmup_seconds : float
        How long requests are sent before [s].
    drain_seconds : float
        How long answers are waited for afterwards [s].
    seed : int
        Of keys, operations and arrivals.
    first_version : int
        Of values that are written to keys that this client has not read or loaded; above every version
        that is there. 0: a run with writes must come after `load` or `verify`.
    """

    keys: int = 100_000
    value_bytes: int = 100
    read_percent: int = 95
    zipf: float = 0.0
    rate: float = 0.0
    arrivals: Literal["poisson", "even"] = "poisson"
    connections: int = 8
    threads: int = 1
    pipeline: int = 1
    seconds: float = 5.0
    warmup_seconds: float = 1.0
    drain_seconds: float = 10.0
    seed: int = 1
    first_version: int = 0

    def to_words(self) -> list[str]:
        """The same as options of the command."""
        return [
            f"--keys={self.keys}",
            f"--value-bytes={self.value_bytes}",
            f"--read-percent={self.read_percent}",
            f"--zipf={self.zipf!r}",
            f"--rate={self.rate!r}",
            f"--arrivals={self.arrivals}",
            f"--connections={self.connections}",
            f"--threads={self.threads}",
            f"--pipeline={self.pipeline}",
            f"--seconds={self.seconds!r}",
            f"--warmup={self.warmup_seconds!r}",
            f"--drain={self.drain_seconds!r}",
            f"--seed={self.seed}",
            f"--first-version={self.first_version}",
        ]


@dataclass(frozen=True)
class RunningClient:
    """A client that was started: `finish` waits for its result.

    Parameters
    ----------
    process : subprocess.Popen
        Its process.
    """

    process: subprocess.Popen[bytes]

    def finish(self, timeout_seconds: float | None = None) -> ClientResult:
        """Wait for the client's end and return what it saw.

        Raises
        ------
        ParameterError
            If it was asked for what cannot be.
        ClientError
            If it has no result.
        """
        try:
            out, err = self.process.communicate(timeout=timeout_seconds)
        except subprocess.TimeoutExpired as error:
            self.process.kill()
            self.process.communicate()
            raise ClientError(f"the client took longer than {timeout_seconds:g} s and was ended") from error
        words = err.decode(errors="replace").strip().removeprefix("hmexp-redis-client: ")
        if self.process.returncode == _USAGE:
            raise ParameterError(f"the client of Redis: {words}")
        if self.process.returncode:
            reason = words or describe_end(self.process.returncode)
            raise ClientError(f"the client of Redis has no result: {reason}")
        try:
            return _decoder.decode(out)
        except msgspec.DecodeError as error:
            raise ClientError(f"the client of Redis said what cannot be read: {error}") from error


@contextlib.contextmanager
def start_client(socket: Path, requests: Requests, *steps: Step) -> Iterator[RunningClient]:
    """Start the client on a server's Unix socket; it is ended with the context.

    Parameters
    ----------
    socket : Path
        The server's socket.
    requests : Requests
        What is asked for.
    *steps : str
        `load`, `verify`, `run` and `rush`, in their order.

    Yields
    ------
    RunningClient
        The client.
    """
    command = [str(build_client()), f"--socket={socket}", *requests.to_words(), *steps]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        yield RunningClient(process)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def run_client(
    socket: Path, requests: Requests, *steps: Step, timeout_seconds: float | None = None
) -> ClientResult:
    """Run the client to its end.

    Parameters
    ----------
    socket, requests, *steps
        As for `start_client`.
    timeout_seconds : float, optional
        After this it is ended [s].

    Returns
    -------
    ClientResult
        What it saw.

    Raises
    ------
    ParameterError
        If it was asked for what cannot be.
    ClientError
        If it has no result.
    """
    with start_client(socket, requests, *steps) as client:
        return client.finish(timeout_seconds)
