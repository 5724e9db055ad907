"""Predicting a program's slowdown at every ratio: which few runs it takes, and one that checks."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from hmexp.errors import ParameterError
from hmexp.pattern import Pattern
from hmexp.program.experiment import ProgramStudy, make_program_study
from hmexp.program.parameters import AUTO, ProgramParameters
from hmexp.program.workload.files import Workload
from hmexp.store.program_points import ProgramPoint
from hmexp.store.workload_records import MetricRecord, ProgramCommand, WorkloadRecord
from hmexp.system.near import find_ratio
from hmexp.system.topology import Topology

#: Name of the study in `run.json`.
PREDICT: Final = "predict"
#: One at no slow memory and three above fix a cubic without a constant.
_PATTERNS: Final = ("1:0", "3:1", "1:1", "0:1")
_CHECK: Final = "1:2"
_NONE: Final = "none"


@dataclass(frozen=True)
class PredictParameters(ProgramParameters):
    """Parameters of a prediction, under the names they have in a notebook.

    Parameters
    ----------
    check : str
        The ratio that is left out of the prediction, and measured to check it; ``none`` checks nothing.
    way : str
        How the memory gets there: one way for all, of those that take a pattern.
    command : str
        The program and its arguments, instead of a workload; ``none`` for a workload.
    """

    check: str = _CHECK
    way: str = "auto"
    command: str = _NONE


def make_prediction(
    parameters: PredictParameters, topology: Topology, command: Sequence[str] = ()
) -> ProgramStudy:
    """Turn parameters into the points that a prediction takes.

    Parameters
    ----------
    parameters : PredictParameters
        As the person gave them; `ways` is not used.
    topology : Topology
        This machine.
    command : sequence of str
        A program that ends by itself and whose time counts, instead of a workload.

    Raises
    ------
    HmexpError
        If a parameter cannot be used on this machine.
    """
    if parameters.launches < 2:
        raise ParameterError(
            f"launches {parameters.launches} gives no interval", "use --launches 3, which is the usual"
        )
    nodes = find_ratio(topology, dram=parameters.dram, slow=parameters.slow, far_dram=True)
    if len(nodes) < 2:
        raise ParameterError(
            f"node {nodes[0]} is the only memory: there is no slowdown to predict",
            "`hmexp nodes` shows the memory that there is; `hmexp lab` has machines with several nodes",
        )
    asked = _PATTERNS if parameters.patterns == AUTO else parameters.patterns
    dram = nodes[0]
    parsed = [Pattern.parse_any(text, nodes) for text in asked]
    alone = Pattern((dram,))
    if alone not in parsed:
        parsed.insert(0, alone)
    mixed = [pattern for pattern in parsed if set(pattern.distinct_nodes) != {dram}]
    if not mixed:
        raise ParameterError("no pattern has slow memory", "name some, such as --patterns 1:0 3:1 1:1 0:1")
    notes = []
    if len(mixed) < 3:
        notes.append(
            f"{len(mixed)} pattern{'s'[: len(mixed) > 1]} with slow memory fix a polynomial of degree "
            f"{len(mixed)}; three give a cubic, which fits most programs better."
        )
    every = list(parsed)
    if parameters.check != _NONE:
        check = Pattern.parse_any(parameters.check, nodes)
        if check in parsed:
            raise ParameterError(
                f"check {parameters.check} is one of the patterns that the prediction is made of",
                "name another ratio, or --check none",
            )
        every.append(check)
        parameters = replace(parameters, check=str(check))
    planned = replace(parameters, patterns=tuple(map(str, every)), ways=(parameters.way,))
    if command:
        planned = replace(planned, workload=_NONE, command=shlex.join(command))
    study = make_program_study(planned, topology, describe_command(command) if command else None)
    return _compared_with(study, str(alone), parameters.way, tuple(notes))


def _compared_with(study: ProgramStudy, pattern: str, way: str, notes: tuple[str, ...]) -> ProgramStudy:
    """The same runs, each compared with that on DRAM alone in the same way: only the ratio differs."""
    points = tuple(point for point in study.points if point.id not in study.added)
    alone = next(
        each for each in points
        if isinstance(each.parameters, ProgramPoint) and each.parameters.pattern == pattern
    )  # fmt: skip
    return replace(
        study,
        name=PREDICT,
        points=points,
        headline=f"{study.headline.partition(';')[0]}; its slowdown at every ratio by {way}.",
        notes=(*study.notes, *notes),
        baselines={point.id: alone.id for point in points if point.id != alone.id},
        added=frozenset(),
    )


def describe_command(command: Sequence[str]) -> Workload:
    """A command as a workload: it runs here, ends by itself, and its time counts."""
    words = tuple(word.replace("{", "{{").replace("}", "}}") for word in command)
    here = str(Path.cwd()).replace("{", "{{").replace("}", "}}")
    record = WorkloadRecord(
        title=shlex.join(command),
        program=ProgramCommand(command=words, folder=here),
        metrics=(MetricRecord(name="elapsed", unit="s", better="lower", source="elapsed"),),
    )
    return Workload(Path(command[0]).name or "command", Path.cwd(), record)
