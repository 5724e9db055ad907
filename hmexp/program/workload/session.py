"""One launch of a program: prepared, started, waited for, loaded, measured, stopped."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import msgspec

from hmexp.errors import MeasurementError
from hmexp.program.launch.launcher import LaunchedProgram, Launcher
from hmexp.program.look.keeping import Keeping
from hmexp.program.workload.life import last_words, say_end, wait_for_end, watch
from hmexp.program.workload.metrics import extract
from hmexp.program.workload.readiness import Readiness
from hmexp.program.workload.site import Site
from hmexp.store.program_points import ClientRecord, ProgramLaunch
from hmexp.store.program_records import PlacementSample, ProgramRun
from hmexp.store.workload_records import CommandRecord, MeasureRecord, MetricRecord, WorkloadRecord

#: Part of the time of its threads from which on a client is the limit.
SATURATED: Final = 0.95
_SLICE_SECONDS: Final = 0.2


@dataclass(frozen=True)
class Window:
    """What was seen within the window.

    Parameters
    ----------
    elapsed_seconds : float
        How long it was [s].
    outputs : mapping of str to str
        What was printed within it, by `client` and `program`.
    client : ClientRecord or None
        The client, if there was one.
    """

    elapsed_seconds: float
    outputs: Mapping[str, str]
    client: ClientRecord | None = None

    def read(self, metric: MetricRecord) -> float:
        """Read a metric off it.

        Raises
        ------
        MeasurementError
            If it is not there.
        """
        if metric.source == "elapsed":
            return self.elapsed_seconds * metric.scale
        return extract(metric, self.outputs.get(metric.source, ""))


@dataclass
class Session:
    """One launch.

    Parameters
    ----------
    workload : WorkloadRecord
        What is run.
    site : Site
        Where its commands run.
    launcher : Launcher
        Starts the program in its way.
    keeping : Keeping
        What the way promises of the pages, and how long that may take.
    """

    workload: WorkloadRecord
    site: Site
    launcher: Launcher
    keeping: Keeping
    phases: dict[str, float] = field(default_factory=dict)

    def carry_out(self) -> tuple[ProgramLaunch, tuple[float, ...]]:
        """Go through all steps, and return what is known of the launch and the value of each metric.

        Raises
        ------
        HmexpError
            If a step fails, a metric is not found, the client was the limit, or a page is elsewhere.
        """
        with self._phase("prepare"):
            for number, command in enumerate(self.workload.prepare, start=1):
                self.site.run(command, f"prepare[{number}]")
        measure = self.workload.measure
        launch, window = self._whole_life() if measure is None else self._serve(measure)
        values = tuple(window.read(metric) for metric in self.workload.metrics)
        if measure is not None and window.client is not None and not measure.may_saturate:
            require_idle(window.client)
        return msgspec.structs.replace(launch, phases=self.phases), values

    def _whole_life(self) -> tuple[ProgramLaunch, Window]:
        """The window is the program's whole life."""
        program = self.workload.program
        with self._started() as launched:
            with self._phase("measure"):
                life = watch(launched, program.timeout_seconds)
            run = life.run
            launched.output.close()
            if life.timed_out:
                raise MeasurementError(
                    f"the program took longer than {program.timeout_seconds:g} s and was stopped",
                    last_words(launched.output),
                )
            if run.status != 0:
                raise MeasurementError(f"the program {say_end(run)}", last_words(launched.output))
            self.keeping.require(life.last, "when it exited", life.unread)
            return (
                ProgramLaunch(phases={}, after=life.last, unread=life.unread, run=run),
                Window(life.elapsed_seconds, {"program": launched.output.text()}),
            )

    def _serve(self, measure: MeasureRecord) -> tuple[ProgramLaunch, Window]:
        """The program is started, loaded, measured while it runs, and stopped."""
        with self._started() as launched:
            self._make_ready(launched)
            with self._phase("settle"):
                before = self._settle(launched)
            with launched.started.undisturbed(), self._phase("measure"):
                window = self._measure(measure, launched)
            self._require_alive(launched, "while it was measured")
            after = launched.started.look()
            self.keeping.require(after, "after the window", launched.started.record.unread)
            with self._phase("stop"):
                run = self._stop(launched)
            return ProgramLaunch(phases={}, before=before, after=after, client=window.client, run=run), window

    @contextmanager
    def _started(self) -> Iterator[LaunchedProgram]:
        program = self.workload.program
        words = self.site.words(program.command, shell=program.shell)
        own = {name: self.site.fill(value) for name, value in program.environment.items()}
        with self._phase("start"):
            launched = self.launcher.start(words, own, Path(self.site.fill(program.folder)))
        record = launched.started.record
        self.keeping = replace(self.keeping, way=record.way, promise=record.promise)
        with launched:
            yield launched

    def _make_ready(self, launched: LaunchedProgram) -> None:
        if self.workload.ready is not None:
            with self._phase("ready"):
                Readiness(
                    self.workload.ready, self.site, launched.output, lambda: launched.started.poll() is None
                ).wait()
        with self._phase("load"):
            for number, command in enumerate(self.workload.load, start=1):
                self._require_alive(launched, f"before load[{number}]")
                self.site.run(command, f"load[{number}]")
        self._require_alive(launched, "while it was loaded")

    def _settle(self, launched: LaunchedProgram) -> PlacementSample | None:
        """Look until the pages are where the way promises."""
        deadline = time.monotonic() + self.keeping.settle_seconds
        pause = 0.1
        while True:
            found = launched.started.look()
            if self.keeping.holds(found) or time.monotonic() + pause > deadline:
                break
            self._require_alive(launched, "while its pages were placed")
            time.sleep(pause)
            pause = min(2 * pause, 2.0)
        self.keeping.require(found, "before the window", launched.started.record.unread)
        return found

    def _measure(self, measure: MeasureRecord, launched: LaunchedProgram) -> Window:
        since = launched.output.count
        if measure.command is not None:
            command = CommandRecord(
                command=measure.command, shell=measure.shell, timeout_seconds=measure.timeout_seconds
            )
            ran = self.site.run(command, "measure")
            ended = ran.ended
            client = ClientRecord(
                elapsed_seconds=ended.elapsed_seconds,
                cpu_seconds=ended.cpu_seconds,
                threads=measure.threads,
                busy=ended.cpu_seconds / (measure.threads * ended.elapsed_seconds),
            )
            outputs = {"client": ran.output, "program": launched.output.text(since)}
            return Window(ended.elapsed_seconds, outputs, client)
        begun = time.perf_counter()
        launched.say(self.site.fill(measure.say or ""))
        deadline = time.monotonic() + measure.timeout_seconds
        while (line := launched.output.find(measure.answer or "", since, _SLICE_SECONDS)) is None:
            # What it has started may hold its output open.
            self._require_alive(launched, "before it answered")
            if time.monotonic() < deadline:
                continue
            raise MeasurementError(
                f"measure: the program did not answer {measure.say!r} within {measure.timeout_seconds:g} s: "
                f"no line matches {measure.answer!r}",
                last_words(launched.output),
            )
        return Window(line.seconds - begun, {"program": launched.output.text(since)})

    def _stop(self, launched: LaunchedProgram) -> ProgramRun:
        stop = self.workload.stop
        if stop.command is not None:
            command = CommandRecord(
                command=stop.command, shell=stop.shell, timeout_seconds=stop.timeout_seconds
            )
            with contextlib.suppress(MeasurementError):
                self.site.run(command, "stop")
        else:
            launched.started.signal(getattr(signal, stop.signal))
        if wait_for_end(launched, stop.timeout_seconds) is None:
            launched.started.signal(signal.SIGKILL)
        return launched.started.wait()

    def _require_alive(self, launched: LaunchedProgram, when: str) -> None:
        if launched.started.poll() is not None:
            run = launched.started.wait()
            launched.output.close()
            raise MeasurementError(f"the program {say_end(run)} {when}", last_words(launched.output))

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.phases[name] = round(time.perf_counter() - begun, 6)


def require_idle(client: ClientRecord) -> None:
    """Refuse a launch whose client was the limit.

    Raises
    ------
    MeasurementError
        With how much of its threads' time it used a CPU.
    """
    if client.busy >= SATURATED:
        raise MeasurementError(
            f"the client was the limit, not the program: its {client.threads} "
            f"thread{'s'[: client.threads > 1]} used a CPU for {client.busy:.0%} of the time",
            "give it more threads (measure.threads says how many it has), or ask for less; "
            "may_saturate = true allows it",
        )
