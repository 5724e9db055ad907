"""The matrix as a value: what was measured between the CPUs of one node and the memory of another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hmexp.errors import StoreError
from hmexp.measure.quantity import is_latency
from hmexp.store.machine import ClaimsRecord, NodeRecord
from hmexp.store.parameters import LoopPoint
from hmexp.store.reader import POINTS, read_points, read_run
from hmexp.store.records import PointRecord, RunRecord
from hmexp.store.results import Measured

#: Name of the study in `run.json`.
MATRIX: Final = "matrix"
#: Idle latency that initiators and nodes are ranked by, and the bandwidth.
LATENCY: Final = "latency"
READ: Final = "read"


@dataclass(frozen=True)
class MatrixCell:
    """One operation between one initiator and one node, with its proof in the run.

    Parameters
    ----------
    initiator, node : int
        The node whose CPUs measured, and the node whose memory was measured.
    operation : str
        What was measured.
    threads : int
        How many threads did.
    median, low, high : float
        Median and 95 % interval over launches, in `unit`.
    """

    initiator: int
    node: int
    operation: str
    threads: int
    median: float
    low: float
    high: float

    @property
    def unit(self) -> str:
        """``ns`` of a latency, ``GB/s`` of a bandwidth."""
        return "ns" if is_latency(self.operation) else "GB/s"

    def better_than(self, other: MatrixCell) -> bool:
        """Whether this is better beyond both intervals: a lower latency, or a higher bandwidth."""
        if is_latency(self.operation):
            return self.high < other.low
        return self.low > other.high


@dataclass(frozen=True)
class Matrix:
    """Every cell that was measured and proven, and what firmware and kernel claim.

    Parameters
    ----------
    cells : tuple of MatrixCell
        In the order of operation, initiator, node.
    nodes : tuple of NodeRecord
        The real nodes of the machine.
    claims : ClaimsRecord or None
        What firmware and kernel claimed at the time of the run; None if it was not recorded.
    missing : tuple of str
        A sentence for each cell that failed, was skipped, or was not reached.
    labels : tuple of str
        What must be written beside the numbers: that a node is emulated, or that times mean nothing.
    """

    cells: tuple[MatrixCell, ...]
    nodes: tuple[NodeRecord, ...] = ()
    claims: ClaimsRecord | None = None
    missing: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

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
            labels.append(f"EMULATED node {shown}: {run.emulation.profile.name} scaled to this host")
        if not valid:
            labels.append("functional only: software emulation, timings not valid")
        order = {operation: at for at, operation in enumerate(dict.fromkeys(_asked(run)))}
        cells.sort(
            key=lambda cell: (order.get(cell.operation, 99), cell.operation, cell.initiator, cell.node)
        )
        return cls(tuple(cells), run.nodes, run.claims, tuple(missing), tuple(labels))

    @property
    def operations(self) -> tuple[str, ...]:
        """What was measured."""
        return tuple(dict.fromkeys(cell.operation for cell in self.cells))

    @property
    def initiators(self) -> tuple[int, ...]:
        """Nodes whose CPUs measured, ascending."""
        return tuple(sorted({cell.initiator for cell in self.cells}))

    @property
    def targets(self) -> tuple[int, ...]:
        """Nodes whose memory was measured, ascending."""
        return tuple(sorted({cell.node for cell in self.cells}))

    def cell(self, initiator: int, node: int, operation: str) -> MatrixCell | None:
        """Find a cell; None if it was not measured."""
        wanted = (initiator, node, operation)
        return next((c for c in self.cells if (c.initiator, c.node, c.operation) == wanted), None)

    def kind(self, node: int) -> str:
        """Kind of a node's memory: `emulated` if it is not one of the machine's."""
        return next((each.kind for each in self.nodes if each.id == node), "emulated")

    def _repr_html_(self) -> str:
        from hmexp.machine.matrix.portrait import draw_matrix

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
