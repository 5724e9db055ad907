"""The matrix as a value, read from a run directory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hmexp.errors import StoreError
from hmexp.machine.matrix.cells import MatrixCell, MatrixCells
from hmexp.machine.matrix.portrait import draw_matrix
from hmexp.store.parameters import LoopPoint
from hmexp.store.reader import POINTS, read_points, read_run
from hmexp.store.records import PointRecord, RunRecord
from hmexp.store.results import Measured
from hmexp.store.validity import label_untimed

#: Name of the study in `run.json`.
MATRIX: Final = "matrix"


@dataclass(frozen=True)
class Matrix(MatrixCells):
    """Every cell of a run that was measured and proven, and what firmware and kernel claim.

    The parameters are those of `MatrixCells`.
    """

    @classmethod
    def load(cls, run_dir: Path) -> Matrix:
        """Read a finished or unfinished run of `hmexp matrix`.

        Raises
        ------
        StoreError
            If the folder is no run, or the run of something else.
        """
        run = read_run(run_dir)
        if run.study != MATRIX:
            raise StoreError(
                f"{run_dir} is not the run of a matrix", "name a folder that `hmexp matrix` has made"
            )
        return cls.from_records(run, read_points(run_dir / POINTS).values())

    @classmethod
    def from_records(cls, run: RunRecord, records: Iterable[PointRecord]) -> Matrix:
        """Build from what a run directory holds."""
        cells, missing, seen, valid = [], [], 0, run.timing_valid
        for record in records:
            given, result = record.parameters, record.result
            if not isinstance(given, LoopPoint) or not given.cpu_node.isdecimal():
                continue
            seen += 1
            valid = valid and record.timing_valid
            if record.status != "ok" or not isinstance(result, Measured):
                why = " ".join((record.reason or "no reason recorded").split())
                where = f"from node {given.cpu_node} to node {given.pattern}"
                missing.append(f"{given.operation} {where} {record.status}: {why}")
                continue
            cells.append(_cell(given, result))
        if (run.points or 0) > seen:
            missing.append(f"{(run.points or 0) - seen} of {run.points} cells are not measured yet.")
        labels = []
        if run.emulation is not None:
            shown = ", ".join(map(str, sorted(run.emulation.backing)))
            speed = "at its published speed" if run.emulation.absolute else "scaled to this host"
            labels.append(f"EMULATED node {shown}: {run.emulation.profile.name} {speed}")
        if not valid:
            labels.append(label_untimed(run.timing_note))
        order = {operation: at for at, operation in enumerate(dict.fromkeys(_asked(run)))}
        cells.sort(
            key=lambda cell: (order.get(cell.operation, 99), cell.operation, cell.initiator, cell.node)
        )
        return cls(
            tuple(cells),
            run.nodes,
            run.claims,
            tuple(missing),
            tuple(labels),
            run.emulation is not None,
            valid,
        )

    def _repr_html_(self) -> str:
        return draw_matrix(self)


def _asked(run: RunRecord) -> tuple[str, ...]:
    asked = run.parameters.get("operations")
    return tuple(map(str, asked)) if isinstance(asked, list | tuple) else ()


def _cell(given: LoopPoint, result: Measured) -> MatrixCell:
    low = result.median if result.ci_low is None else result.ci_low
    high = result.median if result.ci_high is None else result.ci_high
    return MatrixCell(
        initiator=int(given.cpu_node),
        node=int(given.pattern),
        operation=given.operation,
        threads=given.threads,
        median=result.median,
        low=low,
        high=high,
    )
