"""The rows of a page's tables of points: every cell as text."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from hmexp.report.model.predictions import Prediction
from hmexp.report.run.facts import last_look, pages_text, proof_ok
from hmexp.report.run.numbers import MISSING, digits, interval, percent, signed
from hmexp.report.run.point import Point, short_pattern
from hmexp.report.run.wording import say_series
from hmexp.store.evidence import PlacementRecord, Proof


def point_row(point: Point, prediction: Prediction | None, shown: Collection[str]) -> dict[str, Any]:
    """Make the row of a measured point; the parameters in `shown` are named."""
    record = point.record
    proof, last = record.proof or Proof(), last_look(record)
    expected = None if last is None else pages_text(last.expected)
    found = None if last is None else pages_text(last.found)
    error = None if prediction is None else (point.value.median / prediction.value - 1) * 100
    relation = None if record.of_dram is None else record.of_dram.median
    agrees = None if last is None else last.numa_maps_agrees
    return {
        "operation": point.operation,
        "ratio": point.ratio or MISSING,
        "pattern": short_pattern(point.pattern),
        "parameters": say_series(point.series, shown),
        "median": digits(point.value.median, 4),
        "interval": interval(point.value),
        "unit": point.unit or "",
        "samples": len(point.samples),
        "launches": point.launches,
        "disturbed": point.disturbed,
        "added": point.added,
        "of_dram": percent(relation) if relation is not None else MISSING,
        "model": digits(prediction.value, 4) if prediction else MISSING,
        "error": MISSING if prediction is None or prediction.is_endpoint else signed(error),
        "proof": proof_ok(record),
        "modelled": pages_text(record.modelled_pages) or MISSING,
        "found": found or MISSING,
        "expected": "" if expected == found else f"expected {expected or MISSING}",
        "misplaced": _both(proof, lambda look: look.misplaced),
        "absent": _both(proof, lambda look: look.absent),
        "numa_maps": MISSING if agrees is None else "agrees" if agrees else "DISAGREES",
        "setup": digits(None if record.setup is None else record.setup.ns_per_page),
        "emulated": "emulated" if record.emulated else "real",
    }


def failed_row(point: Point) -> dict[str, str]:
    """Make the row of a point that failed or was skipped."""
    last = last_look(point.record)
    return {
        "status": point.status,
        "operation": point.operation or MISSING,
        "ratio": point.ratio or MISSING,
        "pattern": short_pattern(point.pattern) or MISSING,
        "parameters": say_series(point.series, dict(point.series)),
        "error": point.record.error or MISSING,
        "reason": point.reason or "no reason recorded",
        "found": (None if last is None else pages_text(last.found)) or MISSING,
        "point_id": point.point_id,
    }


def _both(proof: Proof, of: Callable[[PlacementRecord], int]) -> str:
    """A count before and after the samples."""
    return " / ".join(MISSING if look is None else f"{of(look):,}" for look in (proof.before, proof.after))
