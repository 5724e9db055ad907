"""A Redis on a private socket: started, asked, looked at from outside, and ended."""

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
from typing import Final

from hmexp.program.redis.protocol import RedisConnection, RedisError
from hmexp.store.redis_records import ProcessWork
from hmexp.system.sysfs import read_text

PROGRAM: Final = "redis-server"
PACKAGE: Final = "redis-server"
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_POLL_SECONDS: Final = 0.02
_LAST_WORDS_BYTES: Final = 2000
#: How long a server may take to end in order.
_PATIENCE_SECONDS: Final = 20.0


@dataclass(frozen=True)
class RedisServer:
    """A Redis that runs on this machine, whoever started it.

    Parameters
    ----------
    pid : int
        Its process.
    socket : Path
        The Unix socket where it listens.
    connection : RedisConnection
        For commands.
    """

    pid: int
    socket: Path
    connection: RedisConnection

    @property
    def dump(self) -> Path:
        """The file that it dumps its data to."""
        found = self.connection.ask("CONFIG", "GET", "d*")
        words = (
            [each.decode() for each in found if isinstance(each, bytes)] if isinstance(found, list) else []
        )
        settings = dict(zip(words[::2], words[1::2], strict=True))
        return Path(settings["dir"]) / settings["dbfilename"]

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
def attach_redis(
    socket: Path, ready_seconds: float = 120.0, alive: Callable[[], bool] = lambda: True
) -> Iterator[RedisServer]:
    """Connect to a Redis that was started in whatever way, as soon as it answers.

    Parameters
    ----------
    socket : Path
        Its Unix socket.
    ready_seconds : float
        How long it may take until it answers [s].
    alive : callable
        Whether its process still runs.

    Yields
    ------
    RedisServer
        The server.

    Raises
    ------
    RedisError
        If it does not answer in time, or has ended.
    """
    with _connect(socket, ready_seconds, alive) as connection:
        yield RedisServer(int(connection.info("server")["process_id"]), socket, connection)


def redis_command(folder: Path, options: Sequence[str] = ()) -> list[str]:
    """The command of a Redis that listens on `redis.sock` in a folder only, and saves nothing by itself.

    Parameters
    ----------
    folder : Path
        Its socket, log and dump are there.
    options : sequence of str
        More of its options.

    Raises
    ------
    RedisError
        If it is not installed.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        raise RedisError(f"{PROGRAM} is not installed", f"install it: apt-get install {PACKAGE}")
    return [
        program, "--port", "0", "--unixsocket", str(folder / "redis.sock"), "--dir", str(folder),
        "--logfile", str(folder / "log"), "--save", "", "--appendonly", "no", "--daemonize", "no",
        "--enable-debug-command", "local", *options,
    ]  # fmt: skip


@contextlib.contextmanager
def redis_server(
    options: Sequence[str] = (), dump: Path | None = None, ready_seconds: float = 120.0
) -> Iterator[RedisServer]:
    """Start a Redis in a new folder; with the context it ends, and its folder goes.

    Parameters
    ----------
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
    # A Unix socket's path is short: not below a folder of results.
    with tempfile.TemporaryDirectory(prefix="hmexp-redis-") as name:
        folder = Path(name)
        if dump is not None:
            # It only reads it: nothing is saved here.
            (folder / "dump.rdb").symlink_to(dump.resolve())
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                redis_command(folder, options),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            with attach_redis(folder / "redis.sock", ready_seconds, lambda: process.poll() is None) as server:
                yield server
        except RedisError as error:
            words = _last_words(folder)
            raise RedisError(f"{error.message}; its log ends with: {words}", error.remedy) from error
        finally:
            _end(process)


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


def _connect(socket: Path, ready_seconds: float, alive: Callable[[], bool]) -> RedisConnection:
    end = time.monotonic() + ready_seconds
    while True:
        try:
            connection = RedisConnection(socket)
        except RedisError as error:
            reason = error.message
        else:
            try:
                # A server that loads its dump refuses.
                connection.ask("PING")
                return connection
            except RedisError as error:
                connection.close()
                reason = f"it is not ready: {error.message}"
        if not alive():
            raise RedisError(f"the Redis of {socket} has ended at once")
        if time.monotonic() > end:
            raise RedisError(f"no answer within {ready_seconds:g} s: {reason}")
        time.sleep(_POLL_SECONDS)


def _last_words(folder: Path) -> str:
    with contextlib.suppress(OSError):
        words = (folder / "log").read_text(errors="replace").strip()
        return words[-_LAST_WORDS_BYTES:] or "(it said nothing)"
    return "(it has no log)"


def _end(process: subprocess.Popen[bytes]) -> None:
    children = find_children(process.pid)
    process.terminate()
    try:
        process.wait(_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        # One that dumps outlives a server that is killed.
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
