"""What the engine asks of whoever wants something measured: points, and an experiment made of them.

A sweep and a study each supply one. The engine gives it rounds, resuming, a budget of time, all-DRAM
points to compare with, proof, progress and the store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from hmexp.experiment.pace import Span
from hmexp.experiment.task import Task
from hmexp.memory.emulation import Emulation
from hmexp.store.machine import Calibration
from hmexp.store.parameters import PointParameters
from hmexp.store.parts import Start
from hmexp.store.records import RunRecord


class PlannedPoint(Protocol):
    """One combination of parameters: what is measured, stored and resumed. Its text is for people."""

    @property
    def id(self) -> str:
        """Stable name: a hash of the parameters."""

    @property
    def launches(self) -> int:
        """Fresh processes that measure it, each with fresh pages."""

    @property
    def alike(self) -> tuple[str, int]:
        """What launches that take about as long have in common, such as operation and size [bytes]."""

    def to_record(self) -> PointParameters:
        """The parameters as they are stored; their kind says which function measures it."""


@dataclass(frozen=True)
class Options:
    """How an experiment is to be carried out.

    Parameters
    ----------
    results, run : str
        Folder of the run directories, and the name of the run; ``auto`` for both.
    timeout_seconds : float
        Longest time of a launch [s].
    seed : int
        Of the order in which launches are made.
    repeat : int
        Launches of each point beyond its own, of finished points too.
    retry_unstable : int
        Launches more of points whose interval is wider than `precision`.
    precision : float
        Half the width of an interval, as a part of its median, that is good enough; 0 for the usual.
    budget_seconds : float or None
        Time for all; None for as long as it takes [s].
    budget : str
        The same as it was asked for.
    start : str
        How the process of a launch begins: `fork` or `exec`.
    """

    results: str = "auto"
    run: str = "auto"
    timeout_seconds: float = 300.0
    seed: int = 0
    repeat: int = 0
    retry_unstable: int = 0
    precision: float = 0.0
    budget_seconds: float | None = None
    budget: str = "none"
    start: Start = "fork"


P = TypeVar("P", bound=PlannedPoint)


class Experiment(Protocol[P]):
    """What is measured, checked against this machine."""

    @property
    def points(self) -> Sequence[P]:
        """Every point."""

    @property
    def added(self) -> frozenset[str]:
        """Ids of the points that were not asked for: all-DRAM ones, to compare with."""

    @property
    def baselines(self) -> Mapping[str, str]:
        """Id of the all-DRAM point that a point is compared with, by the point's own."""

    @property
    def options(self) -> Options:
        """How it is to be carried out."""

    def describe(self) -> RunRecord:
        """What `run.json` says of it at first; a run directory belongs to the hash in its `plan`."""

    def task(self, point: P, emulation: Emulation | None, launch: int) -> Task:
        """What a worker is asked for a launch of a point."""

    def calibrate(
        self, show: Callable[[str], None], say: Callable[[str], None]
    ) -> tuple[Emulation, Sequence[Calibration]] | None:
        """Measure the host, to scale an emulation to it; None on real nodes. Called once for a run."""

    def estimate(self) -> Callable[[P], Span]:
        """How long a launch of a point takes; asked for only where there is a budget of time."""

    def ranks(self, points: Sequence[P]) -> Mapping[str, int]:
        """In which order a budget of time begins with points: by id, the lowest first."""


def count_launches(plan: Experiment[P]) -> int:
    """How many launches there are, of all points."""
    return sum(point.launches for point in plan.points)
