"""A program's point as far as a comparison needs it: a reading for each of its metrics."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec
import numpy as np

from hmexp.report.comparison.reading import Reading
from hmexp.report.study.program import find_share
from hmexp.store.program_points import MetricValues, ProgramPoint, ProgramResult
from hmexp.store.records import PointRecord
from hmexp.store.schema import Fact
from hmexp.store.workload_records import WorkloadRecord


def read_program(record: PointRecord, dram_nodes: Iterable[int]) -> tuple[Reading, ...]:
    """Read every metric of a program's point; of one that failed, each without a number."""
    point = record.parameters
    assert isinstance(point, ProgramPoint)
    result = record.result if isinstance(record.result, ProgramResult) else None
    _, ratio = find_share(point, () if result is None else result.launches, dram_nodes)
    given: dict[str, Fact] = {
        "way": point.way,
        "granule_bytes": point.granule_bytes,
        **{f"parameter {name}": value for name, value in point.definition.parameters.items()},
    }
    found = {} if result is None else {metric.name: metric for metric in result.metrics}
    return tuple(
        _read(
            record,
            found.get(metric.name),
            {"operation": f"{point.workload} {metric.name}", "pattern": point.pattern or "none", **given},
            (metric.better, ratio, _digest(point.definition)),
        )
        for metric in point.definition.metrics
    )


def _read(
    record: PointRecord,
    metric: MetricValues | None,
    parameters: dict[str, Fact],
    more: tuple[str, str | None, str],
) -> Reading:
    better, ratio, definition = more
    samples = np.array([] if metric is None else [value for value in metric.samples if value > 0])
    return Reading(
        point_id=record.point_id,
        status=record.status,
        reason="" if record.status == "ok" else " ".join((record.reason or "no reason recorded").split()),
        parameters=parameters,
        ratio=ratio,
        unit=None if metric is None else metric.unit,
        median=metric.median if metric is not None and metric.median > 0 else None,
        samples=samples,
        launches=samples if len(samples) > 1 else samples[:0],
        model=None,
        emulated=record.emulated,
        profile=record.profile,
        timing_valid=record.timing_valid,
        page_bytes=None,
        less_is_better=better == "lower",
        definition=definition,
    )


def _digest(definition: WorkloadRecord) -> str:
    """The same for workloads that do the same, whatever values their parameters have."""
    same = msgspec.structs.replace(definition, parameters={}, title="", about="", packages="", needs=())
    return hashlib.sha256(msgspec.json.encode(same, order="sorted")).hexdigest()[:12]
