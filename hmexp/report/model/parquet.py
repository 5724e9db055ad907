"""The tables of a run as Parquet, where pyarrow is installed: typed, small, and read by most other tools."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from typing import TYPE_CHECKING

from hmexp.errors import ParameterError
from hmexp.report.model.tables import frame_of, samples_of
from hmexp.store.files import write_atomically

if TYPE_CHECKING:
    import pandas as pd

    from hmexp.report.run.results import Results


def require_parquet() -> None:
    """Refuse to write Parquet where that is not possible.

    Raises
    ------
    ParameterError
        With what to install.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise ParameterError(
            "Parquet needs the package pyarrow, which is not installed here",
            "pip install 'hmexp[parquet]', or use points.csv and samples.csv, which have the same columns",
        )


def write_parquet(results: Results, folder: Path) -> list[Path]:
    """Write `points.parquet` and `samples.parquet`: the columns of the CSV files, with their types.

    Raises
    ------
    StoreError
        If a file cannot be written.
    """
    frames = {"points": frame_of(results), "samples": samples_of(results)}
    return [_write(frame, folder / f"{name}.parquet") for name, frame in frames.items()]


def _write(frame: pd.DataFrame, path: Path) -> Path:
    content = io.BytesIO()
    frame.to_parquet(content, engine="pyarrow", index=False)
    return write_atomically(path, content.getvalue())
