"""Whether weights are as good as was said: measured, beside their neighbours, by the kernel's own placing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from hmexp.errors import MeasurementError
from hmexp.experiment.engine import run_experiment
from hmexp.experiment.progress import ProgressDisplay
from hmexp.machine.weights.advice import show_weights
from hmexp.machine.weights.choice import Weights
from hmexp.machine.weights.runs import operation_of
from hmexp.memory.placers.weighted import MAX_WEIGHT
from hmexp.pattern import Pattern
from hmexp.store.parameters import LoopPoint
from hmexp.store.reader import POINTS, read_points
from hmexp.store.records import RunRecord
from hmexp.store.results import Measured
from hmexp.store.validity import FUNCTIONAL_ONLY
from hmexp.sweep.parameters import SweepParameters
from hmexp.sweep.plan import SweepPlan, make_plan
from hmexp.sweep.run import SweepExperiment
from hmexp.system.topology import Topology

#: The name that its runs have in the results folder.
STUDY: Final = "weights"


@dataclass(frozen=True)
class WeightReading:
    """What was measured at weights from the CPUs of one node.

    Parameters
    ----------
    initiator : int
        Node of the CPUs.
    weights : mapping of int to int
        The weights, without a common divisor.
    median_gbps, low_gbps, high_gbps : float
        Median over launches, and its 95 % interval [GB/s].
    """

    initiator: int
    weights: Weights
    median_gbps: float
    low_gbps: float
    high_gbps: float


@dataclass(frozen=True)
class Verification:
    """Weights, and those beside them, as they were measured.

    Parameters
    ----------
    chosen : mapping of int to int
        The weights that were to be verified.
    readings : tuple of WeightReading
        Of every weights and initiator.
    path : Path
        The run directory.
    operation : str
        What was measured.
    timing_valid : bool
        Whether the times mean anything: not in a software-emulated machine.
    """

    chosen: Weights
    readings: tuple[WeightReading, ...]
    path: Path
    operation: str
    timing_valid: bool = True

    @property
    def best_gbps(self) -> Mapping[int, float]:
        """The best median of each initiator [GB/s]."""
        best: dict[int, float] = {}
        for reading in self.readings:
            best[reading.initiator] = max(best.get(reading.initiator, 0.0), reading.median_gbps)
        return best

    def standing(self, weights: Weights) -> tuple[float, float, float]:
        """Part of the best that weights have for the initiator for which it is the smallest.

        Returns
        -------
        tuple of float
            Of the median, and of the lower and the upper end of the interval.
        """
        best = self.best_gbps
        rows = [reading for reading in self.readings if dict(reading.weights) == dict(weights)]
        return (
            min(row.median_gbps / best[row.initiator] for row in rows),
            min(row.low_gbps / best[row.initiator] for row in rows),
            min(row.high_gbps / best[row.initiator] for row in rows),
        )

    @property
    def measured(self) -> tuple[Weights, ...]:
        """Every weights that were measured, the best first."""
        found: dict[tuple[tuple[int, int], ...], Weights] = {}
        for reading in self.readings:
            found.setdefault(tuple(sorted(reading.weights.items())), reading.weights)
        return tuple(sorted(found.values(), key=lambda weights: -self.standing(weights)[0]))

    @property
    def better(self) -> tuple[Weights, ...]:
        """Weights whose interval is wholly above that of the chosen ones, the best first."""
        _middle, _low, high = self.standing(self.chosen)
        return tuple(weights for weights in self.measured if self.standing(weights)[1] > high)

    @property
    def loss(self) -> float:
        """Part of the best measured that the chosen weights do not reach."""
        return 1 - self.standing(self.chosen)[0]

    def to_record(self) -> dict[str, Any]:
        """The verification as JSON-able values."""
        return {
            "run": str(self.path),
            "operation": self.operation,
            "timing_valid": self.timing_valid,
            "loss": self.loss,
            "better": [dict(weights) for weights in self.better],
            "readings": [
                {
                    "initiator": each.initiator, "weights": dict(each.weights),
                    "median_gbps": each.median_gbps, "low_gbps": each.low_gbps, "high_gbps": each.high_gbps,
                }
                for each in self.readings
            ],
        }  # fmt: skip

    def __str__(self) -> str:
        lines = [f"Measured ({self.operation}, by `weighted`), the best first:"]
        for weights in self.measured:
            rows = [each for each in self.readings if dict(each.weights) == dict(weights)]
            figures = "; ".join(
                f"CPUs of node {row.initiator} {row.median_gbps:.4g} GB/s ({row.low_gbps:.4g} to "
                f"{row.high_gbps:.4g})"
                for row in rows
            )
            mark = "  <- set" if dict(weights) == dict(self.chosen) else ""
            lines.append(f"  {show_weights(weights)}: {figures}{mark}")
        if self.better:
            gain = self.standing(self.better[0])[0] / self.standing(self.chosen)[0] - 1
            lines.append(
                f"{show_weights(self.better[0])} is better than what is set, by {gain:.1%} and beyond the "
                "interval: the model does not hold here."
            )
        else:
            lines.append(
                f"No neighbour is better beyond the interval; the loss against the best measured is "
                f"{self.loss:.1%}."
            )
        if not self.timing_valid:
            lines.append(FUNCTIONAL_ONLY)
        return "\n".join(lines)


def neighbours(weights: Weights) -> tuple[dict[int, int], ...]:
    """Weights that differ by 1 in one node, without common divisors; those of the same ratio left out."""
    own = reduced(weights)
    found: list[dict[int, int]] = []
    for node in sorted(weights):
        for step in (1, -1):
            other = dict(own) | {node: own[node] + step}
            if 1 <= other[node] <= MAX_WEIGHT and (other := reduced(other)) not in (own, *found):
                found.append(other)
    return tuple(found)


def reduced(weights: Weights) -> dict[int, int]:
    """The same ratio without a common divisor."""
    divisor = math.gcd(*weights.values())
    return {node: weight // divisor for node, weight in sorted(weights.items())}


@dataclass(frozen=True)
class _WeightsExperiment(SweepExperiment):
    """A sweep under a name of its own, so that `latest` stays with the sweeps."""

    def describe(self) -> RunRecord:
        found = super().describe()
        return msgspec.structs.replace(found, study=STUDY, title="hmexp weights")


def plan_verification(
    weights: Weights,
    initiators: Iterable[int],
    reads: float,
    topology: Topology,
    given: Mapping[str, Any],
    beside: Sequence[Weights] = (),
) -> SweepPlan:
    """Plan to measure weights, their neighbours and others.

    Parameters
    ----------
    weights : mapping of int to int
        The weights to verify.
    initiators : iterable of int
        Nodes on whose CPUs the threads run.
    reads : float
        Share of the payload that is read.
    topology : Topology
        The machine.
    given : mapping
        Parameters of the sweep that a person has given, such as ``size`` and ``launches``.
    beside : sequence of mapping of int to int
        Other weights to compare with, such as plain interleave.

    Raises
    ------
    HmexpError
        If this machine cannot measure them.
    """
    every = {str(_pattern(each)): None for each in (weights, *neighbours(weights), *beside)}
    parameters = SweepParameters.from_mapping(
        {
            "patterns": list(every),
            "operations": [operation_of(reads)],
            "placers": ["weighted"],
            "cpu_nodes": [str(each) for each in sorted(initiators)],
            "launches": 3,
            "emulate": "none",
            **given,
        }
    )
    return make_plan(parameters, topology)


def verify(
    plan: SweepPlan,
    weights: Weights,
    display: ProgressDisplay | None = None,
    say: Callable[[str], None] = print,
) -> Verification:
    """Measure what a plan of `plan_verification` has.

    Raises
    ------
    SweepError
        If a point failed.
    MeasurementError
        If a point was skipped: the placer cannot do it.
    """
    outcome = run_experiment(_WeightsExperiment(plan), display, say)
    outcome.require_complete()
    readings, valid = [], True
    for record in read_points(outcome.path / POINTS).values():
        point, result = record.parameters, record.result
        if not isinstance(point, LoopPoint) or record.point_id in plan.added:
            continue
        if not isinstance(result, Measured):
            raise MeasurementError(
                f"{point.pattern} was not measured: {record.reason}", "see `hmexp placers` for what it needs"
            )
        valid = valid and record.timing_valid
        ratio = reduced(Pattern.parse(point.pattern, point.granule_bytes).ratio())
        low, high = (result.median if end is None else end for end in (result.ci_low, result.ci_high))
        readings.append(WeightReading(int(point.cpu_node), ratio, result.median, low, high))
    return Verification(reduced(weights), tuple(readings), outcome.path, plan.parameters.operations[0], valid)


def _pattern(weights: Weights) -> Pattern:
    return Pattern.from_ratio(dict(weights))
