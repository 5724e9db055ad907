"""One host measured: its plan, its run directory here, and each of its launches stored as it comes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from hmexp.errors import HmexpError
from hmexp.experiment.engine import carry_out_elsewhere
from hmexp.experiment.progress import ProgressDisplay
from hmexp.experiment.rounds import Watchers
from hmexp.experiment.schedule import PLANNED, REPEATED
from hmexp.experiment.task import Task
from hmexp.fleet.experiment import RemoteExperiment, check_launch, check_plan
from hmexp.fleet.folder import FleetFolder
from hmexp.fleet.link import FleetLink, HostGoneError
from hmexp.fleet.messages import (
    Calibrate,
    Calibrated,
    Forget,
    HostPlan,
    MakePlan,
    Measure,
    Records,
    TellKept,
    Whose,
)
from hmexp.store.fleet import HostRecord, HostState
from hmexp.store.reader import LAUNCHES, read_launches
from hmexp.store.records import LaunchRecord
from hmexp.store.run import RunDirectory, open_run


@dataclass(frozen=True)
class Gatherer:
    """What is measured on every host, and where its records go.

    Parameters
    ----------
    folder : FleetFolder
        Of the fleet.
    link : FleetLink
        The way to the hosts.
    say : callable
        Receives what a person should know.
    """

    folder: FleetFolder
    link: FleetLink
    say: Callable[[str], None]

    def measure(self, host: str, display: ProgressDisplay) -> HostRecord:
        """Measure on a host what its run directory does not have yet.

        Returns
        -------
        HostRecord
            What became of it: an error of one host is no error of the fleet.
        """
        self._note(host, "measuring", None)
        try:
            reason = self._measure(host, display)
        except HostGoneError as error:
            return self._note(host, "lost", str(error.message))
        except HmexpError as error:
            # What a host has refused names it; what went wrong here does not.
            reason = error.message.removeprefix(f"host {host}: ")
            self.say(f"Host {host}: {HmexpError(reason, error.remedy)}")
            return self._note(host, "incomplete", reason)
        return self._note(host, "measured" if reason is None else "incomplete", reason)

    def _measure(self, host: str, display: ProgressDisplay) -> str | None:
        plan = self._plan(host)
        tasks = {point.task.point_id: point.task for point in plan.plan.points}

        def quiet(text: str) -> None:
            if not text.startswith("Resuming"):
                self.say(f"Host {host}: {text}")

        def launch(task: Task, timeout_seconds: float) -> LaunchRecord:
            return self._launch(host, plan, tasks, task, timeout_seconds)

        with open_run(self.folder.hosts, host, plan.describe(), quiet, finished=True, latest=False) as run:
            self._store_kept(host, plan, tasks, run)
            outcome = carry_out_elsewhere(plan, run, Watchers(display, quiet), launch)
        if outcome.failures:
            return f"{len(outcome.failures)} points failed: {outcome.failures[0]}"
        if not outcome.counts.get("ok"):
            return f"no point was measured: {next(iter(outcome.skipped), 'the time was over')}"
        self.link.ask(host, Forget(whose=self._whose(host)), Records)
        return None

    def _plan(self, host: str) -> RemoteExperiment:
        def question(kind: type[MakePlan]) -> MakePlan:
            record = self.folder.record
            return kind(measurement=record.measurement, parameters=record.parameters, files=record.files)

        def calibrate() -> Calibrated:
            return self.link.ask(host, question(Calibrate), Calibrated)

        return check_plan(host, self.link.ask(host, question(MakePlan), HostPlan), calibrate)

    def _store_kept(
        self, host: str, plan: RemoteExperiment, tasks: Mapping[str, Task], run: RunDirectory
    ) -> None:
        """Store what the host has finished while nobody was there to take it."""
        kept = self.link.ask(host, TellKept(whose=self._whose(host)), Records).launches
        if not kept:
            return
        stored = read_launches(run.path / LAUNCHES)
        planned = {point.id: point.launches for point in plan.points}
        for text in kept:
            record = check_launch(host, bytes(text), tasks, None)
            known = stored.get(record.point_id, {}).get(record.launch)
            if known is not None and known.status == "ok":
                continue
            why = PLANNED if record.launch < planned[record.point_id] else REPEATED
            run.append(msgspec.structs.replace(record, purpose=why))

    def _launch(
        self, host: str, plan: RemoteExperiment, tasks: Mapping[str, Task], task: Task, timeout_seconds: float
    ) -> LaunchRecord:
        question = Measure(
            task=task,
            timeout_seconds=timeout_seconds,
            start=plan.options.start,
            whose=self._whose(host),
        )
        answered = self.link.ask(host, question, Records).launches
        one = {task.point_id: tasks[task.point_id]}
        return check_launch(host, bytes(answered[0]) if answered else b"", one, task.launch)

    def _whose(self, host: str) -> Whose:
        return Whose(fleet=self.folder.path.name, host=host)

    def _note(self, host: str, state: HostState, reason: str | None) -> HostRecord:
        greeting = self.link.roster.greetings.get(host)
        record = HostRecord(
            name=host,
            state=state,
            reason=reason,
            hmexp=None if greeting is None else greeting.version,
            clock_offset_seconds=self.link.roster.clocks.get(host),
        )
        self.folder.note(record)
        return record
