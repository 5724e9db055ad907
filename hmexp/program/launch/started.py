"""A program that runs: looked at now and then, followed if that is its way, and recorded at its end."""

from __future__ import annotations

import os
import resource
import signal
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from hmexp.errors import HmexpError
from hmexp.native.spawn import Spawned
from hmexp.pattern import Pattern
from hmexp.process import signal_name
from hmexp.program.launch.counters import find_fallback, read_counters
from hmexp.program.launch.request import Plan
from hmexp.program.look.sampler import Sampler
from hmexp.store.following_records import Following
from hmexp.store.program_records import PlacementSample, ProgramRun, ProgramUsage
from hmexp.store.programs import write_program
from hmexp.store.run import now

#: How long a program may take to end after SIGTERM, before it is killed [s].
_PATIENCE_SECONDS = 10.0


@dataclass(frozen=True)
class Ended:
    """How a process ended, as the kernel says it to its parent.

    Parameters
    ----------
    returncode : int
        Its exit status, or minus the number of the signal that ended it.
    usage : resource.struct_rusage
        What it and the children that it waited for have used.
    """

    returncode: int
    usage: resource.struct_rusage

    @property
    def status(self) -> int:
        """Its exit status as a shell has it: 128 + n after signal n."""
        return self.returncode if self.returncode >= 0 else 128 - self.returncode


class Started:
    """A program that was started in one of the ways.

    Made by `hmexp.program.launch.ways.start`; a context manager.

    Attributes
    ----------
    pid : int
        Its process.
    exit_stop : ExitStop or None
        Stops it in its exit. It is let go once somebody asks whether it has ended.
    not_stopped : str or None
        Why it is not stopped in its exit, if that was asked for.
    way : str
        The way that was taken.
    why : str
        How that way places pages.
    record : ProgramRun
        What is known of it so far.
    problems : list of str
        What went wrong beside the program itself, for people.
    """

    def __init__(
        self,
        spawned: Spawned,
        plan: Plan,
        record: ProgramRun,
        held: ExitStack,
        watch: tuple[Pattern | None, float | None],
    ) -> None:
        self.pid, self.exit_stop, self.not_stopped = spawned.pid, spawned.exit_stop, spawned.why_not
        self.way, self.why, self.record = plan.way, plan.why, record
        self.problems: list[str] = []
        self.folder: Path | None = None
        self._held = held
        self._conclude = plan.conclude
        #: What a person should know of how it went.
        self.notes: list[str] = []
        self._pattern = watch[0]
        self._began = self._end = time.monotonic()
        self._own_peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        self._ended: Ended | None = None
        self._finished = False
        self._sampler = Sampler(self.pid, self._pattern, self._began, watch[1], self._keep)
        self._follower = _Follower(plan, self.pid) if plan.attend is not None else None

    def begin(self, folder: Path | None) -> None:
        """Write the first record, and begin to look at the program."""
        self.folder = folder
        self._write()
        if self._follower is not None:
            self._follower.start()
        self._sampler.start()

    def look(self) -> PlacementSample | None:
        """Look at where its pages are now; None if it has ended or may not be looked at."""
        return self._sampler.look()

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Look at nothing and write nothing meanwhile, as in a measured window. Following continues."""
        with self._sampler.paused():
            yield

    def poll(self) -> int | None:
        """Its exit status as a shell has it if it has ended, else None."""
        if self._ended is None:
            self._reap(os.WNOHANG)
        return None if self._ended is None else self._ended.status

    def wait(self) -> ProgramRun:
        """Wait for its end, put settings back, and return its record, which is written, too.

        Settings are put back by the thread that started it: wait there.
        """
        while self._ended is None:
            self._reap(0)
        return self.finish()

    def signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def stop(self, patience_seconds: float = _PATIENCE_SECONDS) -> ProgramRun:
        """End it by SIGTERM, and by SIGKILL after a while; returns its record."""
        self.signal(signal.SIGTERM)
        deadline = time.monotonic() + patience_seconds
        while self.poll() is None:
            if time.monotonic() > deadline:
                self.signal(signal.SIGKILL)
                break
            time.sleep(0.01)
        return self.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._finished:
            self.stop()

    def finish(self) -> ProgramRun:
        """Complete the record of a program that has ended; a second call returns it again."""
        ended = self._ended
        if self._finished or ended is None:
            return self.record
        self._finished = True
        self._sampler.stop()
        following = self._follower.stop() if self._follower is not None else None
        problems = (self._sampler.problem, None if self._follower is None else self._follower.problem)
        self.problems += filter(None, problems)
        self.notes += self._conclude() if self._conclude is not None else ()
        self._put_back()
        after = read_counters()
        record = msgspec.structs.replace(
            self.record,
            ended=now(),
            notes=tuple(self.notes),
            status=ended.status,
            signal=signal_name(-ended.returncode) if ended.returncode < 0 else None,
            elapsed_seconds=self._end - self._began,
            usage=_usage(ended.usage, self._own_peak_bytes, self._sampler.peak_bytes),
            unread=self._sampler.unread,
            following=following,
            left_running=self._sampler.find_survivors(),
            counters_after=after,
        )
        if self.way in ("policy", "node", "numactl") and self._pattern is not None:
            fallen = find_fallback(self._pattern, record.shown_placement, record.counters_before, after)
            record = msgspec.structs.replace(record, fallen_back=fallen)
        self.record = record
        self._write()
        return self.record

    def take_end(self, ended: Ended) -> None:
        """Hand over how it ended, where another has waited for it."""
        self._ended, self._end = ended, time.monotonic()

    def _reap(self, flags: int) -> None:
        if self.exit_stop is not None:
            # Until it is let go, a wait of ours would take the stops that are for the thread that traces it.
            if not self.exit_stop.wait(0.0 if flags & os.WNOHANG else None):
                return
            self.exit_stop.release()
        pid, raw, usage = os.wait4(self.pid, flags)
        if pid:
            self.take_end(Ended(os.waitstatus_to_exitcode(raw), usage))

    def _put_back(self) -> None:
        try:
            self._held.close()
        except HmexpError as error:
            self.problems.append(str(error))

    def _keep(self, samples: tuple[PlacementSample, ...]) -> None:
        """Called from the thread that looks."""
        self.record = msgspec.structs.replace(self.record, placements=samples)
        if not self._finished:
            self._write()

    def _write(self) -> None:
        if self.folder is None:
            return
        try:
            write_program(self.folder, self.record)
        except HmexpError as error:
            # The program is worth more than its record.
            self.problems.append(str(error))
            self.folder = None


class _Follower(threading.Thread):
    """Works on the process for as long as it lives; what comes of it is kept, and what goes wrong."""

    def __init__(self, plan: Plan, pid: int) -> None:
        super().__init__(name=f"hmexp-{plan.way}-{pid}", daemon=True)
        self._plan, self._pid = plan, pid
        self._end = threading.Event()
        self.found: Following | None = None
        self.problem: str | None = None

    def run(self) -> None:
        assert self._plan.attend is not None
        try:
            self.found = self._plan.attend(self._pid, self._end)
        except HmexpError as error:
            self.problem = f"{self._plan.way} has ended: {error}"
        except Exception:  # noqa: BLE001 # the program must not suffer, nor its terminal
            self.problem = f"{self._plan.way} has ended by a bug:\n{traceback.format_exc()}"

    def stop(self) -> Following | None:
        self._end.set()
        if self.is_alive():
            self.join()
        return self.found


def _usage(used: resource.struct_rusage, own_peak_bytes: int, seen_peak_bytes: int | None) -> ProgramUsage:
    peak_bytes = used.ru_maxrss * 1024
    # Before exec it was a copy of this process, which Linux counts.
    known = peak_bytes if peak_bytes > own_peak_bytes else seen_peak_bytes
    return ProgramUsage(
        user_seconds=used.ru_utime,
        system_seconds=used.ru_stime,
        peak_bytes=known,
        minor_faults=used.ru_minflt,
        major_faults=used.ru_majflt,
        voluntary_switches=used.ru_nvcsw,
        involuntary_switches=used.ru_nivcsw,
    )
