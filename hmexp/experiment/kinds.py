"""Kinds of points: which function measures a point, and how its launches become one result.

To add a kind:

1. give its parameters and its result a struct each, in `hmexp.store.parameters` and `hmexp.store.results`;
2. write a module with ``measure(task) -> Taken``; and ``prepare(task) -> Prepared``, ``join(results)`` or
   ``compare(result)`` where the defaults here do not do;
3. add a line to `KINDS`.

Whoever supplies the points then gets rounds, resuming, budget, proof, progress and the store from the engine.
`tests/experiment/test_kinds.py` does just that with a kind that counts words.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hmexp.experiment.task import Task
from hmexp.store.evidence import Proof, SetupRecord
from hmexp.store.parameters import PointParameters
from hmexp.store.parts import Model, SettingRecord
from hmexp.store.records import MeasuredRecord
from hmexp.store.results import Measured, Result


@dataclass(frozen=True)
class Prepared:
    """What is known of a launch before it is measured.

    Parameters
    ----------
    modelled_pages : mapping of int to int or None
        Pages of each node of the pattern, emulated ones by their own number [pages].
    dram_share : float or None
        Share of the pages on nodes that count as DRAM.
    model : Model or None
        What the emulated nodes must show.
    emulated : bool
        Whether the point uses the emulated nodes that the run has.
    """

    modelled_pages: dict[int, int] | None = None
    dram_share: float | None = None
    model: Model | None = None
    emulated: bool = True


@dataclass(frozen=True)
class Taken:
    """What a launch has measured.

    Parameters
    ----------
    result : Result
        What was measured.
    setup : SetupRecord or None
        What making the region took.
    proof : Proof or None
        Where every page was, before and after.
    settings : mapping of str to SettingRecord
        Settings of the machine that were changed meanwhile.
    host_bound : bool
        Whether the host was slower than the emulated nodes: the model then says nothing of the number.
    """

    result: Result
    setup: SetupRecord | None = None
    proof: Proof | None = None
    settings: Mapping[str, SettingRecord] = field(default_factory=dict)
    host_bound: bool = False


def prepare_nothing(_task: Task) -> Prepared:
    """The default: nothing is known beforehand."""
    return Prepared()


def join_one(results: Sequence[Result]) -> Result:
    """The default: a point of this kind has one launch."""
    if len(results) != 1:
        raise ValueError(
            f"points of the kind {type(results[0]).__name__} have one launch, not {len(results)}"
        )
    return results[0]


def compare_samples(result: Result) -> Measured | None:
    """The default: a result that is samples is compared by them, another by nothing."""
    return result if isinstance(result, Measured) else None


@dataclass(frozen=True)
class Kind:
    """A kind of points; its functions are imported when they are first needed.

    Parameters
    ----------
    measuring, preparing, joining, comparing : str or None
        ``module:function``; None for the defaults.
    balancing : bool
        Whether the function deals with automatic NUMA balancing itself; else it is off meanwhile.
    """

    measuring: str
    preparing: str | None = None
    joining: str | None = None
    comparing: str | None = None
    balancing: bool = False

    @property
    def measure(self) -> Callable[[Task], Taken]:
        """Measures a launch, in the worker."""
        found: Callable[[Task], Taken] = _find(self.measuring)
        return found

    @property
    def prepare(self) -> Callable[[Task], Prepared]:
        """Says what is known beforehand, in the engine and in the worker."""
        found: Callable[[Task], Prepared]
        found = prepare_nothing if self.preparing is None else _find(self.preparing)
        return found

    @property
    def join(self) -> Callable[[Sequence[Result]], Result]:
        """Makes one result of those of several launches."""
        found: Callable[[Sequence[Result]], Result]
        found = join_one if self.joining is None else _find(self.joining)
        return found

    @property
    def compare(self) -> Callable[[Result], Measured | None]:
        """The samples of a result by which its point is compared, retried, and given what time is left."""
        found: Callable[[Result], Measured | None]
        found = compare_samples if self.comparing is None else _find(self.comparing)
        return found


#: By the tag of a point's parameters. Named, not imported: they stand above the engine.
KINDS: Final[Mapping[str, Kind]] = {
    "loop": Kind("hmexp.sweep.loop:measure_loop", "hmexp.sweep.loop:prepare", "hmexp.sweep.loop:join"),
    "cost": Kind("hmexp.study.kinds:measure_cost"),
    "mappings": Kind("hmexp.study.kinds:measure_growth"),
    "behaviour": Kind("hmexp.study.kinds:measure_behaviour"),
    "granule": Kind("hmexp.study.kinds:measure_granule", "hmexp.study.kinds:prepare_granule"),
    "curve": Kind("hmexp.study.kinds:measure_curve", joining="hmexp.sweep.loop:join"),
    "program": Kind(
        "hmexp.program.point:measure_program",
        "hmexp.program.point:prepare",
        "hmexp.program.point:join",
        "hmexp.program.point:compare",
        balancing=True,
    ),
}


def find_kind(parameters: PointParameters) -> Kind:
    """The kind of a point with these parameters."""
    return KINDS[str(parameters.__struct_config__.tag)]


def import_loops() -> None:
    """Import what measures a point of a sweep, so that what is forked afterwards has it."""
    _find(KINDS["loop"].measuring)
    # numpy leaves it out until somebody uses it: in each child, that would be for some 20 ms.
    importlib.import_module("numpy.random")


def find_samples(record: MeasuredRecord) -> Measured | None:
    """The samples by which the point of a record is compared; None if it has none."""
    return None if record.result is None else find_kind(record.parameters).compare(record.result)


def _find(name: str) -> Any:
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)
