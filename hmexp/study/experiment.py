"""Studies: questions other than those of a sweep, carried out by the same engine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Self

import msgspec

from hmexp.experiment.pace import Span
from hmexp.experiment.protocol import Options
from hmexp.experiment.task import Task
from hmexp.memory.emulation import Emulation
from hmexp.store.machine import Calibration
from hmexp.store.parameters import PointParameters
from hmexp.store.records import RunRecord
from hmexp.store.schema import Remark
from hmexp.sweep.checks import check_fields
from hmexp.system.provenance import collect, timing_validity
from hmexp.system.topology import Topology
from hmexp.units import format_size

#: Part of the ids of points and runs.
_ID_VERSION: Final = 1


@dataclass(frozen=True)
class StudyParameters:
    """What the parameters of every study have, under the names they have in its notebook.

    Parameters
    ----------
    results, run : str
        As for a sweep.
    timeout_seconds : float
        Longest time of a process [s].
    seed : int
        Of the order in which the processes are started.
    """

    results: str = "auto"
    run: str = "auto"
    timeout_seconds: float = 300.0
    seed: int = 0

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any]) -> Self:
        """Check values that come from a notebook or a command line.

        Raises
        ------
        ParameterError
            If a name is unknown, or a value has a type that cannot be used.
        """
        return cls(**check_fields(cls(), given))

    def to_record(self) -> dict[str, Remark]:
        """The parameters as they are stored."""
        return asdict(self)

    @property
    def options(self) -> Options:
        """How the study is to be carried out; a study that repeats, or keeps to a time, adds to it."""
        return Options(self.results, self.run, self.timeout_seconds, self.seed)


@dataclass(frozen=True)
class StudyPoint:
    """One measurement of a study.

    Parameters
    ----------
    parameters : PointParameters
        What is measured; their kind says by which function.
    launches : int
        Fresh processes that measure it. More than one needs a kind that joins their results.
    """

    parameters: PointParameters
    launches: int = 1

    @property
    def id(self) -> str:
        """Stable name: a hash of what is measured."""
        launches = [self.launches] if self.launches > 1 else []
        return _hash([_ID_VERSION, self.kind, self._given, *launches])[:12]

    @property
    def kind(self) -> str:
        """The kind of the point, such as ``cost``."""
        return str(self.parameters.__struct_config__.tag)

    @property
    def alike(self) -> tuple[str, int]:
        """What launches that take about as long have in common."""
        size = self._given.get("size_bytes")
        return self.kind, size if isinstance(size, int) else 0

    @property
    def _given(self) -> dict[str, Remark]:
        found: dict[str, Remark] = msgspec.to_builtins(self.parameters)
        del found["kind"]
        return found

    def to_record(self) -> PointParameters:
        """The parameters as they are stored."""
        return self.parameters

    def __str__(self) -> str:
        given = self._given
        words = [str(value) for value in given.values() if isinstance(value, str)]
        granule = given.get("granule_bytes")
        if isinstance(granule, int):
            words.append(f"granule {format_size(granule)}")
        return " ".join([self.kind, *words, *(["2 MiB pages"] if given.get("huge") else [])])


@dataclass(frozen=True)
class StudyFacts:
    """What a study says of itself in `run.json`, beside what every run does.

    Parameters
    ----------
    pattern : str or None
        Its pattern, if it has one.
    one_node : bool or None
        Whether the machine has one node with memory.
    dram_node : int or None
        Its DRAM node.
    """

    pattern: str | None = None
    one_node: bool | None = None
    dram_node: int | None = None


@dataclass(frozen=True)
class Study:
    """What a study will measure, checked against this machine; an `Experiment` for the engine.

    Parameters
    ----------
    name : str
        Of the kind of study, such as ``placers``: it begins the names of its run directories.
    parameters : StudyParameters
        As the person gave them.
    points : tuple of StudyPoint
        In the order in which they are listed; they are measured in another.
    topology : Topology
        This machine.
    headline : str
        What it will do, in a sentence.
    facts : StudyFacts
        What it says of itself.
    notes : tuple of str
        What a person should know before, such as what this machine cannot show.
    emulate : callable
        Makes the emulated nodes; called once per run directory, which keeps them.
    baselines : mapping of str to str
        Id of the point that a point is compared with, by the point's own.
    added : frozenset of str
        Ids of points that were not asked for, but are compared with.
    """

    name: str
    parameters: StudyParameters
    points: tuple[StudyPoint, ...]
    topology: Topology
    headline: str
    facts: StudyFacts = StudyFacts()
    notes: tuple[str, ...] = ()
    emulate: Callable[[], Emulation | None] = lambda: None
    baselines: Mapping[str, str] = field(default_factory=dict)
    added: frozenset[str] = frozenset()

    @property
    def hash(self) -> str:
        """Hash of what is measured: a run directory belongs to one."""
        return _hash([self.name, sorted(point.id for point in self.points)])[:16]

    @property
    def options(self) -> Options:
        """How it is to be carried out."""
        return self.parameters.options

    def describe(self) -> RunRecord:
        """What `run.json` says of it at first."""
        valid, note = timing_validity()
        return RunRecord(
            name="",
            plan=self.hash,
            study=self.name,
            title=f"hmexp {self.name}",
            headline=self.headline,
            notes=self.notes,
            parameters=self.parameters.to_record(),
            dram_nodes=tuple(node.id for node in self.topology.dram_nodes),
            nodes=self.topology.as_records(),
            provenance=collect(),
            timing_valid=valid,
            timing_note=note,
            pattern=self.facts.pattern,
            one_node=self.facts.one_node,
            dram_node=self.facts.dram_node,
        )

    def task(self, point: StudyPoint, emulation: Emulation | None, launch: int) -> Task:
        """What a worker is asked for a launch of a point."""
        record = None if emulation is None else emulation.to_record()
        return Task(point_id=point.id, parameters=point.parameters, launch=launch, emulation=record)

    def calibrate(
        self, show: Callable[[str], None], say: Callable[[str], None]
    ) -> tuple[Emulation, Sequence[Calibration]] | None:
        """Make the emulated nodes, if there are any."""
        del show, say
        emulation = self.emulate()
        return None if emulation is None else (emulation, ())

    def estimate(self) -> Callable[[StudyPoint], Span]:
        """Nothing is known before a launch of its kind was made."""
        return lambda _point: Span(0.0, 0.0)

    def ranks(self, points: Sequence[StudyPoint]) -> Mapping[str, int]:
        """As they are listed."""
        return {point.id: rank for rank, point in enumerate(points)}


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
