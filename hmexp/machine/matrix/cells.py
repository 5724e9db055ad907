"""The cells of a matrix: what was measured between the CPUs of one node and the memory of another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hmexp.measure.quantity import is_latency
from hmexp.store.machine import ClaimsRecord, NodeRecord

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
class MatrixCells:
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
    emulated : bool
        Whether a node is emulated: then the DRAM beside it is modelled as well.
    timing_valid : bool
        False where the CPU itself is emulated in software: times mean nothing.
    """

    cells: tuple[MatrixCell, ...]
    nodes: tuple[NodeRecord, ...] = ()
    claims: ClaimsRecord | None = None
    missing: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    emulated: bool = False
    timing_valid: bool = True

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
