"""The plan of a host, as the engine of the gatherer sees it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from hmexp.errors import HmexpError, StoreError
from hmexp.experiment.pace import Span
from hmexp.experiment.protocol import Options
from hmexp.experiment.task import Task
from hmexp.fleet.messages import Calibrated, FleetError, HostPlan, HostPoint
from hmexp.measure.launches import MOST_LAUNCHES
from hmexp.memory.emulation import Emulation
from hmexp.store.machine import Calibration
from hmexp.store.parameters import PointParameters
from hmexp.store.reader import parse_run, read_record
from hmexp.store.records import LaunchRecord, RunRecord

_ID: Final = re.compile(r"[0-9a-f]{1,64}", re.ASCII)
#: No plan of one machine has more.
_MOST_POINTS: Final = 1_000_000


@dataclass(frozen=True)
class RemotePoint:
    """A point of a host's plan; see `hmexp.experiment.protocol.PlannedPoint`."""

    told: HostPoint

    @property
    def id(self) -> str:
        """Hash of its parameters."""
        return self.told.task.point_id

    @property
    def launches(self) -> int:
        """Fresh processes that measure it."""
        return self.told.launches

    @property
    def alike(self) -> tuple[str, int]:
        """What launches that take about as long have in common."""
        return self.told.alike

    def to_record(self) -> PointParameters:
        """The parameters as they are stored."""
        return self.told.task.parameters

    def __str__(self) -> str:
        return self.told.text


@dataclass(frozen=True)
class RemoteExperiment:
    """What a host would measure; see `hmexp.experiment.protocol.Experiment`.

    Parameters
    ----------
    host : str
        Its name.
    plan : HostPlan
        As the host has sent it.
    run : RunRecord
        What its `run.json` says at first.
    ask_calibration : callable
        Has the host measure itself, to scale an emulated node.
    """

    host: str
    plan: HostPlan
    run: RunRecord
    ask_calibration: Callable[[], Calibrated]

    @property
    def points(self) -> Sequence[RemotePoint]:
        """Every point."""
        return [RemotePoint(told) for told in self.plan.points]

    @property
    def added(self) -> frozenset[str]:
        """Ids of the points that were not asked for."""
        return frozenset(self.plan.added)

    @property
    def baselines(self) -> Mapping[str, str]:
        """Id of the all-DRAM point of each."""
        return self.plan.baselines

    @property
    def options(self) -> Options:
        """How it is to be carried out; where its records go is the gatherer's own business."""
        return replace(self.plan.options, results="auto", run="auto")

    def describe(self) -> RunRecord:
        """What `run.json` says of it at first."""
        return self.run

    def task(self, point: RemotePoint, emulation: Emulation | None, launch: int) -> Task:
        """What a worker is asked for a launch of a point."""
        record = None if emulation is None else emulation.to_record()
        return msgspec.structs.replace(point.told.task, launch=launch, emulation=record)

    def calibrate(
        self, show: Callable[[str], None], say: Callable[[str], None]
    ) -> tuple[Emulation, Sequence[Calibration]] | None:
        """Have the host measured, to scale the emulated node to it."""
        del show, say
        found = self.ask_calibration()
        if found.emulation is None:
            return None
        return Emulation.from_record(found.emulation), found.calibration

    def estimate(self) -> Callable[[RemotePoint], Span]:
        """Nothing is known before a launch of its kind was made."""
        return lambda _point: Span(0.0, 0.0)

    def ranks(self, points: Sequence[RemotePoint]) -> Mapping[str, int]:
        """As the host ranks them."""
        return {point.id: point.told.rank for point in points}


def check_plan(host: str, plan: HostPlan, ask_calibration: Callable[[], Calibrated]) -> RemoteExperiment:
    """Make an experiment of the plan that a host has sent, if it is one.

    Raises
    ------
    FleetError
        If it is not; the message names the host.
    """
    try:
        run = parse_run(bytes(plan.run), f"the plan of host {host}", host)
    except StoreError as error:
        raise FleetError(error.message) from error
    ids = [point.task.point_id for point in plan.points]
    wrong = next((each for each in ids if not _ID.fullmatch(each)), None)
    if wrong is not None:
        raise FleetError(f"host {host}: {wrong[:80]!r} is not the id of a point")
    if len(set(ids)) != len(ids) or not 0 < len(ids) <= _MOST_POINTS:
        raise FleetError(f"host {host}: its plan has no points, too many, or one of them twice")
    if not {*plan.added, *plan.baselines, *plan.baselines.values()} <= set(ids):
        raise FleetError(f"host {host}: its plan names points that it does not have")
    launches = [point.launches + plan.options.repeat for point in plan.points]
    if not all(0 < count <= MOST_LAUNCHES for count in launches):
        raise FleetError(f"host {host}: its plan asks for less than one launch of a point, or for too many")
    return RemoteExperiment(host, plan, run, ask_calibration)


def check_launch(host: str, text: bytes, points: Mapping[str, Task], launch: int | None) -> LaunchRecord:
    """Read the record of a launch that a host has sent, if it is one of its plan.

    Parameters
    ----------
    host : str
        The host's name, for errors.
    text : bytes
        The record as JSON.
    points : mapping of str to Task
        The points it may be of, by id.
    launch : int or None
        Its number; None for any.

    Raises
    ------
    FleetError
        If it is not.
    """
    try:
        record = read_record(text, LaunchRecord, f"a record of host {host}")
    except HmexpError as error:
        raise FleetError(error.message, error.remedy) from error
    task = points.get(record.point_id)
    same = task is not None and record.parameters == task.parameters
    if not same or record.launch < 0 or launch not in (None, record.launch):
        raise FleetError(f"host {host} sent the record of a launch that it was not asked for")
    return record
