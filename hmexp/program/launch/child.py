"""Attending to a program in the foreground: signals are passed on, and Ctrl-Z stops hmexp with it.

The program is in hmexp's process group, as under time(1) or env(1): what the terminal sends (Ctrl-C, a new
size of the window), and what a shell, timeout(1) or kill(1) sends to the group, reaches it without us, and
pipelines keep their terminal. So only what a process has sent to hmexp alone is passed on.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from typing import Final, Self

from hmexp.closing import Closing
from hmexp.native.spawn import SeenSignal, SignalWatch
from hmexp.program.launch.bystander import Bystander
from hmexp.program.launch.started import Ended, Started

#: Whatever would end or stop hmexp, or that a program may want; SIGSTOP and SIGKILL cannot be passed on.
_PASSED_ON: Final = (
    signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2,
    signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGIO, signal.SIGPWR, signal.SIGWINCH,
    signal.SIGURG, signal.SIGTSTP, signal.SIGCONT,
)  # fmt: skip


class ForegroundWatch(Closing):
    """Has signals seen instead of obeyed; to be entered right before the program is started."""

    def __init__(self) -> None:
        real_time = range(int(signal.SIGRTMIN), int(signal.SIGRTMAX) + 1)
        self._signals = SignalWatch([*map(int, _PASSED_ON), *real_time, int(signal.SIGCHLD)])
        self._bystander: Bystander | None = None

    def __enter__(self) -> Self:
        self._signals.__enter__()
        self._bystander = Bystander()
        return self

    def close(self) -> None:
        """Obey signals as before."""
        if self._bystander is not None:
            self._bystander.close()
        self._signals.__exit__()

    @property
    def fd(self) -> int:
        """Becomes readable when there are signals."""
        return self._signals.fd

    def read(self, pid: int) -> list[SeenSignal]:
        """The signals that have come since the last call and that the program has not got, and SIGCHLD.

        Parameters
        ----------
        pid : int
            The program.
        """
        seen = self._signals.read()
        # Those of the kernel, as for a key on the terminal, are sent to the group in its foreground.
        sent = [each for each in seen if not each.by_kernel and each.number != signal.SIGCHLD]
        if self._bystander is not None and _group_of(pid) == os.getpgrp():
            sent = self._bystander.sent_to_us(sent)
        # In their order: a stop of the program before SIGCONT is another thing than one after it.
        return [
            each
            for each in seen
            if each.number == signal.SIGCHLD or (each.sender != pid and any(each is one for one in sent))
        ]


def attend(started: Started, watch: ForegroundWatch) -> None:
    """Wait for the end of the program, and pass on signals meanwhile.

    Parameters
    ----------
    started : Started
        The program.
    watch : ForegroundWatch
        Entered before it was started.
    """
    if started.poll() is not None:
        return
    pidfd = os.pidfd_open(started.pid)
    try:
        waiting = select.poll()
        waiting.register(pidfd, select.POLLIN)
        waiting.register(watch.fd, select.POLLIN)
        while True:
            ready = {fd for fd, _ in waiting.poll()}
            for seen in watch.read(started.pid) if watch.fd in ready else ():
                _handle(started.pid, seen)
            if pidfd in ready:
                break
    finally:
        os.close(pidfd)
    _, raw, usage = os.wait4(started.pid, 0)
    started.take_end(Ended(os.waitstatus_to_exitcode(raw), usage))


def _handle(pid: int, seen: SeenSignal) -> None:
    """Pass it on; or stop, if the program has."""
    if seen.number == signal.SIGCHLD:
        _stop_too(pid)
        return
    if seen.number == signal.SIGCONT and _stops(pid):
        # A stop discards what would have continued it before, and this took a while to be passed on.
        return
    # It may be ending, or have taken other rights than ours.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, seen.number)


def _stop_too(pid: int) -> None:
    """Stop if the program has stopped, so that the shell takes its terminal back until `fg` or `bg`.

    SIGCONT, which makes us go on, is seen afterwards as any other signal: it was sent to all, or is passed
    on.
    """
    if _has_stopped(pid) and _is_in_foreground(pid):
        os.kill(os.getpid(), signal.SIGSTOP)


def _stops(pid: int) -> bool:
    """Whether it has stopped, and its SIGCHLD is still to be handled."""
    with contextlib.suppress(ChildProcessError):
        found = os.waitid(os.P_PID, pid, os.WSTOPPED | os.WCONTINUED | os.WNOHANG | os.WNOWAIT)
        return found is not None and found.si_code in (os.CLD_STOPPED, os.CLD_TRAPPED)
    return False


def _has_stopped(pid: int) -> bool:
    """Whether it has stopped since the last call, and not gone on; the kernel reports the last change."""
    stopped = False
    with contextlib.suppress(ChildProcessError):
        while found := os.waitid(os.P_PID, pid, os.WSTOPPED | os.WCONTINUED | os.WNOHANG):
            stopped = found.si_code != os.CLD_CONTINUED
    return stopped


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def _is_in_foreground(pid: int) -> bool:
    """Whether the terminal is ours, or the program's: then a shell waits for us, and must see us stop."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) in (os.getpgrp(), os.getpgid(pid))
    except OSError:
        return False
    finally:
        os.close(terminal)
