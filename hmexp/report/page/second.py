"""A second process that takes a share of a report's work, where there is a CPU for it."""

from __future__ import annotations

import contextlib
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence


class Work:
    """Jobs that two processes take from one pile, each job once.

    A job writes files, and hands nothing back. What the second process did not do, for whatever reason, is
    done again in this one, so that an error is raised where it is shown.

    Parameters
    ----------
    jobs : sequence of callable
        In the order in which they are to be taken.
    """

    def __init__(self, jobs: Sequence[Callable[[], object]]) -> None:
        if len(jobs) > 255:
            raise ValueError(f"a pile holds 255 jobs at most, not {len(jobs)}")
        self._jobs = jobs

    def carry_out(self) -> None:
        """Do all jobs, in two processes if it is safe to have them."""
        if not _may_fork() or len(self._jobs) < 2:
            for job in self._jobs:
                job()
            return
        pile, end = os.pipe()
        # A byte a job: what is read by one process is not there for the other.
        os.write(end, bytes(range(len(self._jobs))))
        os.close(end)
        try:
            with _quiet_fork():
                child = os.fork()
            if child == 0:
                self._take_in_child(pile)
            done = self._take(pile, child)
        finally:
            os.close(pile)
        for number, job in enumerate(self._jobs):
            if number not in done:
                job()

    def _take(self, pile: int, child: int) -> set[int]:
        """Take jobs until none is left; return those that are done, the child's too if it did well."""
        own: set[int] = set()
        try:
            while number := os.read(pile, 1):
                self._jobs[number[0]]()
                own.add(number[0])
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, 9)
            os.waitpid(child, 0)
            raise
        _, status = os.waitpid(child, 0)
        return own if status else set(range(len(self._jobs)))

    def _take_in_child(self, pile: int) -> None:
        """Take jobs and end at once: buffers and handlers are the parent's."""
        status = 1
        try:
            while number := os.read(pile, 1):
                self._jobs[number[0]]()
            status = 0
        finally:
            # Whatever was raised: the parent does the job again, and tells what is wrong with it.
            os._exit(status)


def _may_fork() -> bool:
    """A fork copies only the thread that asks for it: others would leave their locks held for ever."""
    return hasattr(os, "fork") and threading.active_count() == 1 and len(os.sched_getaffinity(0)) > 1


@contextlib.contextmanager
def _quiet_fork() -> Iterator[None]:
    """Python 3.12 counts the threads of libraries too; numpy's are those, and are ready for a fork."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*multi-threaded.*fork", category=DeprecationWarning)
        yield
