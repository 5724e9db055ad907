"""Looks at one process again and again: through every exec, and until it has ended."""

from __future__ import annotations

import time
from typing import Final

from hmexp.errors import ProgramError
from hmexp.program.pages.held import HeldProcess
from hmexp.program.pages.view import Looker, View

#: How long a process that gives up its memory may take to end [s].
_ENDING_SECONDS: Final = 20.0
#: Times that a process may execute another program while it is being looked at.
_ATTEMPTS: Final = 3


class Lookout(Looker):
    """Looks at a process again and again, whichever program it executes.

    Parameters
    ----------
    target : HeldProcess
        As for `Looker`.

    Attributes
    ----------
    replaced : int
        How often the process has replaced its program (exec), and the new one was seen.
    scans : int
        Looks so far.
    scan_cpu_seconds : float
        What they have taken of this thread [s].
    """

    def __init__(self, target: HeldProcess) -> None:
        super().__init__(target)
        self.replaced = 0
        self.scans = 0
        self.scan_cpu_seconds = 0.0

    def look(self) -> View:
        """Look at the process as it is now.

        Raises
        ------
        ProcessLookupError
            If it has ended.
        ProgramError
            If it may not be looked at any more.
        """
        started = time.thread_time()
        try:
            try:
                return super().look()
            except (ProcessLookupError, ProgramError):
                return self._look_anew()
        finally:
            self.scans += 1
            self.scan_cpu_seconds += time.thread_time() - started

    def _look_anew(self) -> View:
        """The address space is gone: another program is executed, or the process ends."""
        last: Exception | None = None
        for _attempt in range(_ATTEMPTS):
            if self._ends():
                raise ProcessLookupError(f"process {self._target.pid} has ended")
            try:
                self.reopen()
                view = super().look()
            except (ProcessLookupError, ProgramError) as error:
                last = error
            else:
                self.replaced += 1
                self._target.find_name()
                return view
        if self._ends():
            raise ProcessLookupError(f"process {self._target.pid} has ended")
        if isinstance(last, ProgramError):
            raise last
        raise ProgramError(f"process {self._target.pid} has no memory to look at, though it has not ended")

    def _ends(self) -> bool:
        """Whether it has ended or is about to: its memory goes before it counts as ended."""
        return self._target.is_ending and self._target.ends_within(_ENDING_SECONDS)
