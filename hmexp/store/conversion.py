"""Records of schemas 1 and 2 as records of today's schema: the only place that knows how they were written.

1: one launch for each point and no stop rule; studies counted their own schema, and named the kind of a point
beside its parameters. 2: several launches. Both called the access of a result its order, and their parts had
no tags. A field that was not there yet takes its default; one that is not known is left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from hmexp.store.schema import SCHEMA

Json = dict[str, object]

_LOOP: Final = "loop"
_KINDS: Final = (_LOOP, "cost", "mappings", "behaviour", "granule")


def upgrade(record: Json) -> Json:
    """Convert a record of a point or of a launch, in place, and return it."""
    kind = record.pop("kind", _LOOP)
    if kind not in _KINDS:
        raise ValueError(f"the kind {kind!r} of a point is unknown")
    record["schema"] = SCHEMA
    parameters = _part(record, "parameters")
    if parameters is None:
        raise ValueError("it has no parameters")
    parameters["kind"] = kind
    if kind == _LOOP:
        parameters.setdefault("access", None if _is_chase(parameters.get("operation")) else "sequential")
    if record.get("settings") is None:
        record["settings"] = {}
    result = _part(record, "result")
    if result is not None:
        if record.get("status") != "ok" and set(result) <= {"proof"}:
            # What a study kept of a point whose pages were elsewhere.
            record["proof"], record["result"] = {"after": result.get("proof")}, None
        else:
            _upgrade_result(result, str(kind))
    for holder in (record, *_items(record, "launches")):
        setup = _part(holder, "setup")
        if setup is not None:
            _flatten(setup)
    return record


def upgrade_run(run: Json) -> Json:
    """Convert the content of `run.json`, in place, and return it."""
    run["schema"] = SCHEMA
    parameters = _part(run, "parameters")
    if parameters is not None:
        # Nothing that was ever asked for is deeper than a list.
        run["parameters"] = {name: value for name, value in parameters.items() if not isinstance(value, dict)}
    for name in ("added", "calibration", "notes", "dram_nodes", "slow_nodes", "nodes", "counts"):
        if run.get(name) is None:
            run.pop(name, None)
    return run


def _upgrade_result(result: Json, kind: str) -> None:
    result["kind"] = kind
    if kind == _LOOP:
        _upgrade_measured(result)
    elif kind == "cost":
        _flatten(result)
    elif kind == "granule":
        for name in ("bandwidth", "latency"):
            measured = _part(result, name)
            if measured is not None:
                measured["kind"] = _LOOP
                _upgrade_measured(measured)
        setup = _part(result, "setup")
        if setup is not None:
            _flatten(setup)


def _upgrade_measured(result: Json) -> None:
    _leave_out_no_numbers(result)
    for name in ("payload_bytes", "bus_bytes"):
        # One figure for all samples.
        value = result.get(name)
        if isinstance(value, int | float):
            result[name] = [value] * len(_items_of(result.get("samples")))
    for holder in (result, *_items(result, "launches")):
        details = _part(holder, "details")
        if details is None:
            holder["details"] = None
            continue
        details["kind"] = _kind_of(details, str(result.get("unit")))
        if "order" in details:
            details["access"] = details.pop("order")
        for name in ("window_gbps", "curve"):
            if details.get(name) is None:
                details.pop(name, None)


def _leave_out_no_numbers(result: Json) -> None:
    """Leave out samples that are no numbers, with what else is known of them: they never counted."""
    samples = _items_of(result.get("samples"))
    kept = [number for number, value in enumerate(samples) if value is not None]
    if len(kept) < len(samples):
        for name in ("samples", "sample_seconds", "payload_bytes", "bus_bytes"):
            values = result.get(name)
            if isinstance(values, list) and len(values) == len(samples):
                result[name] = [values[number] for number in kept]


def _kind_of(details: Mapping[str, object], unit: str) -> str:
    if "curve" in details:
        return "loaded"
    if unit != "ns":
        return "bandwidth"
    return "store_latency" if "stores" in details else "latency"


def _is_chase(operation: object) -> bool:
    name = str(operation)
    return name in ("latency", "latency_window", "store_nt", "store_flush") or name.startswith("loaded_")


def _flatten(setup: Json) -> None:
    """Leave the settings out of a placer's remarks: the record has them beside its own."""
    details = _part(setup, "details")
    if details is not None:
        setup["details"] = {name: value for name, value in details.items() if name != "settings"}


def _part(holder: Mapping[str, object], name: str) -> Json | None:
    found = holder.get(name)
    return found if isinstance(found, dict) else None


def _items_of(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _items(holder: Mapping[str, object], name: str) -> list[Json]:
    return [item for item in _items_of(holder.get(name)) if isinstance(item, dict)]


def without_nan(record: object) -> None:
    """Replace NaN and infinity by null: Python's JSON accepts them, and standard JSON does not."""
    stack: list[object] = [record]
    while stack:
        found = stack.pop()
        if isinstance(found, dict):
            for name, value in found.items():
                if isinstance(value, float) and not math.isfinite(value):
                    found[name] = None
                elif isinstance(value, dict | list):
                    stack.append(value)
        elif isinstance(found, list):
            for index, value in enumerate(found):
                if isinstance(value, float) and not math.isfinite(value):
                    found[index] = None
                elif isinstance(value, dict | list):
                    stack.append(value)
