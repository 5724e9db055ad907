"""A process that imports a module once and forks a fresh child for each question.

Starting Python and importing numpy takes a third of a second of CPU time, for each launch of a sweep. A child
that is forked from a process which has done both has pages, memory policies and open files of its own all
the same. What its siblings share is where the kernel put libraries, heap and stack.

The server has one thread. It speaks with its owner by packets over a socket: a question comes as three files
(standard input, output and error of the child), and the answer is how the child ended.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, NoReturn

from hmexp import native
from hmexp.process import ChildError, answer_of, answer_once, child_environment, took_too_long

SERVE: Final = "--serve"
_ASK, _KILL, _ENDED = b"ask", b"kill", b"ended "
_LONGEST_PACKET: Final = 64
#: How long a child that was killed may take to be gone [s].
_PATIENCE_SECONDS: Final = 30.0


class ForkServer:
    """Forks children that answer a question each, for as long as it is entered.

    Parameters
    ----------
    module : str
        The dotted name of what answers; its main program calls `serve` if it is started with `SERVE`.
    """

    def __init__(self, module: str) -> None:
        self._module = module
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._errors = -1

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the server, and whatever it still runs."""
        if self._socket is not None:
            self._socket.close()
        if self._process is not None:
            # It ends when its socket does.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_PATIENCE_SECONDS)
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
        if self._errors >= 0:
            os.close(self._errors)
        self._socket, self._process, self._errors = None, None, -1

    def ask(self, question: bytes, timeout_seconds: float | None = None) -> bytes:
        """Have a fresh child answer a question.

        Parameters
        ----------
        question : bytes
            What it reads from its standard input.
        timeout_seconds : float or None
            After this it is killed; None waits for as long as it takes [s].

        Raises
        ------
        ChildError
            If it took too long, was killed, or ended with another status than 0.
        """
        handles = [os.memfd_create(name) for name in ("question", "answer", "errors")]
        given, answer, errors = handles
        try:
            _write(given, question)
            server = self._started()
            try:
                socket.send_fds(server, [_ASK], handles)
                returncode = self._await(server, timeout_seconds)
            except ConnectionError:
                raise self._lost() from None
            return answer_of(returncode, _read(answer), _read(errors))
        finally:
            for handle in handles:
                os.close(handle)

    def _started(self) -> socket.socket:
        if self._socket is not None:
            return self._socket
        own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._errors = os.memfd_create("errors")
        with other:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-S",
                    "-P",
                    "-m",
                    self._module,
                    str(os.getpid()),
                    SERVE,
                    str(other.fileno()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=self._errors,
                stderr=self._errors,
                env=child_environment(),
                pass_fds=[other.fileno()],
                # Ctrl-C is for the owner.
                start_new_session=True,
            )
        self._socket = own
        return own

    def _await(self, server: socket.socket, timeout_seconds: float | None) -> int:
        try:
            if select.select([server], [], [], timeout_seconds)[0]:
                return self._received(server)
            server.send(_KILL)
            if select.select([server], [], [], _PATIENCE_SECONDS)[0]:
                self._received(server)
            else:
                self.close()
        except (ChildError, ConnectionError):
            raise
        except BaseException:
            # Without its owner the server kills what it runs, and ends.
            self.close()
            raise
        raise took_too_long(timeout_seconds or 0.0)

    def _received(self, server: socket.socket) -> int:
        packet = server.recv(_LONGEST_PACKET)
        if not packet.startswith(_ENDED):
            raise self._lost()
        return int(packet.removeprefix(_ENDED))

    def _lost(self) -> ChildError:
        """The server has ended, and its child with it: say how."""
        assert self._process is not None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        returncode = self._process.wait()
        words = _read(self._errors)
        self.close()
        try:
            answer_of(returncode or 1, b"", words)
        except ChildError as error:
            return error
        raise AssertionError("a process that ended with another status than 0 gave an answer")


def serve(answer: Callable[[bytes], bytes]) -> None:
    """Be such a server, until its owner closes the socket.

    Parameters
    ----------
    answer : callable
        Gives the answer to a question, in the child.
    """
    native.die_with_parent(int(sys.argv[1]))
    threads = len(list(Path("/proc/self/task").iterdir()))
    if threads > 1:
        raise RuntimeError(f"it has {threads} threads: a fork would leave the locks of the others held")
    # What is imported stays for ever: the collector need not touch it, which would copy its pages.
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[3])) as owner:
        while True:
            packet, handles, _, _ = socket.recv_fds(owner, _LONGEST_PACKET, 3)
            if not packet:
                return
            if packet == _KILL:
                continue  # of a child that had just ended
            child = os.fork()
            if child == 0:
                _be_child(owner, handles, answer)
            for handle in handles:
                os.close(handle)
            returncode = _watch(owner, child)
            if returncode is None:
                return
            owner.send(_ENDED + str(returncode).encode())


def _be_child(owner: socket.socket, handles: list[int], answer: Callable[[bytes], bytes]) -> NoReturn:
    status = 1
    try:
        owner.close()
        os.setsid()
        for target, handle in enumerate(handles):
            os.dup2(handle, target)
            os.close(handle)
        # Who started it: the server, with which it is to end.
        sys.argv[1] = str(os.getppid())
        answer_once(answer)
        status = 0
    except BaseException:  # noqa: BLE001 - whatever ends the child stands on its standard error
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _watch(owner: socket.socket, child: int) -> int | None:
    """Wait for a child; None if the owner has gone, and the child with it."""
    handle = os.pidfd_open(child)
    try:
        while True:
            ready, _, _ = select.select([owner.fileno(), handle], [], [])
            if handle in ready:
                return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            packet = owner.recv(_LONGEST_PACKET)
            _kill(child)
            if not packet:
                os.waitpid(child, 0)
                return None
    finally:
        os.close(handle)


def _kill(child: int) -> None:
    """Kill a child that was not waited for yet, and what it has started in its group."""
    os.kill(child, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)


def _write(handle: int, text: bytes) -> None:
    written = 0
    while written < len(text):
        written += os.pwrite(handle, text[written:], written)


def _read(handle: int) -> bytes:
    return os.pread(handle, os.fstat(handle).st_size, 0)
