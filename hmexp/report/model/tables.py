"""The tables of a run: one row per point, one row per sample."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hmexp.report.model.columns import POINT_COLUMNS, Cell, points_cells, points_table
from hmexp.report.model.predictions import SOURCE_NAMES, Prediction, predict
from hmexp.report.model.sample_columns import SAMPLE_COLUMNS, samples_cells, samples_table
from hmexp.report.run.results import Results
from hmexp.store.files import write_atomically

if TYPE_CHECKING:
    import pandas as pd

#: Rows that are written at once.
_ROWS: Final = 4096
NO_MODEL: Final = "no model: the all-DRAM or the all-slow point is missing"


def frame_of(results: Results) -> pd.DataFrame:
    """Make the table of points.

    Returns
    -------
    DataFrame
        The columns of `hmexp.report.model.columns`. ``attrs["model_source"]`` says in words where the
        column `model` came from.
    """
    predictions = predict(results)
    frame = points_table(results.points, predictions, {})
    frame.attrs["model_source"] = model_source(predictions)
    return frame


def model_source(predictions: Mapping[str, Prediction]) -> str:
    """Say in words where the column `model` came from."""
    sources = sorted({SOURCE_NAMES[prediction.source] for prediction in predictions.values()})
    return "; ".join(sources) or NO_MODEL


def samples_of(results: Results) -> pd.DataFrame:
    """Make the table of raw samples, one row each."""
    return samples_table(results.points, {})


def write_points(results: Results, path: Path) -> Path:
    """Write the table of points as CSV: the same text as of `frame_of`, in less time and memory."""
    cells = points_cells(results.points, predict(results))
    return _write_cells(cells, {column.name: column.dtype for column in POINT_COLUMNS}, path)


def write_samples(results: Results, path: Path) -> Path:
    """Write the table of raw samples as CSV: the same text as of `samples_of`."""
    return _write_cells(samples_cells(results.points), SAMPLE_COLUMNS, path)


def _write_cells(cells: Mapping[str, Iterable[Cell]], types: Mapping[str, str], path: Path) -> Path:
    columns = [map(_float, values) if types[name] == "Float64" else values for name, values in cells.items()]
    return write_atomically(path, _lines(chain([tuple(cells)], zip(*columns, strict=True))))


def _lines(rows: Iterator[tuple[Cell, ...]]) -> Iterator[str]:
    """Write rows as CSV, many at a time: the whole text of a large run would be as large as its records."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    while part := list(islice(rows, _ROWS)):
        writer.writerows(part)
        yield text.getvalue()
        text.seek(0)
        text.truncate()


def _float(value: Cell) -> float | None:
    return None if value is None else float(value)


def write_csv(frame: pd.DataFrame, path: Path) -> Path:
    """Write a table, whole or not at all; what is missing is empty."""
    return write_atomically(path, frame.to_csv(index=False, lineterminator="\n"))
