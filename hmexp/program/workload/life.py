"""A program that is measured for its whole life: how long it took, and where its pages were at its end."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hmexp.native import PAGE_BYTES
from hmexp.program.launch.launcher import LaunchedProgram
from hmexp.program.launch.output import ProgramOutput
from hmexp.store.program_records import PlacementSample, ProgramRun
from hmexp.units import MIB

_SHOWN: Final = 500
#: Where the program cannot be stopped in its exit, it is looked at meanwhile: at first after this time, and
#: then ever more rarely [s].
_FIRST_LOOK_SECONDS: Final = 0.2
#: Looking takes one part in so many of its time at most.
_COST_PARTS: Final = 200
#: Part of a process's largest memory that must be there in the exit: else the look was not at all of it.
_ENOUGH: Final = 0.5


@dataclass(frozen=True)
class Life:
    """A program's life from its start to its exit.

    Parameters
    ----------
    run : ProgramRun
        How it was started and how it ended.
    elapsed_seconds : float
        How long it took; without the time that hmexp looked at it in its exit [s].
    last : PlacementSample or None
        Where its pages were in its exit, or as late as somebody could look.
    unread : str or None
        Why nobody could look in its exit, or what was not there any more.
    timed_out : bool
        Whether it was killed because it took too long.
    """

    run: ProgramRun
    elapsed_seconds: float
    last: PlacementSample | None
    unread: str | None = None
    timed_out: bool = False


def watch(launched: LaunchedProgram, timeout_seconds: float) -> Life:
    """Wait for a program's end, and look at its pages in its exit, when all of its work is done.

    Parameters
    ----------
    launched : LaunchedProgram
        The program, just started.
    timeout_seconds : float
        After this it is killed [s].
    """
    stop = launched.started.exit_stop
    if stop is None:
        return _watch_from_outside(launched, timeout_seconds)
    with stop:
        in_time = stop.wait(timeout_seconds)
        if not in_time:
            # Not by Started.signal, which asks whether it has ended, and would let it go.
            os.kill(launched.started.pid, signal.SIGKILL)
            stop.wait(timeout_seconds)
        last = launched.started.look() if stop.is_stopped and in_time else None
        others = _say_others(launched.started.pid)
        exited = stop.seconds
    _end(launched)
    held = time.perf_counter() - exited
    run = launched.started.wait()
    unread = run.unread if last is None else others or _say_missing(last, run)
    return Life(run, max(0.0, (run.elapsed_seconds or 0.0) - held), last, unread, not in_time)


def _say_others(pid: int) -> str | None:
    """What to say if most of its memory was of processes that it had started, as of a shell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    own, others = int(fields[7]), int(fields[8])
    if others <= own:
        return None
    return f"{others} of {own + others} page faults were of processes that it had started and that had ended"


def _say_missing(last: PlacementSample, run: ProgramRun) -> str | None:
    """What to say if most of its memory was gone in its exit."""
    seen = sum(last.by_node.values()) * PAGE_BYTES / MIB
    peak = ((run.usage.peak_bytes if run.usage is not None else None) or 0) / MIB
    if seen >= _ENOUGH * peak:
        return None
    return (
        f"in its exit the program had {seen:.0f} MiB of the {peak:.0f} MiB that one of its processes had at "
        "its peak, and the rest was not looked at"
    )


def _watch_from_outside(launched: LaunchedProgram, timeout_seconds: float) -> Life:
    deadline = time.monotonic() + timeout_seconds
    last, pause = None, _FIRST_LOOK_SECONDS
    while (status := wait_for_end(launched, min(pause, deadline - time.monotonic()))) is None:
        if time.monotonic() >= deadline:
            break
        last = launched.started.look() or last
        pause = max(2 * pause, _COST_PARTS * (last.cost_seconds if last is not None else 0.0))
    if status is None:
        launched.started.signal(signal.SIGKILL)
    run = launched.started.wait()
    why = f"it could not be stopped in its exit: {launched.started.not_stopped}"
    return Life(run, run.elapsed_seconds or 0.0, last, why, status is None)


def wait_for_end(launched: LaunchedProgram, timeout_seconds: float) -> int | None:
    """The program's exit status; None if it has not ended in time [s]."""
    deadline = time.monotonic() + timeout_seconds
    while (status := launched.started.poll()) is None:
        left = deadline - time.monotonic()
        if left <= 0:
            return None
        launched.wait_a_little(min(left, 1.0))
    return status


def _end(launched: LaunchedProgram) -> None:
    """Wait until it has ended, now that nothing holds it any more."""
    while launched.started.poll() is None:
        launched.wait_a_little(1.0)


def say_end(run: ProgramRun) -> str:
    """How a program ended, for people."""
    if run.signal is not None:
        return f"was killed by {run.signal}"
    return f"ended with status {run.status}"


def last_words(output: ProgramOutput) -> str:
    """The end of what it printed, for people."""
    text = output.text().strip()
    return f"its output ended with: {text[-_SHOWN:]}" if text else "it has printed nothing"
