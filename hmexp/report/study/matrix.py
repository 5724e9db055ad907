"""The tables of a matrix: its cells, and what firmware and kernel claim against them."""

from __future__ import annotations

import pandas as pd

from hmexp.machine.matrix.disagreements import find_disagreements
from hmexp.machine.matrix.value import Matrix
from hmexp.report.study.results import StudyResults


def matrix_of(study: StudyResults) -> Matrix:
    """Make the matrix of a run's records."""
    return Matrix.from_records(study.run, study.records)


def cells_frame(study: StudyResults) -> pd.DataFrame:
    """Make a row for each cell: initiator, node, operation, threads, median and interval in its unit."""
    matrix = matrix_of(study)
    columns = ("initiator", "node", "kind", "operation", "threads", "median", "ci_low", "ci_high", "unit")
    rows = [
        (c.initiator, c.node, matrix.kind(c.node), c.operation, c.threads, c.median, c.low, c.high, c.unit)
        for c in matrix.cells
    ]
    return pd.DataFrame(rows, columns=list(columns)).set_index(["initiator", "node", "operation"])


def disagreements_frame(study: StudyResults) -> pd.DataFrame:
    """Make a row for each claim of firmware or kernel that is not what was measured."""
    found = find_disagreements(matrix_of(study))
    rows = [(each.about, each.source, each.text) for each in found]
    return pd.DataFrame(rows, columns=["about", "source", "text"]).set_index("about")
