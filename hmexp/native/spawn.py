"""Starting a program that is not ours, and seeing the signals that are meant for it."""

from __future__ import annotations

import errno as errno_names
import os
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Self

from hmexp.errors import NativeError
from hmexp.native.core import check, ffi, lib
from hmexp.native.exit_stop import ExitStop

_SEEN_BYTES = ffi.sizeof("struct hm_signal")
#: `si_code` of a signal that the kernel sent by itself, as it does for keys on a terminal.
_BY_KERNEL = 0x80


class TaskPolicy(Enum):
    """The memory policy that a program starts with, and that its children inherit."""

    AS_IS = "as it is"
    LOCAL = "local"
    PREFER = "preferred"
    EVENLY = "interleave"
    WEIGHTED = "weighted interleave"


class Stage(Enum):
    """What could not be done before the program ran."""

    FORK = "fork"
    POLICY = "set_mempolicy"
    HUGE = "prctl(PR_SET_THP_DISABLE)"
    EXEC = "exec"


class SpawnError(NativeError):
    """A program could not be started; `stage` says at what."""

    def __init__(self, stage: Stage, cause: NativeError) -> None:
        super().__init__(cause.message, cause.remedy, cause.errno)
        self.stage = stage


@dataclass(frozen=True)
class Inheritance:
    """What a program inherits beside its environment.

    Parameters
    ----------
    policy : TaskPolicy
        Its memory policy.
    nodes : tuple of int
        The nodes of the policy; none for `AS_IS` and `LOCAL`.
    without_huge : bool
        Whether it gets no transparent huge pages (``PR_SET_THP_DISABLE``).
    """

    policy: TaskPolicy = TaskPolicy.AS_IS
    nodes: tuple[int, ...] = ()
    without_huge: bool = False


@dataclass(frozen=True)
class Spawned:
    """A program that was started.

    Parameters
    ----------
    pid : int
        Its process, which has begun with the program already.
    exit_stop : ExitStop or None
        Stops it in its exit, if that was asked for and could be had.
    why_not : str or None
        Why it will not be stopped in its exit.
    """

    pid: int
    exit_stop: ExitStop | None = None
    why_not: str | None = None


def spawn(
    path: str,
    argv: Sequence[str],
    environment: Mapping[str, str],
    inherits: Inheritance = Inheritance(),
    stop_in_exit: bool = False,
) -> Spawned:
    """Start a program in this process's group, session and terminal, with its standard streams.

    Everything that this process has not marked close-on-exec is inherited, and so are signals that are
    ignored. It is not tied to the life of this process.

    Parameters
    ----------
    path : str
        The executable file.
    argv : sequence of str
        The program's name for itself, and its arguments.
    environment : mapping
        Its whole environment.
    inherits : Inheritance
        Its memory policy.
    stop_in_exit : bool
        Whether it is stopped in its exit. That is arranged before its first instruction, however short it
        is; a program whose file gives it rights would lose them, and is not stopped.

    Returns
    -------
    Spawned
        Its process.

    Raises
    ------
    SpawnError
        If it could not be started.
    """
    why_not = gives_rights(path) if stop_in_exit else None
    words = [ffi.new("char[]", os.fsencode(word)) for word in argv]
    variables = [ffi.new("char[]", os.fsencode(f"{name}={value}")) for name, value in environment.items()]
    holder = ffi.new("struct hm_spawn *")
    kept = (
        ffi.new("char[]", os.fsencode(path if "/" in path else f"./{path}")),
        ffi.new("char *[]", [*words, ffi.NULL]),
        ffi.new("char *[]", [*variables, ffi.NULL]),
        ffi.new("int32_t[]", list(inherits.nodes)),
    )
    holder.path, holder.argv, holder.environment, holder.nodes = kept
    holder.policy = getattr(lib, f"HM_POLICY_{inherits.policy.name}")
    holder.node_count = len(inherits.nodes)
    holder.without_huge = inherits.without_huge
    holder.held = stop_in_exit and why_not is None
    child = ffi.new("struct hm_spawned *")
    _check(child, lib.hm_spawn(holder, child), inherits)
    return _let_go(child, inherits, why_not, held=bool(holder.held))


def _let_go(child: ffi.CData, inherits: Inheritance, why_not: str | None, *, held: bool) -> Spawned:
    """Have a child become the program, once it is traced if it waits for that."""
    stop = None
    if held:
        try:
            stop = ExitStop(child.pid)
        except NativeError as error:
            why_not = str(error)
    try:
        _check(child, lib.hm_spawn_go(child), inherits)
    except SpawnError:
        if stop is not None:
            stop.wait(None)
            stop.release()
        os.waitpid(child.pid, 0)
        raise
    return Spawned(int(child.pid), stop, why_not)


def _check(child: ffi.CData, returned: int, inherits: Inheritance) -> None:
    failed_at = next(each for each in Stage if getattr(lib, f"HM_STAGE_{each.name}") == child.stage)
    try:
        call = "set_mempolicy" if failed_at is Stage.POLICY else None
        what = f"set_mempolicy ({inherits.policy.value})" if call else failed_at.value
        check(returned, what, call)
    except NativeError as error:
        raise SpawnError(failed_at, error) from error


def gives_rights(path: str) -> str | None:
    """Say it if a program has more rights by its file than whoever starts it; else None.

    The kernel does not give them to a program that is traced by somebody without them (`execve(2)`).
    """
    with suppress(OSError):
        if Path(path).stat().st_mode & (stat.S_ISUID | stat.S_ISGID):
            return f"{path} is set-user-ID or set-group-ID"
        if os.getxattr(path, "security.capability"):
            return f"{path} has file capabilities"
    return None


@dataclass(frozen=True)
class SeenSignal:
    """A signal that this process got.

    Parameters
    ----------
    number : int
        Which.
    by_kernel : bool
        Whether the kernel sent it by itself, as it does for keys on a terminal: then to the whole
        foreground group.
    sender : int
        The process that sent it, if one did.
    """

    number: int
    by_kernel: bool
    sender: int


@dataclass
class SignalWatch:
    """Sees signals instead of being ended by them, for as long as it is open; one at a time.

    Signals that this process ignores stay ignored.

    Parameters
    ----------
    numbers : sequence of int
        The signals.
    """

    numbers: Sequence[int]
    fd: int = field(default=-1, init=False)

    def __enter__(self) -> Self:
        out = ffi.new("int *")
        check(lib.hm_signals_watch(ffi.new("int32_t[]", list(self.numbers)), len(self.numbers), out), "pipe2")
        self.fd = int(out[0])
        return self

    def __exit__(self, *_: object) -> None:
        lib.hm_signals_leave(self.fd)
        self.fd = -1

    def read(self) -> list[SeenSignal]:
        """The signals that have come since the last call; `fd` becomes readable when there are any."""
        try:
            data = os.read(self.fd, 64 * _SEEN_BYTES)
        except OSError as error:
            if error.errno == errno_names.EAGAIN:
                return []
            raise
        seen = ffi.from_buffer("struct hm_signal[]", data)
        return [
            SeenSignal(each.number, each.code == _BY_KERNEL, each.pid if each.code <= 0 else 0)
            for each in seen
        ]
