"""Facts of a record that every table has, each as a value or as nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hmexp.report.run.point import Point, Record, finite


def common_facts(point: Point) -> dict[str, Any]:
    """The cells of a point that all tables of points share, by the column's name."""
    record = point.record
    result, setup, proof = (record.get(part) or {} for part in ("result", "setup", "proof"))
    last = proof.get("after") or proof.get("before") or {}
    parameters = dict(point.series)
    return {
        "point_id": point.point_id,
        "status": point.status,
        "reason": point.reason,
        "operation": point.operation,
        "pattern": point.pattern,
        "ratio": point.ratio,
        "dram_share": point.dram_share,
        "placer": parameters.get("placer"),
        "granule_bytes": whole(parameters.get("granule_bytes")),
        "size_bytes": whole(parameters.get("size_bytes")),
        "threads": whole(parameters.get("threads")),
        # How many there are, not how many were asked for.
        "samples": len(point.samples) if result else None,
        "emulated": truth(record.get("emulated")),
        "profile": record.get("profile"),
        "timing_valid": truth(record.get("timing_valid")),
        "proof_ok": proof_ok(record),
        "pages_found": pages_text(last.get("found")),
        "absent_pages": whole(last.get("absent")),
        "setup_ns_per_page": finite(setup.get("ns_per_page")),
        "started": record.get("started"),
        "elapsed_seconds": finite(record.get("elapsed_seconds")),
    }


def proof_ok(record: Record) -> bool | None:
    """True if every page was in its place before and after each launch; None if that was not looked at."""
    proofs = [launch.get("proof") for launch in record.get("launches") or ()] or [record.get("proof")]
    parts = [(proof or {}).get(stage) for proof in proofs for stage in ("before", "after")]
    if not any(part is not None for part in parts):
        return None
    return all(part is not None and part.get("ok") is True for part in parts)


def pages_text(pages: Mapping[str, int] | None) -> str | None:
    """Write pages per node as `0:21846 2:43690`, in order of the nodes' numbers."""
    if not pages:
        return None
    return " ".join([f"{node}:{pages[node]}" for node in sorted(pages, key=int)])


def whole(value: Any) -> int | None:
    """Return a whole number, or None for anything else."""
    if type(value) is int:
        return value
    number = finite(value)
    return int(number) if number is not None and number == int(number) else None


def truth(value: Any) -> bool | None:
    """Return a truth value, or None for anything else."""
    return value if isinstance(value, bool) else None
