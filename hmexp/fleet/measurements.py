"""What a fleet can measure: which experiments the engine is given on each host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, Self

from hmexp.errors import ParameterError
from hmexp.experiment.protocol import Experiment
from hmexp.machine.matrix.plan import MatrixExperiment, MatrixParameters, make_matrix
from hmexp.program.experiment import ProgramStudy, make_program_study
from hmexp.program.parameters import ProgramParameters
from hmexp.program.workload.checks import uses_folder
from hmexp.program.workload.files import Workload, find_workload, is_file, parse_workload
from hmexp.store.schema import Remark
from hmexp.study.curves import CurveParameters, make_curves
from hmexp.study.experiment import Study
from hmexp.sweep.parameters import SweepParameters
from hmexp.sweep.plan import make_plan
from hmexp.sweep.run import SweepExperiment
from hmexp.system.topology import Topology


class FleetParameters(Protocol):
    """Parameters of an experiment."""

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any]) -> Self:
        """Check values."""

    def to_record(self) -> dict[str, Remark]:
        """The parameters as they are stored."""


@dataclass(frozen=True)
class FleetMeasurement:
    """Something that a fleet can measure.

    Parameters
    ----------
    parameters : type
        The class of its parameters.
    make : callable
        Checks them against a machine, and makes the experiment; gets the files that they name, too.
    """

    parameters: type[FleetParameters]
    make: Callable[[Any, Topology, Mapping[str, str]], Experiment[Any]]


def _make_sweep(parameters: SweepParameters, topology: Topology, _: Mapping[str, str]) -> SweepExperiment:
    return SweepExperiment(make_plan(parameters, topology))


def _make_matrix(parameters: MatrixParameters, topology: Topology, _: Mapping[str, str]) -> MatrixExperiment:
    return make_matrix(parameters, topology)


def _make_curves(parameters: CurveParameters, topology: Topology, _: Mapping[str, str]) -> Study:
    return make_curves(parameters, topology)


def _make_program(
    parameters: ProgramParameters, topology: Topology, files: Mapping[str, str]
) -> ProgramStudy:
    text, file = files.get(parameters.workload), Path(parameters.workload)
    workload = None if text is None else Workload(file.stem, file, parse_workload(text, file.name))
    return make_program_study(parameters, topology, workload)


def files_of(parameters: Mapping[str, Remark]) -> dict[str, str]:
    """What is in the files that parameters name, for hosts that do not have them: a workload's.

    Raises
    ------
    ParameterError
        If there is none, one cannot be read, has a mistake, or needs what is beside it.
    """
    if "workload" not in parameters:
        return {}
    named = str(parameters["workload"])
    workload = find_workload(named)
    if not is_file(named):
        return {}
    if uses_folder(workload.record):
        raise ParameterError(
            f"the workload {workload.path} names files beside it by {{here}}, which the hosts of a fleet do "
            "not have",
            "name files by paths that every host has",
        )
    return {named: workload.path.read_text(encoding="utf-8-sig")}


MEASUREMENTS: Final[Mapping[str, FleetMeasurement]] = {
    "sweep": FleetMeasurement(SweepParameters, _make_sweep),
    "matrix": FleetMeasurement(MatrixParameters, _make_matrix),
    "curves": FleetMeasurement(CurveParameters, _make_curves),
    "program": FleetMeasurement(ProgramParameters, _make_program),
}


def find_measurement(name: str) -> FleetMeasurement:
    """Return a measurement by its name.

    Raises
    ------
    ParameterError
        If there is none.
    """
    found = MEASUREMENTS.get(name)
    if found is None:
        one = "hmexp run starts one program; hmexp program measures it" if name == "run" else None
        raise ParameterError(
            f"a fleet cannot do {name!r}" + (f": {one}" if one else ""),
            f"after `--`, write {', '.join(MEASUREMENTS)} with its options",
        )
    return found


def make_experiment(
    name: str, given: Mapping[str, Any], topology: Topology, files: Mapping[str, str]
) -> Experiment[Any]:
    """Check parameters against this machine, and make the experiment.

    Raises
    ------
    HmexpError
        If this machine cannot do what they ask for.
    """
    measurement = find_measurement(name)
    return measurement.make(measurement.parameters.from_mapping(given), topology, files)
