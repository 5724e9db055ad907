"""The loop of a follower: when to look, when to ask again, when to stop and why."""

from __future__ import annotations

import logging
import os
import threading
import time
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Final

from hmexp.closing import Closing
from hmexp.errors import HmexpError, ProgramError
from hmexp.native import PAGE_BYTES
from hmexp.program.look.target import find_children
from hmexp.program.move.access import describe_refusal, require_access
from hmexp.program.move.chase import Chase, ChaseStep
from hmexp.program.move.effort import Effort, summarize
from hmexp.program.move.facts import read_counters, read_room, read_settings
from hmexp.program.move.follow_options import FollowOptions
from hmexp.program.move.oscillation import OscillationWatch, Round
from hmexp.program.move.patience import Patience
from hmexp.program.pages.held import HeldProcess, TargetBusyError, has_ended
from hmexp.program.pages.mover import Mover
from hmexp.program.pages.pace import MovePace
from hmexp.program.pages.undo import JournalWriter
from hmexp.program.pages.wish import Wish
from hmexp.store.following_records import Following

_log = logging.getLogger(__name__)
#: With NUMA balancing, a calm is believed after so long [s].
_BALANCING_SECONDS: Final = 10.0
#: What each reason to stop means; `reason` has the details.
REASONS: Final = {
    "still": "nothing is left to be moved that can be",
    "ended": "the program has ended",
    "stopped": "it was stopped",
    "time": "its time was over",
}
#: Reasons that an end of the program overrules: following is stopped once it has ended.
_CUT_SHORT: Final = frozenset({"stopped", "time", "refused"})


class Pursuit(Closing):
    """Follows a process, and those that come from it if that is wanted.

    Parameters
    ----------
    pid : int
        The process.
    wish : Wish
        Where pages belong.
    options : FollowOptions
        How.
    stop : threading.Event
        Ends it.

    Raises
    ------
    ProgramError
        If it may not be followed, or another hmexp is at it.
    """

    def __init__(self, pid: int, wish: Wish, options: FollowOptions, stop: threading.Event) -> None:
        if read_settings().get("kernel.numa_balancing", "0") != "0":
            # It takes its time to move pages away again.
            settle_seconds = max(_BALANCING_SECONDS, options.settle_seconds)
            options = replace(options, settle_seconds=settle_seconds)
        self.wish = wish
        self.options = options
        self._stop = stop
        self._pace = MovePace(options.pace, stop)
        mover = Mover(self._pace, everybody=options.choice.everybody)
        self.effort = Effort(wish, mover, options.tolerance)
        self._watch = OscillationWatch(read_counters)
        self._patience = Patience(options)
        self._pid = pid
        self._passed_over: set[int] = set()
        self._slow_due = 0.0
        self.chases: list[Chase] = []
        #: Of processes that have ended.
        self.former: list[Chase] = []
        try:
            self.chases.append(self._begin(pid))
        except ProgramError:
            # One that was started for this may have ended in no time: that is no failure.
            if not (options.from_birth and has_ended(pid)):
                raise

    def close(self) -> None:
        """Let go of every process."""
        for chase in (*self.chases, *self.former):
            chase.close()

    def _begin(self, pid: int) -> Chase:
        target = HeldProcess(pid)
        journal = None
        try:
            target.lock()
            require_access(target, everybody=self.options.choice.everybody)
            journal = JournalWriter(target, self.wish.text) if self.options.undoable else None
            return Chase(
                target, self.wish, self.options.choice, self.effort.mover, self._pace, journal=journal,
                born_ns=int(self.effort.started * 1e9) if self.options.from_birth else None,
            )  # fmt: skip
        except BaseException:
            if journal is not None:
                journal.close()
            target.close()
            raise

    def run(self) -> Following:
        """Follow until there is a reason to stop."""
        # Only from here on is it known which thread this is.
        self.effort.cpu_started = time.thread_time()
        self._pace.begin()
        why, reason = self._loop()
        chases = [*self.chases, *self.former]
        processes = tuple(chase.conclude() for chase in chases)
        if why in _CUT_SHORT and all(each.ended for each in processes):
            why, reason = "ended", REASONS["ended"]
        for chase in chases:
            chase.finish_journal(why)
        # A child that had ended before anybody looked was not followed.
        seen = tuple(each for each in processes if each.unseen_seconds is not None or each.pid == self._pid)
        return summarize(self.effort, chases, seen, why, reason)

    def _loop(self) -> tuple[str, str]:
        while True:
            stopped = self._turn()
            if stopped is not None:
                return stopped
            if not self._pace.sleep(self.options.interval_seconds):
                return "stopped", REASONS["stopped"]

    def _turn(self) -> tuple[str, str] | None:
        """One look at every process that may have changed; returns why it stops, if it does."""
        options = self.options
        if self._stop.is_set():
            return "stopped", REASONS["stopped"]
        if (
            options.limit_seconds is not None
            and time.monotonic() - self.effort.started > options.limit_seconds
        ):
            return "time", f"{REASONS['time']} ({options.limit_seconds:g} s)"
        slow = time.monotonic() >= self._slow_due
        if slow:
            self._slow_due = time.monotonic() + options.slow_seconds
            self._find_children()
        try:
            steps = self._step_all(patient=slow)
        except HmexpError as error:
            return "refused", str(error)
        self._pace.settle()
        if not self.chases:
            return "ended", REASONS["ended"]
        fatal = next((step.fatal for step in steps if step.fatal), 0)
        if fatal:
            return "refused", describe_refusal(self.chases[0].target, fatal)
        return self._judge(steps) if steps else None

    def _step_all(self, *, patient: bool) -> list[ChaseStep]:
        # Read once, and only if there is something to move.
        room = cache(self._room)
        steps = []
        for chase in tuple(self.chases):
            if not (patient or chase.is_due or self._patience.wants_look(chase)):
                continue
            try:
                steps.append(chase.step(room, patient=patient))
                _log.debug("process %d: %s", chase.target.pid, steps[-1])
            except ProcessLookupError:
                self._retire(chase, ended=True)
            except ProgramError as error:
                if chase.target.pid == self._pid:
                    raise
                # It executes what this user may not look into.
                self.effort.notes.append(error.message)
                self._retire(chase, ended=False)
        return steps

    def _retire(self, chase: Chase, *, ended: bool) -> None:
        chase.retire(ended=ended)
        self.chases.remove(chase)
        self.former.append(chase)

    def _room(self) -> dict[int, int]:
        """Pages that each node can take [pages]."""
        nodes = frozenset(self.wish.all_nodes)
        return {node: room_bytes // PAGE_BYTES for node, room_bytes in read_room(nodes).items()}

    def _judge(self, steps: list[ChaseStep]) -> tuple[str, str] | None:
        found = Round(
            sum(step.present for step in steps),
            sum(step.asked for step in steps),
            sum(step.returned for step in steps),
            sum(step.faults for step in steps),
            sum(chase.splitter.rejoined for chase in self.chases),
        )
        undone = self._watch.judge(found, read_settings())
        if undone is not None:
            return "oscillating", undone
        return self._patience.judge(steps) if self.options.until_still else None

    def _find_children(self) -> None:
        if not self.options.children:
            return
        known = (
            {chase.target.pid for chase in (*self.chases, *self.former)} | self._passed_over | {os.getpid()}
        )
        with suppress(OSError, ProgramError):
            for child in find_children(self._pid):
                if child.pid not in known:
                    self._adopt(child.pid)

    def _adopt(self, pid: int) -> None:
        try:
            self.chases.append(self._begin(pid))
        except TargetBusyError as error:
            self._passed_over.add(pid)
            self.effort.notes.append(error.message)
        except ProgramError:
            # It has ended since, or does not let us: it may do so later, after an exec.
            return
