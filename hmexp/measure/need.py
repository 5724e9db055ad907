"""What is needed of a ratio, as data: `read>=90`, `latency<=1.5x`, `write>=4GB/s`."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final, Literal

from hmexp.errors import ParameterError
from hmexp.measure.quantity import find_quantity, is_latency

Outcome = Literal["kept", "not kept", "inconclusive"]
#: The name of all mixes of reads and writes that were measured.
MIX: Final = "mix"
_EXAMPLES: Final = "write for example read>=90, mix>=85, write>=4GB/s, latency<=1.5x or latency<=600ns"
_NEED: Final = re.compile(
    r"\s*(?P<of>[a-z][a-z0-9_]*|\d+:\d+)\s*(?P<sense>>=|<=|=>|=<|>|<|=)\s*"
    r"(?P<limit>[0-9.]+)\s*(?P<unit>%|x|GB/s|ns|)\s*",
    re.ASCII | re.IGNORECASE,
)
#: A bandwidth that is to be more than so many times all DRAM's is a slip.
_MOST: Final = 10.0


@dataclass(frozen=True)
class Requirement:
    """A limit that a ratio has to keep.

    Parameters
    ----------
    of : str
        The operation, or ``mix`` for all mixes.
    limit : float
        The least bandwidth, or the most latency: a multiple of all DRAM's, or in `unit`.
    unit : str
        ``x`` for a multiple of all DRAM, ``GB/s`` or ``ns``.
    """

    of: str
    limit: float
    unit: str

    @property
    def is_latency(self) -> bool:
        """True if less is better."""
        return _less_is_better(self.of)

    def __str__(self) -> str:
        """As it is written: `read>=90`."""
        sense = "<=" if self.is_latency else ">="
        if self.unit == "x" and not self.is_latency:
            return f"{self.of}{sense}{self.limit * 100:g}%"
        return f"{self.of}{sense}{self.limit:g}{self.unit}"

    def holds(self, operation: str) -> bool:
        """True if this need is one of that operation."""
        return operation.startswith("mix_") if self.of == MIX else operation == self.of

    def judge(self, low: float, high: float) -> Outcome:
        """Judge a whole interval: kept and not kept are certain, whatever lies between is not.

        Parameters
        ----------
        low, high : float
            Its ends: multiples of all DRAM's, or in `unit`.
        """
        limit = self.limit
        if self.is_latency:
            low, high, limit = -high, -low, -limit
        return "kept" if low >= limit else "not kept" if high < limit else "inconclusive"

    @property
    def limit_text(self) -> str:
        """The limit with its sense: `≥ 90 %`."""
        sign = "≤" if self.is_latency else "≥"
        if self.unit != "x":
            return f"{sign} {self.limit:g} {self.unit}"
        return f"{sign} {self.limit:g} ×" if self.is_latency else f"{sign} {self.limit * 100:g} %"


def parse_need(text: str) -> Requirement:
    """Read a need such as ``read>=90``: percent of all DRAM, a multiple of it, GB/s or ns.

    Raises
    ------
    ParameterError
        If it is none, or asks for the wrong sense.
    """
    match = _NEED.fullmatch(text)
    if match is None:
        raise ParameterError(f"need {text!r} is not an operation, >= or <=, and a limit", _EXAMPLES)
    named = match["of"].lower()
    of = MIX if named in (MIX, "mixes") else find_quantity(named)
    less = _less_is_better(of)
    sense, right = match["sense"], "<=" if less else ">="
    if right[0] not in sense:
        raise ParameterError(
            f"need {text!r} asks for {sense}: of {named}, {'less' if less else 'more'} is better",
            f"write {named}{right}{match['limit']}{match['unit']}",
        )
    try:
        number = float(match["limit"])
    except ValueError:
        raise ParameterError(f"need {text!r} has the limit {match['limit']!r}", _EXAMPLES) from None
    if not (math.isfinite(number) and number > 0):
        raise ParameterError(f"need {text!r} has a limit that is not above 0", _EXAMPLES)
    return Requirement(of, *_limit(text, named, number, match["unit"].lower(), less=less))


def _limit(text: str, named: str, number: float, unit: str, *, less: bool) -> tuple[float, str]:
    """The limit and its unit; what may be meant in two ways is refused."""
    wrong = "gb/s" if less else "ns"
    if unit == wrong:
        raise ParameterError(f"need {text!r}: {named} is not measured in {unit}", _EXAMPLES)
    if unit in ("gb/s", "ns"):
        return number, "GB/s" if unit == "gb/s" else "ns"
    if unit == "" and less:
        raise ParameterError(
            f"need {text!r} has a limit without a unit",
            f"write {named}<={number:g}x for a multiple of all DRAM’s, or {named}<={number:g}ns",
        )
    if unit == "" and number <= 1:
        raise ParameterError(
            f"need {text!r} would be {number:g} percent of all DRAM", f"write {named}>={number * 100:g}"
        )
    limit = number if unit == "x" else number / 100
    if limit > _MOST:
        raise ParameterError(f"need {text!r} is {limit:g} times all DRAM", _EXAMPLES)
    return limit, "x"


def _less_is_better(of: str) -> bool:
    return of != MIX and is_latency(of)
