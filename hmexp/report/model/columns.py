"""The one list of columns that `points.csv`, `hmexp.load` and a report's tables have."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from hmexp.report.model.predictions import Prediction
from hmexp.report.run.facts import last_look, pages_text, proof_ok, why_stopped
from hmexp.report.run.point import Point
from hmexp.store.details import BandwidthDetails
from hmexp.store.evidence import PlacementRecord, Proof
from hmexp.store.parameters import LoopPoint
from hmexp.store.parts import Multiple
from hmexp.store.records import PointRecord
from hmexp.store.results import Measured

if TYPE_CHECKING:
    import pandas as pd

Cell = str | int | float | bool | None
_UNITS: Final = {"GB/s": "gbps", "ns": "ns"}


class _Part:
    """A part of a record of which some attributes, or all, are missing: those are None."""

    def __init__(self, part: object = None) -> None:
        self._part = part

    def __getattr__(self, name: str) -> Any:
        return getattr(self._part, name, None)


_NOTHING: Final = _Part()


@dataclass(frozen=True, slots=True)
class Seen:
    """A point with what its columns read, found once for all of them; what is missing has only None."""

    point: Point
    record: PointRecord
    given: LoopPoint | _Part
    result: Measured | _Part
    gbps: Measured | _Part
    ns: Measured | _Part
    look: PlacementRecord | _Part
    before: PlacementRecord | _Part
    after: PlacementRecord | _Part
    of_dram: Multiple | _Part
    prediction: Prediction | None

    @classmethod
    def of(cls, point: Point, prediction: Prediction | None) -> Seen:
        """See a point and its prediction."""
        record, result = point.record, point.result or _NOTHING
        proof = record.proof or Proof()
        return cls(
            point=point,
            record=record,
            given=point.loop or _Part(record.parameters),
            result=result,
            gbps=result if point.unit == "GB/s" else _NOTHING,
            ns=result if point.unit == "ns" else _NOTHING,
            look=last_look(record) or _NOTHING,
            before=proof.before or _NOTHING,
            after=proof.after or _NOTHING,
            of_dram=record.of_dram or _NOTHING,
            prediction=prediction,
        )


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
        Its cell for a point.
    """

    name: str
    dtype: str
    meaning: str
    read: Callable[[Seen], Cell]


def _measured(of: Callable[[Point, Measured], Cell]) -> Callable[[Seen], Cell]:
    return lambda seen: None if seen.point.result is None else of(seen.point, seen.point.result)


def _pages(name: str) -> Callable[[Seen], Cell]:
    return lambda seen: pages_text(getattr(seen.look, name))


def _walk(name: str) -> Callable[[Seen], Cell]:
    def read(seen: Seen) -> Cell:
        details = seen.point.result and seen.point.result.details
        return getattr(details, name) if isinstance(details, BandwidthDetails) else None

    return read


def _agrees(seen: Seen) -> Cell:
    proof = seen.record.proof
    looks = [] if proof is None else [look for look in (proof.before, proof.after) if look is not None]
    return all(look.numa_maps_agrees for look in looks) if looks else None


def _model(unit: str | None = None) -> Callable[[Seen], Cell]:
    def read(seen: Seen) -> Cell:
        found = seen.prediction
        return None if found is None or (unit is not None and seen.point.unit != unit) else found.value

    return read


def _model_error(seen: Seen) -> Cell:
    point, prediction = seen.point, seen.prediction
    # At an endpoint the model is the measurement: an error of 0 there would say nothing.
    if not point.ok or prediction is None or prediction.value <= 0 or prediction.is_endpoint:
        return None
    return (point.value.median / prediction.value - 1) * 100


_NUMBERS: Final = {
    "median": "median of the samples, or of the launches' medians",
    "ci_low": "lower end of its 95 % interval",
    "ci_high": "upper end of its 95 % interval",
    "mad": "median absolute deviation of the samples, not scaled",
    "minimum": "smallest sample",
    "maximum": "largest sample",
}
#: In the order in which they stand in the tables.
POINT_COLUMNS: Final[tuple[Column, ...]] = (
    Column("point_id", "string", "hash of the parameters", attrgetter("point.point_id")),
    Column("status", "string", "`ok`, `failed` or `skipped`", attrgetter("point.status")),
    Column("reason", "string", "why it is not `ok`", attrgetter("point.reason")),
    Column("pattern", "string", "the pattern: nodes in order", attrgetter("point.pattern")),
    Column("ratio", "string", "DRAM:slow, reduced", attrgetter("point.ratio")),
    Column("dram_share", "Float64", "share of the pages on DRAM nodes", attrgetter("point.dram_share")),
    Column("placer", "string", "how the pages got there", attrgetter("given.placer")),
    Column("granule_bytes", "Int64", "bytes in a row from one entry", attrgetter("given.granule_bytes")),
    Column("size_bytes", "Int64", "size of the region", attrgetter("given.size_bytes")),
    Column("page_bytes", "Int64", "size of the pages used", attrgetter("point.page_bytes")),
    Column("frame_run_pages", "Float64", "pages with frames in a row", attrgetter("look.frame_run_pages")),
    Column("threads", "Int64", "threads that measured", attrgetter("given.threads")),
    Column("operation", "string", "what was measured", attrgetter("point.operation")),
    Column("access", "string", "order of the accesses", attrgetter("given.access")),
    Column("shape", "string", "how the loop of a bandwidth walked", _walk("shape")),
    Column("vector_bits", "Int64", "width of its loads and stores", _walk("vector_bits")),
    Column("cpu_node", "string", "node on whose CPUs the threads ran", attrgetter("given.cpu_node")),
    Column("sample_seconds", "Float64", "shortest time of a sample [s]", attrgetter("given.sample_seconds")),
    Column("precision", "Float64", "half width at which a launch stops, or 0", attrgetter("given.precision")),
    Column("most_samples", "Int64", "cap on the samples of a launch", attrgetter("given.most_samples")),
    Column("emulate", "string", "`NODE=PROFILE` that was asked for", attrgetter("given.emulate")),
    Column("unit", "string", "of `median` to `maximum`, and of `model`", attrgetter("point.unit")),
    # How many there are, not how many were asked for.
    Column("samples", "Int64", "samples that were taken", _measured(lambda _, r: len(r.samples))),
    *(Column(name, "Float64", meaning, attrgetter(f"result.{name}")) for name, meaning in _NUMBERS.items()),
    *(
        Column(f"{name}_{suffix}", "Float64", f"{meaning} [{unit}]", attrgetter(f"{suffix}.{name}"))
        for unit, suffix in _UNITS.items()
        for name, meaning in _NUMBERS.items()
    ),
    Column("emulated", "boolean", "whether a speed is a software model's", attrgetter("record.emulated")),
    Column("profile", "string", "name of the emulation profile", attrgetter("record.profile")),
    Column("timing_valid", "boolean", "whether times mean anything", attrgetter("record.timing_valid")),
    Column("proof_ok", "boolean", "whether every page was in place", lambda s: proof_ok(s.record)),
    Column("pages", "Int64", "pages in the region", attrgetter("look.pages")),
    Column("pages_expected", "string", "pages asked, per real node", _pages("expected")),
    Column("pages_found", "string", "pages found, per real node", _pages("found")),
    Column(
        "modelled_pages", "string", "pages per node of the pattern",
        lambda s: pages_text(s.record.modelled_pages),
    ),
    Column("misplaced_pages", "Int64", "pages on a wrong node, lastly", attrgetter("look.misplaced")),
    Column("misplaced_before", "Int64", "pages misplaced before the samples", attrgetter("before.misplaced")),
    Column("misplaced_after", "Int64", "pages misplaced after the samples", attrgetter("after.misplaced")),
    Column("absent_pages", "Int64", "pages on no node", attrgetter("look.absent")),
    Column("numa_maps_agrees", "boolean", "whether both witnesses agree", _agrees),
    Column("model", "Float64", "what the model says [unit]", _model()),
    *(
        Column(f"model_{suffix}", "Float64", f"what the model says [{unit}]", _model(unit))
        for unit, suffix in _UNITS.items()
    ),
    Column("model_error_percent", "Float64", "how far the median is from the model", _model_error),
    Column(
        "setup_ns_per_page", "Float64", "time to place a page [ns]",
        lambda s: None if s.record.setup is None else s.record.setup.ns_per_page,
    ),
    Column("started", "string", "when it began, UTC", lambda s: s.record.started or None),
    Column("elapsed_seconds", "Float64", "of all launches [s]", lambda s: s.record.elapsed_seconds or None),
    Column("launches", "Int64", "number of fresh processes", _measured(lambda p, _: p.launches)),
    Column("interval_over", "string", "`launches` or `samples`", attrgetter("result.interval_over")),
    Column("stopped", "string", "why the launches stopped", lambda s: why_stopped(s.point)),
    Column("disturbed_samples", "Int64", "samples that were disturbed", _measured(lambda p, _: p.disturbed)),
    Column("huge_share", "Float64", "share of the region in huge pages", attrgetter("look.huge_share")),
    Column("added_baseline", "boolean", "whether it was added to compare with", attrgetter("point.added")),
    Column("baseline_id", "string", "its all-DRAM point", attrgetter("record.baseline_id")),
    Column("of_dram", "Float64", "median, as a multiple of its", attrgetter("of_dram.median")),
    Column("of_dram_low", "Float64", "lower end of its 95 % interval", attrgetter("of_dram.ci_low")),
    Column("of_dram_high", "Float64", "upper end of its 95 % interval", attrgetter("of_dram.ci_high")),
)  # fmt: skip


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
    import pandas as pd  # late: a report needs no frame, and importing it takes half a second

    cells = points_cells(points, predictions)
    columns: dict[str, Any] = {name: array(values, "string") for name, values in first.items()}
    columns |= {column.name: array(cells[column.name], column.dtype) for column in POINT_COLUMNS}
    return pd.DataFrame(columns)


def points_cells(points: Sequence[Point], predictions: Mapping[str, Prediction]) -> dict[str, Sequence[Cell]]:
    """Read the cells of the table of points: for each column a cell of each point."""
    seen = [Seen.of(point, predictions.get(point.point_id)) for point in points]
    return {column.name: list(map(column.read, seen)) for column in POINT_COLUMNS}


def array(values: Sequence[Any], dtype: str) -> Any:
    """Make a column of a pandas type; None is what is missing."""
    import pandas as pd  # late: a report needs no frame, and importing it takes half a second

    return pd.array(values, dtype=dtype)  # type: ignore[call-overload]
