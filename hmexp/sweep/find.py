"""Finding the cheapest ratio that keeps what is needed: a grid of ratios, of which few are measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from hmexp.errors import ParameterError
from hmexp.experiment.backlog import Backlog
from hmexp.experiment.schedule import Clock
from hmexp.measure.need import MIX, Requirement
from hmexp.store.parts import SearchRecord
from hmexp.store.records import RunRecord
from hmexp.sweep.parameters import SweepParameters
from hmexp.sweep.plan import SweepPlan, make_plan
from hmexp.sweep.point import SweepPoint, hash_of
from hmexp.sweep.run import SweepExperiment
from hmexp.sweep.search import LEAST_LAUNCHES, Candidate, RatioSearch, Trial, count_most
from hmexp.system.provenance import timing_validity
from hmexp.system.topology import Topology

#: The ratios to choose from, if none are named.
RATIOS: Final = (
    "15:1", "7:1", "5:1", "3:1", "2:1", "3:2", "1:1", "2:3", "1:2", "1:3", "1:5", "1:7", "0:1",
)  # fmt: skip
#: What is measured for a need of all mixes.
_MIXES: Final = ("mix_3_1", "mix_1_1")


@dataclass(frozen=True)
class Find(SweepExperiment):
    """A search, checked against this machine.

    Parameters
    ----------
    plan : SweepPlan
        The whole grid: every ratio, and all DRAM.
    needs : tuple of Requirement
        What a ratio has to keep.
    candidates : tuple of Candidate
        The ratios to choose from, from the least DRAM up.
    dram : Candidate
        All DRAM.
    """

    needs: tuple[Requirement, ...]
    candidates: tuple[Candidate, ...]
    dram: Candidate

    def describe(self) -> RunRecord:
        """What `run.json` says of it at first."""
        needs = tuple(map(str, self.needs))
        search = SearchRecord(
            needs=needs,
            patterns=tuple(candidate.pattern for candidate in self.candidates),
            grid_launches=self.plan.launches,
            open="begun",
        )
        return msgspec.structs.replace(
            self.plan.describe(),
            plan=hash_of({"grid": self.plan.hash, "needs": sorted(needs)}),
            title="hmexp find",
            search=search,
        )

    @property
    def most_launches(self) -> int:
        """Launches that it takes at most where all DRAM keeps the needs."""
        return count_most(self.candidates, self.dram)

    def search(self, backlog: Backlog[SweepPoint], deadline: float | None = None) -> RatioSearch:
        """The search itself, over what a run directory has."""
        clock = None if deadline is None else Clock(self.estimate(), deadline)
        return RatioSearch(self.needs, self.candidates, self.dram, backlog, clock)


def make_find(needs: Sequence[Requirement], given: Mapping[str, Any], topology: Topology) -> Find:
    """Plan a search.

    Parameters
    ----------
    needs : sequence of Requirement
        What a ratio has to keep.
    given : mapping
        Parameters of a sweep; its operations are those of the needs.
    topology : Topology
        This machine.

    Raises
    ------
    HmexpError
        If nothing is needed, or a parameter cannot be used on this machine.
    """
    if not needs:
        raise ParameterError("nothing is needed of a ratio", "name a need, such as --need 'read>=90'")
    values = {"patterns": RATIOS} | dict(given) | {"operations": operations_of(needs)}
    parameters = SweepParameters.from_mapping(values)
    if parameters.launches < LEAST_LAUNCHES:
        raise ParameterError(
            f"launches {parameters.launches} gives no interval over launches, and a search goes by intervals",
            f"use --launches {LEAST_LAUNCHES} or more; 5 is the usual",
        )
    valid, why = timing_validity()
    if not valid:
        raise ParameterError(
            f"timings mean nothing here ({why}), and a search goes by them", "run it on a real machine"
        )
    plan = make_plan(parameters, topology)
    trials = _trials_of(plan, needs)
    if not trials:
        raise ParameterError(
            "no pattern has slow memory: there is no ratio to choose",
            "name some, such as --patterns 3:1 1:1 1:3 0:1; `hmexp nodes` shows the memory that there is",
        )
    candidates = tuple(Candidate(pattern, tuple(found)) for pattern, found in trials.items())
    bases = {plan.baselines[trial.point.id] for found in trials.values() for trial in found}
    dram = (trial for p in plan.points if p.id in bases for trial in _trials(needs, p, p))
    return Find(plan, tuple(needs), candidates, Candidate(str(plan.backing_node), tuple(dram)))


def _trials_of(plan: SweepPlan, needs: Sequence[Requirement]) -> dict[str, list[Trial]]:
    """What each pattern with slow memory is judged by, from the least DRAM up."""
    by_id = {point.id: point for point in plan.points}
    shares = {point: point.parsed_pattern.share(plan.dram_nodes) for point in plan.points}
    found: dict[str, list[Trial]] = {}
    for point in sorted((p for p, share in shares.items() if share < 1), key=shares.__getitem__):
        base = by_id.get(plan.baselines.get(point.id, ""))
        if base is None:
            raise ParameterError(
                f"all DRAM cannot be measured beside {point.pattern}, and a search compares with it: "
                f"node {plan.backing_node} has no room",
                "choose a smaller --size",
            )
        found.setdefault(point.pattern, []).extend(_trials(needs, point, base))
    return found


def operations_of(needs: Sequence[Requirement]) -> tuple[str, ...]:
    """What has to be measured for needs."""
    found = (_MIXES if need.of == MIX else (need.of,) for need in needs)
    return tuple(dict.fromkeys(operation for each in found for operation in each))


def _trials(needs: Sequence[Requirement], point: SweepPoint, base: SweepPoint) -> list[Trial]:
    mine = [need for need in needs if need.holds(point.operation)]
    return [Trial(need, point, base if need.unit == "x" else None) for need in mine]
