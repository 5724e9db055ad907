"""A point as the report sees it: typed, finite numbers only, nothing averaged."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final

from hmexp.errors import PatternError
from hmexp.measure.quantity import is_latency
from hmexp.pattern import Pattern
from hmexp.report.run.wording import Series

Record = Mapping[str, Any]

_SHORT_PATTERN: Final = 28


def finite(value: Any) -> float | None:
    """Return a number as a float, or None for anything that is no finite number."""
    # By the very type, most common first: a large run has millions of numbers. A truth value is none.
    if type(value) is float:
        return value if math.isfinite(value) else None
    return float(value) if type(value) is int else None


def finite_numbers(values: Iterable[Any]) -> tuple[float, ...]:
    """Return the finite numbers among some values."""
    return tuple([number for number in map(finite, values) if number is not None])


def short_pattern(text: str) -> str:
    """Shorten a pattern for people: it may have a million entries."""
    return text if len(text) <= _SHORT_PATTERN else f"{text[:_SHORT_PATTERN]}…"


@dataclass(frozen=True)
class Estimate:
    """A median with its 95 % interval, in the unit of its point."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Point:
    """One point of a run: its record, and what the report needs of it."""

    record: Record
    point_id: str
    status: str
    reason: str | None
    pattern: str
    operation: str
    series: Series
    unit: str | None
    samples: tuple[float, ...]
    estimate: Estimate | None
    dram_share: float | None
    dram_mix: Mapping[int, Fraction] = field(default_factory=dict)  # share of each node among DRAM pages
    slow_mix: Mapping[int, Fraction] = field(default_factory=dict)
    ratio: str | None = None
    #: Not asked for: all DRAM, for others to be compared with.
    added: bool = False
    #: What disturbed each sample, and the launch that it is of.
    flags: tuple[tuple[str, ...], ...] = ()
    launch_of: tuple[int, ...] = ()

    @property
    def ok(self) -> bool:
        """True if the point was measured, has numbers, and its placement was proven."""
        return self.status == "ok" and self.estimate is not None and self.dram_share is not None

    @property
    def value(self) -> Estimate:
        """The measured median and interval; only for a point that is `ok`."""
        assert self.estimate is not None
        return self.estimate

    @property
    def share(self) -> float:
        """The DRAM share; only for a point that is `ok`."""
        assert self.dram_share is not None
        return self.dram_share

    @property
    def launches(self) -> int:
        """How many launches measured it."""
        return len((self.record.get("result") or {}).get("launches") or ()) or 1

    @property
    def disturbed(self) -> int:
        """How many samples have a mark."""
        return sum(bool(marks) for marks in self.flags)

    @property
    def why(self) -> str:
        """The reason of a failure on one line."""
        return " ".join((self.reason or "no reason recorded").split())

    @classmethod
    def from_record(cls, record: Record, dram_nodes: Iterable[int]) -> Point:
        """Read one record; missing parts stay empty, they never raise."""
        parameters = dict(record.get("parameters") or {})
        pattern = str(parameters.pop("pattern", ""))
        operation = str(parameters.pop("operation", ""))
        # Older records lack them: all was measured so.
        parameters.setdefault("access", None if is_latency(operation) else "sequential")
        parameters.setdefault("cpu_node", "near")
        result = record.get("result") or {}
        median = finite(result.get("median"))
        estimate = None
        if median is not None:
            low, high = finite(result.get("ci_low")), finite(result.get("ci_high"))
            estimate = Estimate(median, median if low is None else low, median if high is None else high)
        samples = finite_numbers(result.get("samples") or ())
        flags = tuple(map(tuple, (result.get("noise") or {}).get("flags") or ()))
        sizes = [int(launch["n"]) for launch in result.get("launches") or ()] or [len(samples)]
        dram_mix, slow_mix, ratio = _mixes(pattern, frozenset(dram_nodes))
        return cls(
            record=record,
            point_id=str(record.get("point_id", "")),
            status=str(record.get("status", "failed")),
            reason=record.get("reason"),
            pattern=pattern,
            operation=operation,
            series=tuple(sorted(parameters.items())),
            unit=result.get("unit"),
            samples=samples,
            estimate=estimate,
            dram_share=finite(record.get("dram_share")),
            dram_mix=dram_mix,
            slow_mix=slow_mix,
            ratio=ratio,
            added=record.get("added") is True,
            flags=flags if len(flags) == len(samples) else ((),) * len(samples),
            launch_of=tuple([number for number, size in enumerate(sizes) for _ in range(size)]),
        )


# A large run has the same few patterns again and again; nobody changes what is returned.
@lru_cache(maxsize=1024)
def _mixes(
    pattern: str, dram: frozenset[int]
) -> tuple[Mapping[int, Fraction], Mapping[int, Fraction], str | None]:
    try:
        counts = Pattern.parse(pattern).ratio()
    except PatternError:
        return {}, {}, None
    fast = {node: n for node, n in counts.items() if node in dram}
    slow = {node: n for node, n in counts.items() if node not in dram}
    fast_sum, slow_sum = sum(fast.values()), sum(slow.values())
    divisor = math.gcd(fast_sum, slow_sum)
    return (
        {node: Fraction(n, fast_sum) for node, n in fast.items()},
        {node: Fraction(n, slow_sum) for node, n in slow.items()},
        f"{fast_sum // divisor}:{slow_sum // divisor}",
    )
