"""The kind ``program``: a program with one pattern, started in one way, as a worker measures it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import msgspec

from hmexp.experiment.kinds import Prepared, Taken
from hmexp.experiment.task import Task
from hmexp.measure.statistics import median_of, summarise_launches
from hmexp.pattern import Pattern
from hmexp.program.launch.launcher import Launcher
from hmexp.program.launch.remains import MARK
from hmexp.program.launch.warden import Warden
from hmexp.program.look.keeping import Keeping
from hmexp.program.workload.readiness import find_port
from hmexp.program.workload.session import Session
from hmexp.program.workload.site import make_site
from hmexp.store.program_points import MetricValues, ProgramLaunch, ProgramPoint, ProgramResult
from hmexp.store.results import LaunchSummary, Measured, Result
from hmexp.store.workload_records import MetricRecord
from hmexp.system.settings import without_numa_balancing

#: Ways that are the kernel's own: its settings are left as they are, or are the way's.
OF_THE_KERNEL: Final = ("default", "tiering")
#: What `hmexp.process` sets for its own children, and no program should get.
_OURS: Final = ("PYTHONPATH", "OPENBLAS_NUM_THREADS")


def prepare(task: Task) -> Prepared:
    """Say which share of the pages shall be on DRAM; an emulated node has no effect on a program."""
    point = _point(task)
    share = None if point.pattern is None else _pattern(point).share(task.dram_nodes)
    return Prepared(dram_share=share, emulated=False)


def measure_program(task: Task) -> Taken:
    """Measure one launch.

    Raises
    ------
    HmexpError
        If a step of the workload fails, or a page is not where the way promises.
    """
    point = _point(task)
    measure = point.definition.measure
    whole_life = measure is None
    pattern = None if point.pattern is None else _pattern(point)
    folder = Path(tempfile.mkdtemp(prefix="hmexp-program-"))
    with ExitStack() as stack:
        warden = stack.enter_context(Warden(folder))
        stack.enter_context(_environment(warden.mark))
        held = {}
        if point.way not in OF_THE_KERNEL:
            held = stack.enter_context(without_numa_balancing())
        site = make_site(point.definition, folder, {"port": find_port(), "here": point.folder})
        launcher = Launcher(
            point.way,
            pattern,
            warden,
            listens=measure is not None and measure.say is not None,
            stop_in_exit=whole_life,
        )
        keeping = Keeping(point.way, pattern, point.settle_seconds, running=whole_life)
        launch, values = Session(point.definition, site, launcher, keeping).carry_out()
    settings = {name: setting.to_record() for name, setting in held.items()} | launch.run.settings
    return Taken(_result(point.definition.metrics, _shortened(launch), values), settings=settings)


def join(results: Sequence[Result]) -> ProgramResult:
    """Make one result of those of several launches."""
    found = [result for result in results if isinstance(result, ProgramResult)]
    metrics = tuple(
        _values(metric, [value for result in found for value in result.metrics[number].samples])
        for number, metric in enumerate(found[0].metrics)
    )
    return ProgramResult(
        metrics=metrics, launches=tuple(each for result in found for each in result.launches)
    )


def compare(result: Result) -> Measured | None:
    """The first metric as samples: one for each launch. None if a value is not above 0."""
    if not isinstance(result, ProgramResult):
        return None
    return as_measured(result.metrics[0])


def as_measured(metric: MetricValues) -> Measured | None:
    """A metric as samples: one for each launch. None if a value is not above 0."""
    if min(metric.samples) <= 0:
        return None
    several = len(metric.samples) > 1
    return Measured(
        unit=metric.unit,
        samples=metric.samples,
        n=len(metric.samples),
        median=metric.median,
        ci_low=metric.ci_low,
        ci_high=metric.ci_high,
        minimum=min(metric.samples),
        maximum=max(metric.samples),
        interval_over="launches",
        launches=tuple(LaunchSummary(n=1, median=value) for value in metric.samples) if several else (),
    )


def _result(metrics: Sequence[MetricRecord], launch: ProgramLaunch, values: Sequence[float]) -> ProgramResult:
    read = zip(metrics, values, strict=True)
    empty = [
        (MetricValues(name=m.name, unit=m.unit, better=m.better, samples=(), median=0.0), v) for m, v in read
    ]
    return ProgramResult(
        metrics=tuple(_values(metric, [value]) for metric, value in empty), launches=(launch,)
    )


def _values(metric: MetricValues, values: Sequence[float]) -> MetricValues:
    low = high = None
    if len(values) > 1 and min(values) > 0:
        summary = summarise_launches([[value] for value in values])
        low, high = summary.ci_low, summary.ci_high
    return msgspec.structs.replace(
        metric, samples=tuple(values), median=float(median_of(values)), ci_low=low, ci_high=high
    )


def _shortened(launch: ProgramLaunch) -> ProgramLaunch:
    """Without what `run.json` has for all launches, and the placements that it has itself."""
    run = msgspec.structs.replace(launch.run, provenance=None, nodes=(), placements=())
    if launch.before is None:
        run = msgspec.structs.replace(run, placements=launch.run.placements)
    return msgspec.structs.replace(launch, run=run)


@contextmanager
def _environment(mark: str) -> Iterator[None]:
    """What the launch starts has its mark, and nothing that is for workers alone."""
    before = dict(os.environ)
    try:
        for name in _OURS:
            os.environ.pop(name, None)
        os.environ[MARK] = mark
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _point(task: Task) -> ProgramPoint:
    assert isinstance(task.parameters, ProgramPoint)
    return task.parameters


def _pattern(point: ProgramPoint) -> Pattern:
    return Pattern.parse(point.pattern or "", point.granule_bytes)
