"""Raw samples as columns: there are many times more of them than of points."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeVar

import pandas as pd

from hmexp.report.run.facts import whole
from hmexp.report.run.point import Point, finite

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RawSamples:
    """The samples of one point: columns of equal length, with None for what is not known.

    Parameters
    ----------
    numbers : list
        In `unit`.
    seconds : list
        Time that each took [s].
    payload_bytes : list
        What its loads and stores asked for [bytes].
    launches : list
        Number of the launch that each is of.
    marks : list
        Whatever disturbed each, such as ``foreign``; an empty tuple if nothing did.
    """

    unit: str | None
    numbers: list[float | None]
    seconds: list[float | None]
    payload_bytes: list[int | None]
    launches: list[int | None]
    marks: list[tuple[str, ...] | None]

    @classmethod
    def of(cls, point: Point) -> RawSamples:
        """Gather the samples of a point."""
        result = point.record.get("result") or {}
        values = [finite(value) for value in result.get("samples") or ()]
        return cls(
            point.unit,
            values,
            _filled([finite(value) for value in result.get("sample_seconds") or ()], len(values)),
            _filled([whole(value) for value in result.get("payload_bytes") or ()], len(values)),
            _filled(point.launch_of, len(values)),
            _filled(point.flags, len(values)),
        )


def _filled(known: Iterable[T | None], length: int) -> list[T | None]:
    found = list(known)[:length]
    return found + [None] * (length - len(found))


def samples_table(
    rows: Sequence[Mapping[str, Any]],
    samples: Sequence[RawSamples],
    own: Mapping[str, Iterable[Iterable[Any]]],
    kinds: Mapping[str, str],
) -> pd.DataFrame:
    """Make a table with a row for each sample.

    Parameters
    ----------
    rows : sequence of dict
        What the samples of a point share, a row for each point.
    samples : sequence of RawSamples
        One for each row.
    own : mapping
        Column -> what each sample has of its own, an iterable for each row.
    kinds : mapping
        Column -> pandas type, in the order of the columns.
    """
    lengths = [len(part.numbers) for part in samples]
    columns: dict[str, Any] = {}
    for name, kind in kinds.items():
        if name == "sample":
            columns[name] = array([n for many in lengths for n in range(many)], kind)
        elif name in own:
            columns[name] = array(list(chain.from_iterable(own[name])), kind)
        else:
            # Not row by row: the same value many times over.
            columns[name] = pd.Series(array([row[name] for row in rows], kind)).repeat(lengths).array
    return pd.DataFrame(columns)


def array(values: list[Any], kind: str) -> Any:
    """Make a column of a pandas type; None is what is missing."""
    return pd.array(values, dtype=kind)  # type: ignore[call-overload]
