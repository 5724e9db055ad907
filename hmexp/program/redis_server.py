"""A Redis of ours: on a private socket in a private folder, started in a given way, asked, and ended."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from hmexp.program.redis_protocol import RedisConnection, RedisError
from hmexp.store.redis_records import ProcessWork
from hmexp.system.sysfs import read_text

PROGRAM: Final = "redis-server"
PACKAGE: Final = "redis-server"
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_POLL_SECONDS: Final = 0.02
_LAST_WORDS_BYTES: Final = 2000
#: How long a server may take to end in order.
_PATIENCE_SECONDS: Final = 20.0


class StartedProcess(Protocol):
    """A process that was started in some way."""

    @property
    def pid(self) -> int:
        """Its number."""

    def poll(self) -> int | None:
        """Its exit status; None while it runs."""

    def end(self) -> None:
        """Wait for its end; the signal has been sent."""


#: Starts a command with its output in a file.
Launcher = Callable[[Sequence[str], Path], StartedProcess]


@dataclass(frozen=True)
class PlainProcess:
    """A process started without any way: the kernel's default.

    Parameters
    ----------
    process : subprocess.Popen
        The process.
    """

    process: subprocess.Popen[bytes]

    @classmethod
    def launch(cls, command: Sequence[str], output: Path) -> PlainProcess:
        """Start a command, its output in a file."""
        with output.open("ab") as file:
            return cls(
                subprocess.Popen(
                    list(command), stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
                )
            )

    @property
    def pid(self) -> int:
        """Its number."""
        return self.process.pid

    def poll(self) -> int | None:
        """Its exit status; None while it runs."""
        return self.process.poll()

    def end(self) -> None:
        """Wait for its end."""
        self.process.wait()


@dataclass(frozen=True)
class RedisServer:
    """A running Redis.

    Parameters
    ----------
    started : StartedProcess
        Its process.
    folder : Path
        Its socket, log and dump.
    connection : RedisConnection
        For commands.
    """

    started: StartedProcess
    folder: Path
    connection: RedisConnection

    @property
    def pid(self) -> int:
        """The server's process."""
        return self.started.pid

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.folder / "redis.sock"

    @property
    def dump(self) -> Path:
        """Where it dumps its data."""
        return self.folder / "dump.rdb"

    def digest(self) -> str:
        """Redis's own digest of every key and value."""
        return self.connection.text("DEBUG", "DIGEST")

    def work(self) -> ProcessWork:
        """What it has done so far."""
        return read_work(self.pid)

    def children(self) -> tuple[int, ...]:
        """Processes that it forked and that still run."""
        return find_children(self.pid)


@contextlib.contextmanager
def redis_server(
    launcher: Launcher = PlainProcess.launch,
    *,
    options: Sequence[str] = (),
    dump: Path | None = None,
    ready_seconds: float = 120.0,
) -> Iterator[RedisServer]:
    """Start a Redis in a new folder; with the context it ends, and its folder goes.

    It listens on a Unix socket only, and saves nothing by itself.

    Parameters
    ----------
    launcher : callable
        Starts the command.
    options : sequence of str
        More of the server's options.
    dump : Path, optional
        A dump that it loads.
    ready_seconds : float
        How long it may take until it answers [s].

    Yields
    ------
    RedisServer
        The server; it answers.

    Raises
    ------
    RedisError
        If it is not installed, or does not answer in time.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        raise RedisError(f"{PROGRAM} is not installed", f"install it: apt-get install {PACKAGE}")
    # A Unix socket's path is short: not below a folder of results.
    with tempfile.TemporaryDirectory(prefix="hmexp-redis-") as name:
        folder = Path(name)
        if dump is not None:
            shutil.copyfile(dump, folder / "dump.rdb")
        command = [
            program, "--port", "0", "--unixsocket", str(folder / "redis.sock"), "--dir", name,
            "--save", "", "--appendonly", "no", "--daemonize", "no", "--enable-debug-command", "local",
            *options,
        ]  # fmt: skip
        started = launcher(command, folder / "log")
        try:
            with _connect(started, folder, ready_seconds) as connection:
                yield RedisServer(started, folder, connection)
        finally:
            _end(started)


def read_work(pid: int) -> ProcessWork:
    """What a process has done so far.

    Raises
    ------
    RedisError
        If there is no such process.
    """
    text = read_text(Path(f"/proc/{pid}/stat"))
    if text is None:
        raise RedisError(f"process {pid} has ended")
    # After the name, which may hold anything, in parentheses.
    fields = text.rpartition(")")[2].split()
    minor, child_minor = int(fields[7]), int(fields[8])
    user, system, child_user, child_system = (int(field) / _TICKS for field in fields[11:15])
    return ProcessWork(
        user_seconds=user,
        system_seconds=system,
        minor_faults=minor,
        child_cpu_seconds=child_user + child_system,
        child_minor_faults=child_minor,
    )


def find_children(pid: int) -> tuple[int, ...]:
    """The processes whose parent is this one, by the kernel's list of each thread."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (read_text(task / "children") or "").split())
    return tuple(found)


def _connect(started: StartedProcess, folder: Path, ready_seconds: float) -> RedisConnection:
    end = time.monotonic() + ready_seconds
    while True:
        try:
            connection = RedisConnection(folder / "redis.sock")
        except RedisError:
            reason = "does not listen"
        else:
            try:
                # A server that loads its dump refuses.
                connection.ask("PING")
                return connection
            except RedisError as error:
                connection.close()
                reason = f"is not ready ({error.message})"
        if started.poll() is not None:
            raise RedisError(f"{PROGRAM} ended at once: {_last_words(folder)}")
        if time.monotonic() > end:
            raise RedisError(f"{PROGRAM} {reason} after {ready_seconds:g} s: {_last_words(folder)}")
        time.sleep(_POLL_SECONDS)


def _last_words(folder: Path) -> str:
    with contextlib.suppress(OSError):
        words = (folder / "log").read_text(errors="replace").strip()
        return words[-_LAST_WORDS_BYTES:] or "(it said nothing)"
    return "(it has no log)"


def _end(started: StartedProcess) -> None:
    children = find_children(started.pid)
    _signal(started.pid, signal.SIGTERM)
    end = time.monotonic() + _PATIENCE_SECONDS
    while started.poll() is None and time.monotonic() < end:
        time.sleep(_POLL_SECONDS)
    if started.poll() is None:
        # One that dumps outlives a server that is killed.
        for pid in (started.pid, *children):
            _signal(pid, signal.SIGKILL)
    started.end()


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
