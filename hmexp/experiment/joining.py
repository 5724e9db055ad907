"""The record of a point, from those of its launches."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Final

from hmexp.measure.launches import join_results
from hmexp.sweep.baselines import compare

Record = Mapping[str, Any]
#: What each launch has of its own, beside its samples; those are in the result.
_OWN: Final = (
    "launch", "status", "reason", "error", "started", "elapsed_seconds", "machine", "setup", "proof",
)  # fmt: skip


def join_launches(
    launches: Sequence[Record], *, added: bool = False, baseline_id: str | None = None
) -> dict[str, Any]:
    """Make the record of a point.

    The point is `ok` if every launch is, with its own proof before and after; else it has the status,
    the reason and the proof of the first launch that is not.

    Parameters
    ----------
    launches : sequence of dict
        The workers' records, in the order of the launches.
    added : bool
        The point was not asked for: it is all DRAM, for others to be compared with.
    baseline_id : str, optional
        The all-DRAM point that this one is compared with.
    """
    first = next((record for record in launches if record["status"] != "ok"), launches[0])
    record = {name: value for name, value in first.items() if name not in ("launch", "purpose")}
    record["launches"] = [
        _own(launch, first.get("proof")) | {"purpose": launch.get("purpose", "planned")}
        for launch in launches
    ]
    record["started"] = min(launch["started"] for launch in launches)
    record["elapsed_seconds"] = round(sum(launch["elapsed_seconds"] for launch in launches), 3)
    record |= {"added": added, "baseline_id": baseline_id, "of_dram": None}
    if record["status"] != "ok":
        return record | {"result": None}
    record["timing_valid"] = all(launch["timing_valid"] for launch in launches)
    record["result"] = join_results([launch["result"] for launch in launches])
    costs = [launch["setup"]["ns_per_page"] for launch in launches]
    seconds = [launch["setup"]["seconds"] for launch in launches]
    record["setup"] = first["setup"] | {
        "ns_per_page": statistics.median(costs),
        "seconds": statistics.median(seconds),
    }
    return record


def _own(launch: Record, shown: Record | None) -> dict[str, Any]:
    own = {name: launch[name] for name in _OWN}
    # Most launches lie alike: the point's own strips show it, and they are most of a record.
    sides = {
        when: {name: value for name, value in side.items() if name != "strip"}
        for when, side in (own["proof"] or {}).items()
        if side and shown and side.get("strip") == (shown.get(when) or {}).get("strip")
    }
    return own | {"proof": own["proof"] | sides} if sides else own


def with_baseline(record: Record, baseline: Record | None) -> dict[str, Any]:
    """The record with its result as a multiple of the all-DRAM one, if both were measured."""
    if baseline is None or record["status"] != "ok" or baseline["status"] != "ok":
        return dict(record)
    return dict(record) | {"of_dram": compare(record["result"], baseline["result"])}
