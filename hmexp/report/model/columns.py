"""The one list of columns that `points.csv`, `samples.csv`, `hmexp.load` and a report's tables have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import pandas as pd

from hmexp.report.model.predictions import Prediction
from hmexp.report.run.facts import last_look, pages_text, proof_ok, why_stopped
from hmexp.report.run.point import Point
from hmexp.store.evidence import PlacementRecord
from hmexp.store.results import Measured

Cell = str | int | float | bool | None
_UNITS: Final = {"GB/s": "gbps", "ns": "ns"}


@dataclass(frozen=True)
class Column:
    """A column of the table of points.

    Parameters
    ----------
    name : str
        With its unit, where it has one.
    dtype : str
        Of pandas; nullable, so that what a point does not have is empty, never NaN or 0.
    meaning : str
        For people.
    read : callable
        Its cell for a point and its prediction.
    """

    name: str
    dtype: str
    meaning: str
    read: Callable[[Point, Prediction | None], Cell]


def _parameter(name: str) -> Callable[[Point, Prediction | None], Cell]:
    return lambda point, _: dict(point.series).get(name)


def _number(name: str, unit: str | None = None) -> Callable[[Point, Prediction | None], Cell]:
    def read(point: Point, _: Prediction | None) -> Cell:
        result = point.result
        if result is None or (unit is not None and result.unit != unit):
            return None
        value: float | None = getattr(result, name)
        return value

    return read


def _measured(of: Callable[[Point, Measured], Cell]) -> Callable[[Point, Prediction | None], Cell]:
    return lambda point, _: None if point.result is None else of(point, point.result)


def _look(of: Callable[[PlacementRecord], Cell]) -> Callable[[Point, Prediction | None], Cell]:
    def read(point: Point, _: Prediction | None) -> Cell:
        look = last_look(point.record)
        return None if look is None else of(look)

    return read


def _misplaced(when: str) -> Callable[[Point, Prediction | None], Cell]:
    def read(point: Point, _: Prediction | None) -> Cell:
        look: PlacementRecord | None = getattr(point.record.proof, when, None)
        return None if look is None else look.misplaced

    return read


def _agrees(point: Point, _: Prediction | None) -> Cell:
    proof = point.record.proof
    looks = [] if proof is None else [look for look in (proof.before, proof.after) if look is not None]
    return all(look.numa_maps_agrees for look in looks) if looks else None


def _model(unit: str | None = None) -> Callable[[Point, Prediction | None], Cell]:
    return lambda point, found: (
        None if found is None or (unit is not None and point.unit != unit) else found.value
    )


def _model_error(point: Point, prediction: Prediction | None) -> Cell:
    # At an endpoint the model is the measurement: an error of 0 there would say nothing.
    if not point.ok or prediction is None or prediction.value <= 0 or prediction.is_endpoint:
        return None
    return (point.value.median / prediction.value - 1) * 100


def _of_dram(name: str) -> Callable[[Point, Prediction | None], Cell]:
    def read(point: Point, _: Prediction | None) -> Cell:
        value: float | None = getattr(point.record.of_dram, name, None)
        return value

    return read


_NUMBERS: Final = {
    "median": "median of the samples, or of the launches' medians",
    "ci_low": "lower end of its 95 % interval",
    "ci_high": "upper end",
    "mad": "median absolute deviation of the samples, not scaled",
    "minimum": "of the samples",
    "maximum": "of the samples",
}
#: In the order in which they stand in the tables.
POINT_COLUMNS: Final[tuple[Column, ...]] = (
    Column("point_id", "string", "hash of the parameters", lambda p, _: p.point_id),
    Column("status", "string", "`ok`, `failed` or `skipped`", lambda p, _: p.status),
    Column("reason", "string", "why it is not `ok`", lambda p, _: p.reason),
    Column("pattern", "string", "nodes in order", lambda p, _: p.pattern),
    Column("ratio", "string", "DRAM:slow", lambda p, _: p.ratio),
    Column("dram_share", "Float64", "share of the pages on DRAM nodes", lambda p, _: p.dram_share),
    Column("placer", "string", "how the pages got there", _parameter("placer")),
    Column("granule_bytes", "Int64", "bytes in a row from one entry", _parameter("granule_bytes")),
    Column("size_bytes", "Int64", "of the region", _parameter("size_bytes")),
    Column("page_bytes", "Int64", "of the pages that the kernel gave", lambda p, _: p.page_bytes),
    Column("threads", "Int64", "that measured", _parameter("threads")),
    Column("operation", "string", "what was measured", lambda p, _: p.operation),
    Column("access", "string", "order of the accesses", _parameter("access")),
    Column("cpu_node", "string", "node on whose CPUs the threads ran", _parameter("cpu_node")),
    Column("sample_seconds", "Float64", "shortest time of a sample", _parameter("sample_seconds")),
    Column("precision", "Float64", "at which a launch stops; 0: it does not", _parameter("precision")),
    Column("most_samples", "Int64", "cap on the samples of a launch", _parameter("most_samples")),
    Column("emulate", "string", "`NODE=PROFILE` that was asked for", _parameter("emulate")),
    Column("unit", "string", "of median to maximum, and of the model", lambda p, _: p.unit),
    # How many there are, not how many were asked for.
    Column("samples", "Int64", "samples that were taken", _measured(lambda _, r: len(r.samples))),
    *(Column(name, "Float64", meaning, _number(name)) for name, meaning in _NUMBERS.items()),
    *(
        Column(f"{name}_{suffix}", "Float64", f"{meaning} [{unit}]", _number(name, unit))
        for unit, suffix in _UNITS.items()
        for name, meaning in _NUMBERS.items()
    ),
    Column("emulated", "boolean", "a speed is a software model's", lambda p, _: p.record.emulated),
    Column("profile", "string", "emulation profile", lambda p, _: p.record.profile),
    Column("timing_valid", "boolean", "whether times mean anything", lambda p, _: p.record.timing_valid),
    Column("proof_ok", "boolean", "every page in place around each launch", lambda p, _: proof_ok(p.record)),
    Column("pages", "Int64", "in the region", _look(lambda look: look.pages)),
    Column("pages_expected", "string", "per real node, asked for", _look(lambda k: pages_text(k.expected))),
    Column("pages_found", "string", "per real node, page by page", _look(lambda k: pages_text(k.found))),
    Column(
        "modelled_pages", "string", "per node of the pattern",
        lambda p, _: pages_text(p.record.modelled_pages),
    ),
    Column("misplaced_pages", "Int64", "on a wrong node, at the last look", _look(lambda k: k.misplaced)),
    Column("misplaced_before", "Int64", "on a wrong node before the samples", _misplaced("before")),
    Column("misplaced_after", "Int64", "on a wrong node after the samples", _misplaced("after")),
    Column("absent_pages", "Int64", "on no node", _look(lambda k: k.absent)),
    Column("numa_maps_agrees", "boolean", "both witnesses count the same", _agrees),
    Column("model", "Float64", "what the model says [unit]", _model()),
    *(
        Column(f"model_{suffix}", "Float64", f"what the model says [{unit}]", _model(unit))
        for unit, suffix in _UNITS.items()
    ),
    Column("model_error_percent", "Float64", "median over model, less 100 %", _model_error),
    Column(
        "setup_ns_per_page", "Float64", "time to place a page",
        lambda p, _: None if p.record.setup is None else p.record.setup.ns_per_page,
    ),
    Column("started", "string", "UTC", lambda p, _: p.record.started or None),
    Column("elapsed_seconds", "Float64", "of all launches", lambda p, _: p.record.elapsed_seconds),
    Column("launches", "Int64", "fresh processes", _measured(lambda p, _: p.launches)),
    Column("interval_over", "string", "`launches` or `samples`", _measured(lambda _, r: r.interval_over)),
    Column("stopped", "string", "why the launches stopped", lambda p, _: why_stopped(p)),
    Column("disturbed_samples", "Int64", "samples with a mark", _measured(lambda p, _: p.disturbed)),
    Column("huge_share", "Float64", "part of the region in huge pages", _look(lambda k: k.huge_share)),
    Column("added_baseline", "boolean", "all DRAM, not asked for", lambda p, _: p.added),
    Column("baseline_id", "string", "the all-DRAM point beside it", lambda p, _: p.record.baseline_id),
    Column("of_dram", "Float64", "multiple of that point", _of_dram("median")),
    Column("of_dram_low", "Float64", "lower end of its interval", _of_dram("ci_low")),
    Column("of_dram_high", "Float64", "upper end", _of_dram("ci_high")),
)  # fmt: skip
SAMPLE_COLUMNS: Final[Mapping[str, str]] = {
    "point_id": "string", "pattern": "string", "ratio": "string", "operation": "string",
    "dram_share": "Float64", "threads": "Int64", "launch": "Int64", "sample": "Int64",
    "value": "Float64", "unit": "string", "bandwidth_gbps": "Float64", "latency_ns": "Float64",
    "sample_seconds": "Float64", "payload_bytes": "Int64", "disturbed": "boolean", "disturbances": "string",
    "emulated": "boolean", "timing_valid": "boolean",
}  # fmt: skip


def points_table(
    points: Sequence[Point], predictions: Mapping[str, Prediction], first: Mapping[str, Sequence[str]]
) -> pd.DataFrame:
    """Make a table with a row for each point.

    Parameters
    ----------
    points : sequence of Point
        One for each row.
    predictions : mapping of str to Prediction
        By the id of a point.
    first : mapping of str to sequence of str
        Columns to put before the others: a value for each row.
    """
    beside = [predictions.get(point.point_id) for point in points]
    columns: dict[str, Any] = {name: array(values, "string") for name, values in first.items()}
    for column in POINT_COLUMNS:
        cells = [column.read(point, found) for point, found in zip(points, beside, strict=True)]
        columns[column.name] = array(cells, column.dtype)
    return pd.DataFrame(columns)


def samples_table(points: Sequence[Point], first: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Make a table with a row for each raw sample; `first` as for `points_table`, a value for each point."""
    lengths = [len(point.samples) for point in points]
    own: dict[str, Iterable[Iterable[Any]]] = {
        "launch": (point.launch_of for point in points),
        "sample": (range(length) for length in lengths),
        "value": (point.samples for point in points),
        "bandwidth_gbps": (_of_unit(point, "GB/s") for point in points),
        "latency_ns": (_of_unit(point, "ns") for point in points),
        "sample_seconds": (_filled(point, "sample_seconds") for point in points),
        "payload_bytes": (_filled(point, "payload_bytes") for point in points),
        "disturbed": (map(bool, point.flags) for point in points),
        "disturbances": (map(" ".join, point.flags) for point in points),
    }
    shared: dict[str, Callable[[Point], Cell]] = {
        "point_id": lambda p: p.point_id, "pattern": lambda p: p.pattern, "ratio": lambda p: p.ratio,
        "operation": lambda p: p.operation, "dram_share": lambda p: p.dram_share,
        "threads": lambda p: dict(p.series).get("threads"), "unit": lambda p: p.unit,
        "emulated": lambda p: p.record.emulated, "timing_valid": lambda p: p.record.timing_valid,
    }  # fmt: skip
    columns: dict[str, Any] = {}
    for name, values in first.items():
        columns[name] = pd.Series(array(values, "string")).repeat(lengths).array
    for name, dtype in SAMPLE_COLUMNS.items():
        if name in own:
            columns[name] = array(list(chain.from_iterable(own[name])), dtype)
        else:
            # Not row by row: the same value many times over.
            columns[name] = pd.Series(array([shared[name](p) for p in points], dtype)).repeat(lengths).array
    return pd.DataFrame(columns)


def array(values: Sequence[Any], dtype: str) -> Any:
    """Make a column of a pandas type; None is what is missing."""
    return pd.array(values, dtype=dtype)  # type: ignore[call-overload]


def _of_unit(point: Point, unit: str) -> Iterable[float | None]:
    return point.samples if point.unit == unit else [None] * len(point.samples)


def _filled(point: Point, name: str) -> list[float | None]:
    """What each sample has of its own; None where an older record does not say."""
    known: Sequence[float] = () if point.result is None else getattr(point.result, name)
    return [*known[: len(point.samples)], *[None] * (len(point.samples) - len(known))]
