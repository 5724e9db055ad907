"""One way to run a child: start it, ask it one question, and name how it ended.

The parent writes the question to the child's standard input and reads the answer from its standard output.
The child keeps standard output for the answer alone: whatever else prints there goes to standard error. It
dies with the process that started it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, Literal

from hmexp import native

#: What became of a child that gave no answer.
Failure = Literal["Timeout", "Killed", "Crashed"]
_LONGEST_WORDS: Final = 2000
_KILL_HINT: Final = " (the kernel does so when memory runs out; see dmesg)"


class ChildError(Exception):
    """A child gave no answer.

    Parameters
    ----------
    failure : str
        ``Timeout``, ``Killed`` (by a signal) or ``Crashed``.
    reason : str
        How it ended, for people: what follows the child's name in a sentence.
    last_words : str
        The end of what it wrote to standard error.
    signal_name : str, optional
        The signal that ended it.
    """

    def __init__(
        self, failure: Failure, reason: str, last_words: str = "", signal_name: str | None = None
    ) -> None:
        super().__init__(reason)
        self.failure, self.reason = failure, reason
        self.last_words, self.signal_name = last_words, signal_name


@dataclass(frozen=True)
class Child:
    """A Python module that answers one question in a process of its own.

    Parameters
    ----------
    module : str
        Its dotted name; its main program calls `answer_once`.
    timeout_seconds : float or None
        After this it is killed; None waits for as long as it takes [s].
    site : bool
        Whether Python imports ``site``. Without it a start costs less, and the parent's own path of modules
        is handed down.
    errors : file, optional
        Where its standard error goes; without one it is kept for `ChildError.last_words`.
    patience_seconds : float
        If the parent is interrupted, how long the child may take to end in order after SIGINT; 0 kills it
        at once [s].
    environment : mapping
        Added to the parent's own.
    own_path : bool
        Whether the child looks for modules where this process does, and keeps numerical libraries to one
        thread. False where it starts programs of others, such as a notebook's kernel: those get the
        environment as it is.
    """

    module: str
    timeout_seconds: float | None = None
    site: bool = True
    errors: IO[str] | None = None
    patience_seconds: float = 0.0
    environment: Mapping[str, str] = field(default_factory=dict)
    own_path: bool = True

    def ask(self, question: bytes) -> bytes:
        """Start it, ask, and return its answer.

        Raises
        ------
        ChildError
            If it took too long, was killed, or ended with another status than 0.
        """
        flags = ["-P"] if self.site else ["-S", "-P"]
        process = subprocess.Popen(
            [sys.executable, *flags, "-m", self.module, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if self.errors is None else self.errors,
            env={**(child_environment() if self.own_path else os.environ), **self.environment},
            # Ctrl-C is for the parent, which then ends the child.
            start_new_session=True,
        )
        try:
            out, err = process.communicate(question, timeout=self.timeout_seconds)
        except subprocess.TimeoutExpired as error:
            end_child(process)
            raise took_too_long(self.timeout_seconds or 0.0) from error
        except BaseException:
            self._end(process)
            raise
        return answer_of(process.returncode, out, err or b"")

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        if self.patience_seconds:
            process.send_signal(signal.SIGINT)
            try:
                process.communicate(timeout=self.patience_seconds)
                return
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                pass
        end_child(process)


def answer_of(returncode: int, answer: bytes, errors: bytes) -> bytes:
    """The answer of a child that has ended.

    Raises
    ------
    ChildError
        If it was killed, or ended with another status than 0.
    """
    last_words = errors.decode(errors="replace").strip()[-_LONGEST_WORDS:]
    if returncode < 0:
        name = signal_name(-returncode)
        raise ChildError("Killed", describe_end(returncode), last_words, name)
    if returncode != 0:
        raise ChildError("Crashed", describe_end(returncode), last_words)
    return answer


def took_too_long(timeout_seconds: float) -> ChildError:
    """The error of a child that was killed after its time [s]."""
    return ChildError("Timeout", f"took longer than {timeout_seconds:g} s and was stopped")


def end_child(process: subprocess.Popen[bytes]) -> None:
    """Kill a child and what it has started, which would else live on and hold its output open."""
    # It leads a group of its own. Once it is reaped, its number may be another's: an interruption can come
    # just then, before the returncode is known.
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@dataclass(frozen=True)
class CommandEnd:
    """A command that has ended.

    Parameters
    ----------
    status : int
        Its exit status; negative for the signal that killed it.
    elapsed_seconds : float
        From its start to its end [s].
    cpu_seconds : float
        What it used of the CPUs, with the children that it waited for [s].
    """

    status: int
    elapsed_seconds: float
    cpu_seconds: float


def carry_out(
    words: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    output: IO[bytes],
    timeout_seconds: float,
) -> CommandEnd:
    """Run a command of others to its end, without a terminal, in a group of its own.

    Parameters
    ----------
    words : sequence of str
        The program and its arguments.
    folder : Path
        Where it runs.
    environment : mapping
        Its whole environment.
    output : file
        Where its standard output and standard error go.
    timeout_seconds : float
        After this, it and what it has started in its group are killed [s].

    Raises
    ------
    ChildError
        If it could not be started, or took too long.
    """
    begun = time.perf_counter()
    try:
        process = subprocess.Popen(
            words, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT, process_group=0,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ChildError("Crashed", f"could not be started: {why}") from error
    try:
        # Unlike Popen.wait this takes the CPU time of this one child alone.
        handle = os.pidfd_open(process.pid)
        try:
            if not select.select([handle], [], [], timeout_seconds)[0]:
                raise took_too_long(timeout_seconds)
        finally:
            os.close(handle)
        elapsed = time.perf_counter() - begun
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    except BaseException:
        end_child(process)
        raise
    return CommandEnd(process.returncode, elapsed, usage.ru_utime + usage.ru_stime)


def answer_once(answer: Callable[[bytes], bytes]) -> None:
    """Be such a child: read the question, answer it, and keep standard output clean meanwhile.

    Parameters
    ----------
    answer : callable
        Gives the answer to the question.
    """
    # Run from the folder of a notebook, that folder must not hide the standard library.
    sys.path[:] = [entry for entry in sys.path if entry not in ("", str(Path.cwd()))]
    native.die_with_parent(int(sys.argv[1]))
    question = sys.stdin.buffer.read()
    # The answer goes to the real standard output alone: a stray print must not damage it.
    out = os.dup(1)
    os.dup2(2, 1)
    given = answer(question)
    with os.fdopen(out, "wb") as stream:
        stream.write(given)


def describe_end(returncode: int) -> str:
    """How a process ended: ``was killed by SIGKILL``, ``ended with status 3``."""
    if returncode >= 0:
        return f"ended with status {returncode}"
    name = signal_name(-returncode)
    return f"was killed by {name}{_KILL_HINT if name == 'SIGKILL' else ''}"


def signal_name(number: int) -> str:
    """The name of a signal, such as ``SIGKILL``."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def child_environment() -> dict[str, str]:
    """The environment of this process, with its path of modules ready to be used.

    Finding it again (the ``site`` module, and whatever starts from ``.pth`` files) would take a part of
    the time that a launch may cost.
    """
    here = str(Path(__file__).parents[1])
    # Run from the folder of a notebook, that folder must not hide the standard library; ours comes last.
    path = dict.fromkeys([*(entry for entry in sys.path if entry not in ("", str(Path.cwd()))), here])
    # Nothing there multiplies matrices: threads for it would take time to start, and CPUs from the loops.
    own = {"PYTHONPATH": os.pathsep.join(path), "OPENBLAS_NUM_THREADS": "1"}
    return {**os.environ, **own}
