"""How long launches of a sweep take: from those that a run has, or from tiny ones made to find out."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from hmexp.errors import SweepError
from hmexp.experiment.launcher import launch
from hmexp.experiment.pace import Span
from hmexp.measure.quantity import is_latency, is_loaded
from hmexp.native import PAGE_BYTES
from hmexp.store.parameters import LoopPoint
from hmexp.store.records import PointRecord
from hmexp.sweep.plan import SweepPlan
from hmexp.sweep.point import SweepPoint
from hmexp.units import MIB

_SMALL_BYTES: Final = 1 * MIB
_LARGE_BYTES: Final = 32 * MIB
#: Pauses of a curve of loaded latency, and its samples and seconds at each, at most.
_CURVE_SECONDS: Final = 24 * 5 * 0.02
#: What a probe does not know: emulated and slow nodes fill slower, a busy machine does all slower.
_UNKNOWN: Final = 1.6


@dataclass(frozen=True)
class Pace:
    """How long a launch takes on this machine.

    Parameters
    ----------
    start_seconds : float
        Of a fresh process: its start and imports [s].
    stream_seconds_per_byte, chase_seconds_per_byte : float
        To place, prove and prepare a region, for bandwidth and for latency [s/byte].
    known : mapping of (str, int) to tuple of float
        What launches of an operation and size took, inside of the process [s].
    """

    start_seconds: float
    stream_seconds_per_byte: float
    chase_seconds_per_byte: float
    known: Mapping[tuple[str, int], tuple[float, ...]]

    def of(self, point: SweepPoint) -> Span:
        """The time of one launch of a point."""
        known = self.known.get((point.operation, point.size_bytes))
        if known:
            return Span(min(known) + self.start_seconds, max(known) + self.start_seconds)
        rate = self.chase_seconds_per_byte if is_latency(point.operation) else self.stream_seconds_per_byte
        fixed = self.start_seconds + rate * point.size_bytes
        if is_loaded(point.operation):
            return Span(fixed, (fixed + _CURVE_SECONDS) * _UNKNOWN)
        most = (point.most_samples or 2 * point.samples) if point.precision else point.samples
        return Span(
            fixed + point.samples * point.sample_seconds, (fixed + most * point.sample_seconds) * _UNKNOWN
        )

    def with_records(self, records: Iterable[PointRecord]) -> Pace:
        """The same, knowing what the launches of these points took."""
        known: dict[tuple[str, int], list[float]] = {}
        for record in records:
            given = record.parameters
            if record.status != "ok" or not isinstance(given, LoopPoint):
                continue
            taken = [launch.elapsed_seconds for launch in record.launches] or [record.elapsed_seconds]
            known.setdefault((given.operation, given.size_bytes), []).append(statistics.median(taken))
        return replace(self, known={key: tuple(values) for key, values in known.items()})


def find_pace(plan: SweepPlan) -> Pace:
    """Make three tiny launches on DRAM, and see how long they take: two or three seconds.

    Raises
    ------
    SweepError
        If they could not be measured.
    """
    first = replace(
        plan.points[0], pattern=str(plan.backing_node), placer="first_touch", emulate=None, threads=1,
        operation="read", samples=1, sample_seconds=0.001, precision=0.0, most_samples=None, launches=1,
        access=None, size_bytes=_SMALL_BYTES, granule_bytes=PAGE_BYTES, page_bytes=PAGE_BYTES,
    )  # fmt: skip
    cpus = plan.cpus_of(replace(first, operation="latency"))[:1]
    large = replace(first, size_bytes=_LARGE_BYTES)

    def take(point: SweepPoint) -> tuple[float, float]:
        started = time.monotonic()
        task = msgspec.structs.replace(plan.task(point, None, 0), dram_nodes=(plan.backing_node,), cpus=cpus)
        record = launch(task, plan.parameters.timeout_seconds)
        if record.status != "ok":
            raise SweepError(f"the time could not be estimated: a tiny launch failed: {record.reason}")
        return time.monotonic() - started, record.elapsed_seconds

    wall, inside = take(first)
    per_byte = [max(take(point)[1] - inside, 0.0) / (_LARGE_BYTES - first.size_bytes)
                for point in (large, replace(large, operation="latency"))]  # fmt: skip
    return Pace(wall - inside, per_byte[0], per_byte[1], {})
