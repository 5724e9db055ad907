"""The tables of a run: one row per point, one row per sample."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pandas as pd

from hmexp.report.model.columns import points_table, samples_table
from hmexp.report.model.predictions import SOURCE_NAMES, predict
from hmexp.report.run.results import Results
from hmexp.store.files import write_atomically

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
    sources = sorted({SOURCE_NAMES[prediction.source] for prediction in predictions.values()})
    frame.attrs["model_source"] = "; ".join(sources) or NO_MODEL
    return frame


def samples_of(results: Results) -> pd.DataFrame:
    """Make the table of raw samples, one row each."""
    return samples_table(results.points, {})


def write_csv(frame: pd.DataFrame, path: Path) -> Path:
    """Write a table, whole or not at all; what is missing is empty."""
    return write_atomically(path, frame.to_csv(index=False, lineterminator="\n"))
