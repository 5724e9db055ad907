"""What a person may ask of a sweep over a program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from hmexp.errors import ParameterError
from hmexp.experiment.protocol import Options
from hmexp.measure.launches import MOST_LAUNCHES, require_launches
from hmexp.study.experiment import StudyParameters
from hmexp.sweep.checks import check_fields, check_whole, parse_budget

AUTO: Final = ("auto",)


@dataclass(frozen=True)
class ProgramParameters(StudyParameters):
    """Parameters of a sweep over a program, under the names they have in a notebook.

    Parameters
    ----------
    workload : str
        Name of a workload, or path of a file.
    values : tuple of str
        Values of its parameters, such as ``keys=1000000``; ``none`` are those of the file.
    patterns : tuple of str
        Patterns (``0,2,2``) and DRAM:slow ratios (``1:2``); ``auto`` is five ratios, or the DRAM alone where
        there is no slow memory.
    ways : tuple of str
        How the memory gets there: ``preload``, ``policy``, ``follow``, ``auto`` (the first of these that
        can), ``node``, ``numactl``; and without a pattern ``default`` and ``tiering``.
    granule : str
        Bytes in a row on one node; ``page`` is the machine's.
    launches : int
        Fresh processes for each point.
    repeat : int
        Launches of each point more than `launches`, of points too that are finished.
    budget : str
        Time for everything, such as ``2h``; ``none`` is as long as it takes.
    settle_seconds : float
        How long the pages may take to be in place before the window [s].
    dram, slow : str
        Nodes of a ratio, by number; ``auto`` is the DRAM nearest to the CPUs, and the slow node near it.
    """

    workload: str = "sort"
    values: tuple[str, ...] = ("none",)
    patterns: tuple[str, ...] = AUTO
    ways: tuple[str, ...] = AUTO
    granule: str = "page"
    launches: int = 3
    repeat: int = 0
    budget: str = "none"
    settle_seconds: float = 120.0
    dram: str = "auto"
    slow: str = "auto"
    timeout_seconds: float = 14400.0

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any]) -> Self:
        """Check values that come from a notebook or a command line.

        Raises
        ------
        ParameterError
            If a name is unknown, or a value cannot be used.
        """
        found = cls(**check_fields(cls(), given))
        require_launches(found.launches)
        parse_budget(found.budget)
        if not 0 <= check_whole("repeat", found.repeat) < MOST_LAUNCHES:
            raise ParameterError(f"repeat {found.repeat} is not a whole number from 0 to {MOST_LAUNCHES - 1}")
        return found

    @property
    def options(self) -> Options:
        """How it is to be carried out."""
        seconds = parse_budget(self.budget)
        return replace(super().options, repeat=self.repeat, budget=self.budget, budget_seconds=seconds)

    @property
    def changed(self) -> dict[str, str]:
        """The values of the workload's parameters that were given, by name.

        Raises
        ------
        ParameterError
            If one has no name.
        """
        found = {}
        for text in self.values if self.values != ("none",) else ():
            name, sign, value = text.partition("=")
            if not sign or not name.strip():
                raise ParameterError(f"values {text!r} is not NAME=VALUE", "write keys=1000000")
            found[name.strip()] = value
        return found
