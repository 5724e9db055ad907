"""The plan of a matrix: which CPUs against which memory, and what is measured between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import msgspec

from hmexp.machine.matrix.axes import AUTO, find_initiators, find_points, find_targets
from hmexp.machine.matrix.value import MATRIX
from hmexp.measure.quantity import find_quantity, streaming
from hmexp.store.machine import ClaimsRecord
from hmexp.store.records import RunRecord
from hmexp.study.experiment import StudyParameters
from hmexp.sweep.checks import check_fields
from hmexp.sweep.parameters import SweepParameters
from hmexp.sweep.plan import make_plan
from hmexp.sweep.point import hash_of
from hmexp.sweep.run import SweepExperiment
from hmexp.system.claims import read_claims
from hmexp.system.cpus import choose_cpus
from hmexp.system.topology import Topology
from hmexp.units import format_size


@dataclass(frozen=True)
class MatrixParameters(StudyParameters):
    """What a matrix is measured with.

    Parameters
    ----------
    initiators : tuple of str
        Nodes whose CPUs measure; ``auto`` is all that have CPUs which this process may use.
    nodes : tuple of str
        Nodes whose memory is measured; ``auto`` is all whose memory this process may use.
    operations : tuple of str
        Bandwidths and latencies; ``loaded_read`` is the latency under the load of reading.
    size : str
        Of each region.
    threads : int
        For bandwidth, and those that load; 0 is all CPUs of the initiator, of which one is the chase's in a
        latency under load.
    placer : str
        How the pages get to their nodes.
    launches, samples : int
        Fresh processes for each cell, and samples of each.
    sample_seconds, precision : float
        As for a sweep.
    budget : str
        Time for everything, such as ``10min``; ``none`` is as long as it takes.
    emulate : str
        ``none``, or ``NODE=PROFILE``: a node that is modelled in software.
    """

    initiators: tuple[str, ...] = AUTO
    nodes: tuple[str, ...] = AUTO
    operations: tuple[str, ...] = ("read", "write", "mix_2_1", "latency", "loaded_read")
    size: str = "256MiB"
    threads: int = 0
    placer: str = "first_touch"
    launches: int = 3
    samples: int = 10
    sample_seconds: float = 0.05
    precision: float = 0.02
    budget: str = "none"
    emulate: str = "none"

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any]) -> Self:
        """Check values that come from a notebook or a command line.

        Raises
        ------
        ParameterError
            If a name is unknown, or a value has a type that cannot be used.
        """
        # Unlike times, a precision may be 0: the number of samples is then fixed.
        precision = {name: value for name, value in given.items() if name == "precision"}
        rest = {name: value for name, value in given.items() if name not in precision}
        checked = SweepParameters.from_mapping(precision)
        return cls(**check_fields(cls(), rest), precision=checked.precision if precision else cls.precision)


@dataclass(frozen=True)
class MatrixExperiment(SweepExperiment):
    """A matrix as the engine sees it: the points of a sweep, and what firmware and kernel claim."""

    parameters: MatrixParameters
    claims: ClaimsRecord
    notes: tuple[str, ...] = ()

    def describe(self) -> RunRecord:
        """What `run.json` says of it at first."""
        return msgspec.structs.replace(
            self.plan.describe(),
            # Of its own: a sweep may have the very same points, and neither resumes the other.
            plan=hash_of([MATRIX, self.plan.hash]),
            study=MATRIX,
            title="hmexp matrix",
            headline=self.headline,
            notes=self.notes,
            parameters=self.parameters.to_record(),
            claims=self.claims,
        )

    @property
    def headline(self) -> str:
        """What is measured, in a sentence."""
        initiators = sorted({point.cpu_node for point in self.points}, key=int)
        nodes = sorted({point.pattern for point in self.points}, key=int)
        emulate = self.plan.emulate
        head = "" if emulate is None else f" EMULATED: node {emulate.node} is {emulate.profile.title}."
        return (
            f"The CPUs of node {', '.join(initiators)} against the memory of node {', '.join(nodes)}, "
            f"{format_size(max(point.size_bytes for point in self.points))} each.{head}"
        )


def make_matrix(parameters: MatrixParameters, topology: Topology) -> MatrixExperiment:
    """Turn parameters into an experiment, refusing what this machine cannot do.

    Raises
    ------
    HmexpError
        If a parameter cannot be used on this machine; nothing is written then.
    """
    initiators = find_initiators(parameters.initiators, topology)
    nodes, notes = find_targets(parameters.nodes, parameters.size, parameters.emulate, topology)
    operations = tuple(dict.fromkeys(map(find_quantity, parameters.operations)))
    # A latency under load is added below: how many threads load is another question than how many read.
    asked = tuple(dict.fromkeys(streaming(name) or name for name in operations))
    plan = make_plan(
        SweepParameters(
            patterns=nodes,
            operations=asked,
            size=(parameters.size,),
            threads=(parameters.threads,),
            placers=(parameters.placer,),
            cpu_nodes=tuple(map(str, initiators)),
            launches=parameters.launches,
            samples=parameters.samples,
            sample_seconds=parameters.sample_seconds,
            precision=parameters.precision,
            budget=parameters.budget,
            emulate=parameters.emulate,
            results=parameters.results,
            run=parameters.run,
            timeout_seconds=parameters.timeout_seconds,
            seed=parameters.seed,
        ),
        topology,
    )
    points, left_out = find_points(plan.points, operations, parameters.threads, initiators)
    notes += left_out
    if len(nodes) == 1:
        notes.append(
            f"Node {nodes[0]} is the only memory: there is nothing to compare it with. "
            "--emulate NODE=PROFILE adds a node that is modelled in software."
        )
    # Which of two nodes stands for the slow one is a question of sweeps.
    told = (note for note in plan.notes if "is taken for it" not in note)
    # An emulation is scaled with as many threads as the fewest that any initiator has.
    cpus = {
        (count, str(node)): choose_cpus(count, own, own)
        for node, own in initiators.items()
        for count in range(1, len(own) + 1)
    }
    plan = replace(plan, points=points, cpus=cpus, baselines={}, added=frozenset())
    return MatrixExperiment(plan, parameters, read_claims(topology), (*told, *notes))
