"""The tables of a run: one row per point, one row per sample."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pandas as pd

from hmexp.report.model.predictions import SOURCE_NAMES, Prediction, predict
from hmexp.report.run.facts import common_facts, pages_text, whole
from hmexp.report.run.point import Point, Record, finite
from hmexp.report.run.raw_samples import RawSamples, array, samples_table
from hmexp.report.run.results import Results
from hmexp.store.files import write_atomically

# Column -> pandas type. Nullable types: what a failed point does not have is empty, never NaN or 0.
POINT_COLUMNS: Final[dict[str, str]] = {
    "point_id": "string", "status": "string", "reason": "string", "pattern": "string", "ratio": "string",
    "dram_share": "Float64", "placer": "string", "granule_bytes": "Int64", "size_bytes": "Int64",
    "page_bytes": "Int64", "threads": "Int64", "operation": "string", "unit": "string", "samples": "Int64",
    "median": "Float64", "ci_low": "Float64", "ci_high": "Float64", "mad": "Float64", "minimum": "Float64",
    "maximum": "Float64", "emulated": "boolean", "profile": "string", "timing_valid": "boolean",
    "proof_ok": "boolean", "pages": "Int64", "pages_expected": "string", "pages_found": "string",
    "modelled_pages": "string", "misplaced_before": "Int64", "misplaced_after": "Int64",
    "absent_pages": "Int64", "numa_maps_agrees": "boolean", "model": "Float64",
    "model_error_percent": "Float64", "setup_ns_per_page": "Float64", "started": "string",
    "elapsed_seconds": "Float64", "launches": "Int64", "interval_over": "string", "stopped": "string",
    "disturbed_samples": "Int64", "huge_share": "Float64", "added_baseline": "boolean",
    "baseline_id": "string", "of_dram": "Float64", "of_dram_low": "Float64", "of_dram_high": "Float64",
    "access": "string", "cpu_node": "string",
}  # fmt: skip
SAMPLE_COLUMNS: Final[dict[str, str]] = {
    "point_id": "string", "pattern": "string", "ratio": "string", "operation": "string", "threads": "Int64",
    "sample": "Int64", "value": "Float64", "unit": "string", "sample_seconds": "Float64",
    "payload_bytes": "Int64", "emulated": "boolean", "timing_valid": "boolean", "launch": "Int64",
    "disturbed": "string",
}  # fmt: skip
NO_MODEL: Final = "no model: the all-DRAM or the all-slow point is missing"
_RESULT_NUMBERS: Final = ("median", "ci_low", "ci_high", "mad", "minimum", "maximum")


def points_frame(records: Iterable[Record], run: Record) -> pd.DataFrame:
    """Make the table of points.

    Parameters
    ----------
    records : iterable of dict
        The last record of each point.
    run : dict
        What `run.json` holds.

    Returns
    -------
    DataFrame
        The columns `POINT_COLUMNS`, in that order. ``attrs["model_source"]`` says in words where the
        column `model` came from.
    """
    return frame_of(Results.from_records(records, run))


def frame_of(results: Results) -> pd.DataFrame:
    """Make the table of points of loaded results; see `points_frame`."""
    predictions = predict(results)
    rows = [_point_row(point, predictions.get(point.point_id)) for point in results.points]
    frame = _frame(rows, POINT_COLUMNS)
    sources = sorted({SOURCE_NAMES[prediction.source] for prediction in predictions.values()})
    frame.attrs["model_source"] = "; ".join(sources) or NO_MODEL
    return frame


def samples_frame(records: Iterable[Record], run: Record) -> pd.DataFrame:
    """Make the table of raw samples, one row each, with the columns `SAMPLE_COLUMNS`."""
    return samples_of(Results.from_records(records, run))


def samples_of(results: Results) -> pd.DataFrame:
    """Make the table of samples of loaded results; see `samples_frame`."""
    samples = [RawSamples.of(point) for point in results.points]
    own: dict[str, Iterator[Iterable[Any]]] = {
        "value": (part.numbers for part in samples),
        "sample_seconds": (part.seconds for part in samples),
        "payload_bytes": (part.payload_bytes for part in samples),
        "launch": (part.launches for part in samples),
        "disturbed": ((None if m is None else " ".join(m) for m in part.marks) for part in samples),
    }
    rows = [common_facts(point) | {"unit": point.unit} for point in results.points]
    return samples_table(rows, samples, own, SAMPLE_COLUMNS)


def write_csv(frame: pd.DataFrame, path: Path) -> Path:
    """Write a table, whole or not at all; what is missing is empty."""
    return write_atomically(path, frame.to_csv(index=False, lineterminator="\n"))


def _frame(rows: list[dict[str, Any]], columns: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame({name: array([row[name] for row in rows], kind) for name, kind in columns.items()})


def _point_row(point: Point, prediction: Prediction | None) -> dict[str, Any]:
    record = point.record
    relation = record.get("of_dram") or {}
    result, setup = record.get("result") or {}, record.get("setup") or {}
    proof = record.get("proof") or {}
    before, after = proof.get("before") or {}, proof.get("after") or {}
    last = after or before
    error = None
    # At an endpoint the model is the measurement: an error of 0 there would say nothing.
    if point.ok and prediction is not None and prediction.value > 0 and not prediction.is_endpoint:
        error = (point.value.median / prediction.value - 1) * 100
    return common_facts(point) | {
        # What the kernel gave; older records have the machine's page in their setup alone.
        "page_bytes": whole(last.get("page_bytes") if "page_bytes" in last else setup.get("page_bytes")),
        "unit": point.unit,
        **{name: finite(result.get(name)) for name in _RESULT_NUMBERS},
        "pages": whole(last.get("pages")),
        "pages_expected": pages_text(last.get("expected")),
        "modelled_pages": pages_text(record.get("modelled_pages")),
        "misplaced_before": whole(before.get("misplaced")),
        "misplaced_after": whole(after.get("misplaced")),
        "numa_maps_agrees": _both(before.get("numa_maps_agrees"), after.get("numa_maps_agrees")),
        "model": None if prediction is None else prediction.value,
        "model_error_percent": error,
        "launches": (len(result.get("launches") or ()) or 1) if result else None,
        "interval_over": (result.get("interval_over") or "samples") if result else None,
        "stopped": _stopped(result),
        "disturbed_samples": point.disturbed if result else None,
        "huge_share": finite(last.get("huge_share")),
        "added_baseline": point.added,
        "baseline_id": record.get("baseline_id"),
        "of_dram": finite(relation.get("median")),
        "of_dram_low": finite(relation.get("ci_low")),
        "of_dram_high": finite(relation.get("ci_high")),
        "access": dict(point.series).get("access"),
        "cpu_node": dict(point.series).get("cpu_node"),
    }


def _stopped(result: Record) -> str | None:
    """Why the launches stopped, such as `precision 4, cap 1`; None if that is not recorded."""
    launches = result.get("launches") or [{"details": result.get("details") or {}}]
    stops = [(launch.get("details") or {}).get("stop") or {} for launch in launches]
    counted = Counter(stop["stopped"] for stop in stops if "stopped" in stop)
    return ", ".join(f"{why} {count}" for why, count in counted.most_common()) or None


def _both(first: Any, second: Any) -> bool | None:
    known = [value for value in (first, second) if isinstance(value, bool)]
    return all(known) if known else None
