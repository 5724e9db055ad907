"""A child of this process that stops when it exits, while its memory is still there to be looked at."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from types import TracebackType
from typing import Self

from hmexp.errors import NativeError
from hmexp.native.core import check, ffi, lib


class ExitStop:
    """Stops a child when it exits, until it is released; a context manager.

    The child runs as it always does. It is traced by a thread of this process, and killed with it; a child
    that traces itself, or has gained rights by its file, cannot be. Nobody else may wait for the child before
    `wait` has returned.

    Parameters
    ----------
    pid : int
        The child.

    Raises
    ------
    NativeError
        If it may not be traced, or has ended already.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._seized, self._exits, self._go = threading.Event(), threading.Event(), threading.Event()
        self._error: NativeError | None = None
        self._stopped = False
        #: When it was about to exit [s of `time.perf_counter`]; 0 before.
        self.seconds = 0.0
        self._thread = threading.Thread(target=self._trace, daemon=True, name="exit stop")
        self._thread.start()
        self._seized.wait()
        if self._error is not None:
            raise self._error

    def wait(self, timeout_seconds: float | None) -> bool:
        """Wait until it is stopped in its exit, or has ended; False if neither came in time [s]."""
        return self._exits.wait(timeout_seconds)

    @property
    def is_stopped(self) -> bool:
        """Whether it is stopped now, with all its memory."""
        return self._stopped and not self._go.is_set()

    def release(self) -> None:
        """Let it exit."""
        self._go.set()
        if self._exits.is_set():
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and not self._exits.is_set():
            # Whoever waits for it now would take the stops that are for the thread.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            self._exits.wait()
        self.release()

    def _trace(self) -> None:
        # All calls of ptrace for a process are of the one thread that seized it.
        try:
            check(lib.hm_exit_stop_seize(self._pid), "ptrace(PTRACE_SEIZE)")
        except NativeError as error:
            self._error = error
            return
        finally:
            self._seized.set()
        stopped = ffi.new("int *")
        failed = lib.hm_exit_stop_wait(self._pid, stopped)
        self.seconds = time.perf_counter()
        self._stopped = not failed and bool(stopped[0])
        self._exits.set()
        if self._stopped:
            self._go.wait()
            lib.hm_exit_stop_release(self._pid)
