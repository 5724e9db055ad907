"""A point as the report sees it: its record, and what the report needs of it; nothing averaged."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, lru_cache
from operator import attrgetter
from typing import Final

from hmexp.errors import PatternError
from hmexp.measure.statistics import ABSURD
from hmexp.pattern import Pattern
from hmexp.report.run.wording import Series
from hmexp.store.parameters import LoopPoint
from hmexp.store.records import PointRecord
from hmexp.store.results import Measured

_SHORT_PATTERN: Final = 28


def short_pattern(text: str) -> str:
    """Shorten a pattern for people: it may have a million entries."""
    return text if len(text) <= _SHORT_PATTERN else f"{text[:_SHORT_PATTERN]}…"


@dataclass(frozen=True)
class Estimate:
    """A median with its 95 % interval, in the unit of its point; from 0 to infinity if nothing is known."""

    median: float
    low: float
    high: float

    @property
    def says_nothing(self) -> bool:
        """Whether there were too few launches to say anything: the interval spans a factor of nine."""
        return self.high > ABSURD * self.low

    @property
    def shown(self) -> tuple[float, float]:
        """What of the interval is drawn: nothing of one that says nothing."""
        return (self.median, self.median) if self.says_nothing else (self.low, self.high)


@dataclass(frozen=True)
class Point:
    """One point of a run: its record, and what the report needs of it."""

    record: PointRecord
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
    #: What was measured, if it was.
    result: Measured | None = None

    @property
    def loop(self) -> LoopPoint | None:
        """What was asked for, if it is a point of a sweep."""
        return self.record.parameters if isinstance(self.record.parameters, LoopPoint) else None

    @property
    def threads(self) -> int | None:
        """How many threads measured."""
        return None if self.loop is None else self.loop.threads

    @cached_property
    def flags(self) -> tuple[tuple[str, ...], ...]:
        """What disturbed each sample."""
        return _flags(self.result)

    @property
    def launch_of(self) -> tuple[int, ...]:
        """The launch that each sample is of."""
        return _launch_of(self.result)

    @property
    def page_bytes(self) -> int | None:
        """Size of the pages that the kernel gave; None if mixed or unknown [bytes]."""
        details = None if self.result is None else self.result.details
        found = None if details is None else details.page_bytes
        # Older records have the machine's page in their setup alone.
        return found or (None if self.record.setup is None else self.record.setup.page_bytes)

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
        return (len(self.result.launches) if self.result is not None else 0) or 1

    @property
    def disturbed(self) -> int:
        """How many samples have a mark."""
        return len(self.flags) - self.flags.count(())

    @property
    def why(self) -> str:
        """The reason of a failure on one line."""
        return " ".join((self.reason or "no reason recorded").split())

    @classmethod
    def from_record(
        cls, record: PointRecord, dram_nodes: Iterable[int], known: dict[Series, Series] | None = None
    ) -> Point:
        """See one record; of other kinds than a sweep's there is nothing to see but how it ended.

        Parameters
        ----------
        record : PointRecord
            The record.
        dram_nodes : iterable of int
            The run's DRAM nodes.
        known : dict, optional
            The series of the points before it: points of the same series then share one object.
        """
        given = record.parameters
        pattern, operation = "", record.kind
        series: Series = ()
        if isinstance(given, LoopPoint):
            pattern, operation, series = given.pattern, given.operation, _series(given)
            series = series if known is None else known.setdefault(series, series)
        result = record.result if isinstance(record.result, Measured) else None
        dram_mix, slow_mix, ratio = _mixes(pattern, frozenset(dram_nodes))
        return cls(
            record=record,
            point_id=record.point_id,
            status=record.status,
            reason=record.reason,
            pattern=pattern,
            operation=operation,
            series=series,
            unit=None if result is None else result.unit,
            samples=() if result is None else result.samples,
            estimate=_estimate(result),
            dram_share=record.dram_share,
            dram_mix=dram_mix,
            slow_mix=slow_mix,
            ratio=ratio,
            added=record.added,
            result=result,
        )


#: What may differ between points that are compared with each other, in the order of the names.
_SERIES: Final = tuple(sorted(set(LoopPoint.__struct_fields__) - {"pattern", "operation"}))
_VALUES: Final = attrgetter(*_SERIES)


def _series(given: LoopPoint) -> Series:
    found = tuple(zip(_SERIES, _VALUES(given), strict=True))
    if given.page_bytes is not None:
        return found
    return tuple(pair for pair in found if pair[0] != "page_bytes")  # an older record, which does not say


def _estimate(result: Measured | None) -> Estimate | None:
    if result is None:
        return None
    low, high = result.ci_low, result.ci_high
    if low is None or high is None:
        return Estimate(result.median, 0.0, math.inf)
    return Estimate(result.median, low, high)


def _flags(result: Measured | None) -> tuple[tuple[str, ...], ...]:
    if result is None:
        return ()
    flags = () if result.noise is None else result.noise.flags
    return flags if len(flags) == len(result.samples) else ((),) * len(result.samples)


def _launch_of(result: Measured | None) -> tuple[int, ...]:
    if result is None:
        return ()
    sizes = [launch.n for launch in result.launches]
    if sum(sizes) != len(result.samples):
        sizes = [len(result.samples)]  # one launch, or a record that does not say
    return tuple([number for number, size in enumerate(sizes) for _ in range(size)])


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
