"""What hosts are compared by: of a point of any kind, the values that mean the same on every host."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Final, NamedTuple

from hmexp.pattern import Pattern
from hmexp.report.model.needs import name_of
from hmexp.report.study.curves import peak_of
from hmexp.store.details import LoadedDetails
from hmexp.store.parameters import CurvePoint, LoopPoint
from hmexp.store.program_points import ProgramPoint, ProgramResult
from hmexp.store.records import PointRecord
from hmexp.store.results import Measured
from hmexp.units import format_size

_LONGEST_RATIO: Final = 64


class Unit(NamedTuple):
    """What is compared between hosts: one operation on one layout, whatever the nodes' numbers are there.

    Parameters
    ----------
    operation : str
        What is measured: an operation, the metric of a program, or what is read off a curve.
    share : float or None
        Share of the pages on DRAM.
    unit : str
        Of its values: `GB/s` or `ns`, or what the metric of a program has.
    what : str
        The other parameters, for people.
    better : int
        1 where more is better, as of a bandwidth; -1 where less is.
    """

    operation: str
    share: float | None
    unit: str
    what: str
    better: int = 1

    @property
    def ratio(self) -> str:
        """The share as a ratio of DRAM to slow memory."""
        if self.share is None:
            return "?"
        part = Fraction(self.share).limit_denominator(_LONGEST_RATIO)
        return f"{part.numerator}:{part.denominator - part.numerator}"

    def __str__(self) -> str:
        return f"{name_of(self.operation)} at {self.ratio}"


class Value(NamedTuple):
    """What a host has measured of a unit.

    Parameters
    ----------
    unit : Unit
        What it is.
    launches : tuple of float
        The median of each launch [the unit's own].
    kept : float or None
        What is left of the same with all memory on DRAM; where less is better, the inverse of its multiple.
    pattern : str or None
        The pattern of the point.
    """

    unit: Unit
    launches: tuple[float, ...]
    kept: float | None
    pattern: str | None


def values_of(record: PointRecord, dram: Collection[int]) -> tuple[Value, ...]:
    """What a point has for a comparison; nothing if it was not measured, or is of another kind.

    Parameters
    ----------
    record : PointRecord
        The point.
    dram : collection of int
        The nodes of its host that are DRAM.
    """
    point, result = record.parameters, record.result
    found: Iterable[Value] = ()
    if record.status != "ok":
        return ()
    if isinstance(point, LoopPoint) and isinstance(result, Measured):
        found = _of_loop(record, point, result)
    elif isinstance(point, CurvePoint) and isinstance(result, Measured):
        found = _of_curve(point, result, dram)
    elif isinstance(point, ProgramPoint) and isinstance(result, ProgramResult):
        found = _of_program(record, point, result)
    return tuple(
        each
        for each in found
        if each.launches and all(math.isfinite(value) and value > 0 for value in each.launches)
    )


def gather(values: Iterable[Value]) -> Mapping[Unit, Value]:
    """The values of a host by their unit; patterns tell those apart that would be the same unit."""
    by_unit: dict[Unit, list[Value]] = {}
    for value in values:
        by_unit.setdefault(value.unit, []).append(value)
    return {
        unit if len(same) == 1 else unit._replace(what=f"{unit.what}, pattern {value.pattern}"): value
        for unit, same in by_unit.items()
        for value in same
    }


def _of_loop(record: PointRecord, point: LoopPoint, result: Measured) -> Iterator[Value]:
    medians = tuple(launch.median for launch in result.launches) or (result.median,)
    what = _say_region(
        point.size_bytes, point.granule_bytes, point.page_bytes, point.placer, point.access, point.threads,
        point.cpu_node,
    )  # fmt: skip
    better = -1 if result.unit == "ns" else 1
    unit = Unit(point.operation, record.dram_share, result.unit, what, better)
    yield Value(unit, medians, _kept(record, better), point.pattern)


def _of_curve(point: CurvePoint, result: Measured, dram: Collection[int]) -> Iterator[Value]:
    """The most that a curve carries, and its latency without a load."""
    every = [launch.details for launch in result.launches] or [result.details]
    launches = [details for details in every if isinstance(details, LoadedDetails) and details.curve]
    share = Pattern.parse(point.pattern).share(dram)
    what = f"{point.read_percent:g} % reads, {point.stores} stores, {format_size(point.size_bytes)}"
    peaks = tuple(map(peak_of, launches))
    idle = tuple(rate.median for each in launches for rate in each.curve if rate.delay_ns is None)
    yield Value(Unit("peak bandwidth", share, "GB/s", what), peaks, None, point.pattern)
    yield Value(Unit("idle latency", share, "ns", what, -1), idle, None, point.pattern)


def _of_program(record: PointRecord, point: ProgramPoint, result: ProgramResult) -> Iterator[Value]:
    """Every metric; of its multiple of all DRAM's the record has that of the first, which decides."""
    for number, metric in enumerate(result.metrics):
        better = 1 if metric.better == "higher" else -1
        unit = Unit(metric.name, record.dram_share, metric.unit, f"{point.workload} by {point.way}", better)
        yield Value(unit, metric.samples, None if number else _kept(record, better), point.pattern)


def _kept(record: PointRecord, better: int) -> float | None:
    if record.of_dram is None:
        return None
    multiple = record.of_dram.median
    return 1 / multiple if better < 0 and multiple > 0 else multiple


# A large fleet has the same few again and again.
@lru_cache(maxsize=4096)
def _say_region(
    size: int, granule: int, page: int | None, placer: str, access: str | None, threads: int, cpu_node: str
) -> str:
    words = [format_size(size), f"granule {format_size(granule)}"]
    if page is not None and page != granule:
        words.append(f"{format_size(page)} pages")
    words += [placer, *([access] if access else []), f"{threads} thread{'s'[: threads != 1]}"]
    if cpu_node != "near":
        words.append(f"CPUs of node {cpu_node}")
    return ", ".join(words)
