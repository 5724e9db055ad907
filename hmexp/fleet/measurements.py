"""What a fleet can measure: which experiments the engine is given on each host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

from hmexp.errors import ParameterError
from hmexp.experiment.protocol import Experiment
from hmexp.machine.matrix.plan import MatrixParameters, make_matrix
from hmexp.program.experiment import make_program_study
from hmexp.program.parameters import ProgramParameters
from hmexp.store.schema import Remark
from hmexp.study.curves import CurveParameters, make_curves
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
        Checks them against a machine, and makes the experiment.
    """

    parameters: type[FleetParameters]
    make: Callable[[Any, Topology], Experiment[Any]]


def _make_sweep(parameters: SweepParameters, topology: Topology) -> SweepExperiment:
    return SweepExperiment(make_plan(parameters, topology))


MEASUREMENTS: Final[Mapping[str, FleetMeasurement]] = {
    "sweep": FleetMeasurement(SweepParameters, _make_sweep),
    "matrix": FleetMeasurement(MatrixParameters, make_matrix),
    "curves": FleetMeasurement(CurveParameters, make_curves),
    "program": FleetMeasurement(ProgramParameters, make_program_study),
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


def make_experiment(name: str, given: Mapping[str, Any], topology: Topology) -> Experiment[Any]:
    """Check parameters against this machine, and make the experiment.

    Raises
    ------
    HmexpError
        If this machine cannot do what they ask for.
    """
    measurement = find_measurement(name)
    return measurement.make(measurement.parameters.from_mapping(given), topology)
