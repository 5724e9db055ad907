"""The columns that `samples.csv` and the samples of `hmexp.load` have: a row for each raw sample."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, Final

from hmexp.report.model.columns import Cell, array
from hmexp.report.run.point import Point

if TYPE_CHECKING:
    import pandas as pd

SAMPLE_COLUMNS: Final[Mapping[str, str]] = {
    "point_id": "string", "pattern": "string", "ratio": "string", "operation": "string",
    "dram_share": "Float64", "threads": "Int64", "launch": "Int64", "sample": "Int64",
    "value": "Float64", "unit": "string", "bandwidth_gbps": "Float64", "latency_ns": "Float64",
    "sample_seconds": "Float64", "payload_bytes": "Int64", "disturbed": "boolean", "disturbances": "string",
    "emulated": "boolean", "timing_valid": "boolean",
}  # fmt: skip


def samples_table(points: Sequence[Point], first: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Make a table with a row for each raw sample; `first` as for `points_table`, a value for each point."""
    import pandas as pd  # late: a report needs no frame, and importing it takes half a second

    lengths = [len(point.samples) for point in points]
    columns: dict[str, Any] = {}
    for name, values in first.items():
        columns[name] = pd.Series(array(values, "string")).repeat(lengths).array
    for name, dtype in SAMPLE_COLUMNS.items():
        if name in _OWN:
            columns[name] = array(list(chain.from_iterable(map(_OWN[name], points))), dtype)
        else:
            # Not row by row: the same value many times over.
            shared = array(list(map(_SHARED[name], points)), dtype)
            columns[name] = pd.Series(shared).repeat(lengths).array
    return pd.DataFrame(columns)


def samples_cells(points: Sequence[Point]) -> dict[str, Iterable[Cell]]:
    """Read the cells of the table of samples, see `samples_table`; each column can be read once."""
    lengths = [len(point.samples) for point in points]
    return {
        name: chain.from_iterable(
            map(_OWN[name], points)
            if name in _OWN
            else map(repeat, list(map(_SHARED[name], points)), lengths)
        )
        for name in SAMPLE_COLUMNS
    }


def _of_unit(point: Point, unit: str) -> Iterable[float | None]:
    return point.samples if point.unit == unit else [None] * len(point.samples)


def _filled(point: Point, name: str) -> list[float | None]:
    """What each sample has of its own; None where an older record does not say."""
    known: Sequence[float] = () if point.result is None else getattr(point.result, name)
    return [*known[: len(point.samples)], *[None] * (len(point.samples) - len(known))]


#: What each sample has of its own, and what it shares with the others of its point.
_OWN: Final[Mapping[str, Callable[[Point], Iterable[Cell]]]] = {
    "launch": lambda p: p.launch_of,
    "sample": lambda p: range(len(p.samples)),
    "value": lambda p: p.samples,
    "bandwidth_gbps": lambda p: _of_unit(p, "GB/s"),
    "latency_ns": lambda p: _of_unit(p, "ns"),
    "sample_seconds": lambda p: _filled(p, "sample_seconds"),
    "payload_bytes": lambda p: _filled(p, "payload_bytes"),
    "disturbed": lambda p: map(bool, p.flags),
    "disturbances": lambda p: map(" ".join, p.flags),
}
_SHARED: Final[Mapping[str, Callable[[Point], Cell]]] = {
    "point_id": lambda p: p.point_id,
    "pattern": lambda p: p.pattern,
    "ratio": lambda p: p.ratio,
    "operation": lambda p: p.operation,
    "dram_share": lambda p: p.dram_share,
    "threads": lambda p: getattr(p.record.parameters, "threads", None),
    "unit": lambda p: p.unit,
    "emulated": lambda p: p.record.emulated,
    "timing_valid": lambda p: p.record.timing_valid,
}
