"""Attending to a program in the foreground: signals are passed on, and Ctrl-Z stops hmexp with it.

The program is in hmexp's process group, as under time(1) or env(1): what the terminal sends (Ctrl-C, a new
size of the window, a hang-up) reaches it without us, and pipelines keep their terminal. So only what a
process has sent to hmexp alone is passed on.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from typing import Final

from hmexp.native.spawn import SeenSignal, SignalWatch
from hmexp.program.started import Ended, Started

#: Whatever would end or stop hmexp, or that a program may want; SIGSTOP and SIGKILL cannot be passed on.
_PASSED_ON: Final = (
    signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2,
    signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGIO, signal.SIGPWR, signal.SIGWINCH,
    signal.SIGURG, signal.SIGTSTP, signal.SIGCONT,
)  # fmt: skip
#: A signal to a group reaches its processes one after the other, within this [s].
_GROUP_SECONDS: Final = 0.02


def open_watch() -> SignalWatch:
    """Have signals seen instead of obeyed; to be entered right before the program is started."""
    real_time = range(int(signal.SIGRTMIN), int(signal.SIGRTMAX) + 1)
    return SignalWatch([*map(int, _PASSED_ON), *real_time, int(signal.SIGCHLD)])


def attend(started: Started, watch: SignalWatch) -> None:
    """Wait for the end of the program, and pass on signals meanwhile.

    Parameters
    ----------
    started : Started
        The program.
    watch : SignalWatch
        Entered before it was started.
    """
    if started.poll() is not None:
        return
    attendant = _Attendant(started.pid)
    pidfd = os.pidfd_open(started.pid)
    try:
        waiting = select.poll()
        waiting.register(pidfd, select.POLLIN)
        waiting.register(watch.fd, select.POLLIN)
        while True:
            ready = {fd for fd, _ in waiting.poll()}
            for seen in watch.read() if watch.fd in ready else ():
                attendant.handle(seen)
            if pidfd in ready:
                break
    finally:
        os.close(pidfd)
    _, raw, usage = os.wait4(started.pid, 0)
    started.take_end(Ended(os.waitstatus_to_exitcode(raw), usage))


class _Attendant:
    """Knows whether the program is stopped."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._stopped = False

    def handle(self, seen: SeenSignal) -> None:
        if seen.number == signal.SIGCHLD:
            self._stop_too(newly=self._has_stopped())
        elif seen.number == signal.SIGCONT:
            # From a shell it is the whole group's, and has reached the program, too, a moment later.
            time.sleep(_GROUP_SECONDS)
            self._stop_too(newly=self._continue())
        elif not seen.by_kernel and seen.sender != self._pid:
            self._send(seen.number)

    def _stop_too(self, *, newly: bool) -> None:
        """Stop when the program has, so that the shell takes its terminal back until `fg` or `bg`."""
        while newly and _is_in_foreground(self._pid):
            os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(_GROUP_SECONDS)
            newly = self._continue()

    def _continue(self) -> bool:
        """Continue the program if it is stopped still; whether it has stopped once more instead."""
        newly = self._has_stopped()
        if self._stopped and not newly:
            self._send(signal.SIGCONT)
        return newly

    def _has_stopped(self) -> bool:
        """Whether it has stopped since the last call; of several changes the kernel reports the last."""
        newly = False
        while True:
            try:
                found = os.waitid(os.P_PID, self._pid, os.WSTOPPED | os.WCONTINUED | os.WNOHANG)
            except ChildProcessError:
                return False
            if found is None:
                return newly
            newly = self._stopped = found.si_code != os.CLD_CONTINUED

    def _send(self, number: int) -> None:
        # It may be ending, or have taken other rights than ours.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(self._pid, number)


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
