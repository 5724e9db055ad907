"""A sweep, carried out by the engine."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hmexp.experiment.engine import Outcome, run_experiment
from hmexp.experiment.pace import Span
from hmexp.experiment.progress import ProgressDisplay
from hmexp.experiment.protocol import Options
from hmexp.experiment.task import Task
from hmexp.memory.emulation import Emulation
from hmexp.store.machine import Calibration
from hmexp.store.records import RunRecord
from hmexp.store.shapes import ShapeRecord
from hmexp.sweep.calibration import calibrate
from hmexp.sweep.pace import find_pace
from hmexp.sweep.plan import SweepPlan
from hmexp.sweep.point import SweepPoint
from hmexp.sweep.shapes import choose_shapes


@dataclass(frozen=True)
class SweepExperiment:
    """A plan as the engine sees it; see `hmexp.experiment.protocol.Experiment`."""

    plan: SweepPlan

    @property
    def points(self) -> Sequence[SweepPoint]:
        """Every point."""
        return self.plan.points

    @property
    def added(self) -> frozenset[str]:
        """Ids of the points that were not asked for."""
        return self.plan.added

    @property
    def baselines(self) -> Mapping[str, str]:
        """Id of the all-DRAM point of each."""
        return self.plan.baselines

    @property
    def options(self) -> Options:
        """How it is to be carried out."""
        return self.plan.options

    def describe(self) -> RunRecord:
        """What `run.json` says of it at first."""
        return self.plan.describe()

    def task(self, point: SweepPoint, emulation: Emulation | None, launch: int) -> Task:
        """What a worker is asked for a launch of a point."""
        return self.plan.task(point, emulation, launch)

    def calibrate(
        self, show: Callable[[str], None], say: Callable[[str], None]
    ) -> tuple[Emulation, Sequence[Calibration]] | None:
        """Measure the host, to scale the emulated node to it."""
        if self.plan.emulate is None:
            return None
        say("Measuring this host, to scale the emulated node to it.")
        return calibrate(self.plan, show, say)

    @property
    def shapes_asked(self) -> str:
        """What was asked of shapes: ``plain``, ``auto`` or a name."""
        return self.plan.parameters.shapes

    def choose_shapes(
        self, show: Callable[[str], None], say: Callable[[str], None]
    ) -> tuple[ShapeRecord, ...]:
        """Choose how the loops walk, as the parameter says."""
        return choose_shapes(self.plan, show, say)

    def estimate(self) -> Callable[[SweepPoint], Span]:
        """How long a launch takes, by three tiny ones."""
        return find_pace(self.plan).of

    def ranks(self, points: Sequence[SweepPoint]) -> Mapping[str, int]:
        """The ends of the axis of ratios first, then its middle, then the middles of what is between."""
        shares = {point.id: point.parsed_pattern.share(self.plan.dram_nodes) for point in points}
        ranks = rank_coarse_first(set(shares.values()))
        return {point: ranks[share] for point, share in shares.items()}


def run_sweep(
    plan: SweepPlan,
    display: ProgressDisplay | None = None,
    say: Callable[[str], None] = print,
    report: Callable[[Path], object] | None = None,
) -> Outcome:
    """Measure every point of a plan that was not measured yet.

    Parameters
    ----------
    plan : SweepPlan
        What to measure.
    display, say, report
        As for `run_experiment`.
    """
    return run_experiment(SweepExperiment(plan), display, say, report)


def rank_coarse_first(shares: Collection[float]) -> dict[float, int]:
    """The rank of each share of DRAM: the ends of the axis, the middle, the middles of what is between."""
    axis = sorted(shares)
    ordered = dict.fromkeys([0, len(axis) - 1])
    parts = [(0, len(axis) - 1)]
    while parts:
        low, high = parts.pop(0)
        if high - low > 1:
            middle = (low + high) // 2
            ordered[middle] = None
            parts += [(low, middle), (middle, high)]
    return {axis[index]: rank for rank, index in enumerate(ordered)} if axis else {}
