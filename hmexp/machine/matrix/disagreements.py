"""Where firmware and kernel claim something else than was measured, in words.

Differences within the intervals are no disagreement, nor are figures less than a quarter apart: a
claimed bandwidth is that of the hardware, which threads seldom reach to the last part.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from hmexp.machine.matrix.cells import LATENCY, READ, MatrixCell, MatrixCells
from hmexp.store.machine import ClaimRecord
from hmexp.system.sysfs import format_id_list

#: Figures and ratios of weights that differ by less say the same.
DIFFERENT: Final = 0.25
#: Which figure of the HMAT an operation is held against.
_FIGURES: Final[Mapping[str, str]] = {
    READ: "read_gbps", "write": "write_gbps", LATENCY: "read_latency_ns",
}  # fmt: skip
_NAMES: Final = {READ: "read bandwidth", "write": "write bandwidth", LATENCY: "read latency"}


@dataclass(frozen=True)
class Disagreement:
    """One thing that is claimed, and is not what was measured.

    Parameters
    ----------
    about : str
        ``initiators``, ``figures``, ``order``, ``distances`` or ``weights``.
    source : str
        Who claims it, and where it stands.
    text : str
        What is claimed and what was measured, in a sentence.
    """

    about: str
    source: str
    text: str


def find_disagreements(matrix: MatrixCells) -> tuple[Disagreement, ...]:
    """Hold what firmware and kernel claim against what was measured.

    Parameters
    ----------
    matrix : MatrixCells
        With its nodes and claims.

    Returns
    -------
    tuple of Disagreement
        Empty where nothing was claimed, where all claims agree with what was measured, and beside an
        emulated node: what a model shows says nothing of this machine.
    """
    if matrix.emulated:
        return ()
    claims = {} if matrix.claims is None else {claim.node: claim for claim in matrix.claims.nodes}
    return (
        *_initiators(matrix, claims.values()),
        *_figures(matrix, claims.values()),
        *_order(matrix, claims),
        *_distances(matrix),
        *_weights(matrix),
    )


def _hmat(claim: ClaimRecord) -> str:
    return "firmware (HMAT)" if claim.access is None else f"firmware (HMAT, {claim.access})"


def _initiators(matrix: MatrixCells, claims: Iterable[ClaimRecord]) -> Iterator[Disagreement]:
    """The best CPUs for a memory, by idle latency, or by bandwidth where that was not measured."""
    operation = LATENCY if LATENCY in matrix.operations else READ
    for claim in claims:
        row = [cell for cell in matrix.cells if (cell.node, cell.operation) == (claim.node, operation)]
        claimed = [cell for cell in row if cell.initiator in claim.initiators]
        others = [cell for cell in row if cell.initiator not in claim.initiators]
        if not claimed or not others:
            continue
        best, named = _best(others), _best(claimed)
        if best.better_than(named):
            yield Disagreement(
                "initiators",
                _hmat(claim),
                f"The firmware says node {format_id_list(claim.initiators)} is nearest to the memory of node "
                f"{claim.node}; measured, node {best.initiator} is ({say_cell(best)} against "
                f"{say_cell(named)} from node {named.initiator}).",
            )


def _figures(matrix: MatrixCells, claims: Iterable[ClaimRecord]) -> Iterator[Disagreement]:
    for claim in claims:
        for operation, figure in _FIGURES.items():
            claimed: float | None = getattr(claim, figure)
            row = [
                cell
                for cell in matrix.cells
                if (cell.node, cell.operation) == (claim.node, operation)
                and (not claim.initiators or cell.initiator in claim.initiators)
            ]
            if claimed is None or not row:
                continue
            cell = _best(row)
            if cell.low <= claimed <= cell.high or not _apart(claimed, cell.median):
                continue
            threads = "" if operation == LATENCY else f" by {cell.threads} thread{'s'[: cell.threads > 1]}"
            yield Disagreement(
                "figures",
                _hmat(claim),
                f"The firmware gives node {claim.node} a {_NAMES[operation]} of {claimed:g} {cell.unit}; "
                f"measured from node {cell.initiator}{threads}, it is {say_cell(cell)}.",
            )


def _order(matrix: MatrixCells, claims: Mapping[int, ClaimRecord]) -> Iterator[Disagreement]:
    """Which of two memories is the faster for the same CPUs."""
    for operation, figure in _FIGURES.items():
        for one, other in combinations(sorted(claims), 2):
            values = (getattr(claims[one], figure), getattr(claims[other], figure))
            if None in values or values[0] == values[1]:
                continue
            lower, higher = (one, other) if values[0] < values[1] else (other, one)
            fast, slow = (lower, higher) if operation == LATENCY else (higher, lower)
            for initiator in matrix.initiators:
                if not _seen_from(initiator, claims[fast]) or not _seen_from(initiator, claims[slow]):
                    continue
                claimed_fast = matrix.cell(initiator, fast, operation)
                claimed_slow = matrix.cell(initiator, slow, operation)
                if claimed_fast is None or claimed_slow is None or not claimed_slow.better_than(claimed_fast):
                    continue
                yield Disagreement(
                    "order",
                    _hmat(claims[fast]),
                    f"The firmware says node {fast} has the better {_NAMES[operation]} of nodes {fast} and "
                    f"{slow}; measured from node {initiator}, node {slow} has ({say_cell(claimed_slow)} "
                    f"against {say_cell(claimed_fast)}).",
                )


def _distances(matrix: MatrixCells) -> Iterator[Disagreement]:
    """Whether what is nearer by SLIT has the lower latency: of two memories, and of the CPUs of two nodes."""
    operation = LATENCY if LATENCY in matrix.operations else READ
    distances = {(n.id, other): far for n in matrix.nodes for other, far in n.distances.items()}
    for initiator in matrix.initiators:
        row = {node: (initiator, node) for node in matrix.targets}
        for near, far, claimed, measured in _reversed(matrix, operation, row, distances):
            yield Disagreement(
                "distances",
                "firmware (SLIT)",
                f"The firmware puts node {near} at distance {claimed[0]} from node {initiator}, and node "
                f"{far} at {claimed[1]}; measured, node {far} is the nearer ({measured}).",
            )
    for node in matrix.targets:
        column = {initiator: (initiator, node) for initiator in matrix.initiators}
        for near, far, claimed, measured in _reversed(matrix, operation, column, distances):
            yield Disagreement(
                "distances",
                "firmware (SLIT)",
                f"The firmware puts the CPUs of node {near} at distance {claimed[0]} from the memory of "
                f"node {node}, and those of node {far} at {claimed[1]}; measured, node {far} is the nearer "
                f"({measured}).",
            )


def _reversed(
    matrix: MatrixCells,
    operation: str,
    places: Mapping[int, tuple[int, int]],
    distances: Mapping[tuple[int, int], int],
) -> Iterator[tuple[int, int, tuple[int, int], str]]:
    """Pairs of nodes of which the one said to be far is the nearer: both, their distances, and why."""
    for one, other in combinations([node for node, place in places.items() if place in distances], 2):
        near, far = sorted((one, other), key=lambda node: distances[places[node]])
        claimed = distances[places[near]], distances[places[far]]
        cells = matrix.cell(*places[near], operation), matrix.cell(*places[far], operation)
        if claimed[0] == claimed[1] or cells[0] is None or cells[1] is None:
            continue
        if cells[1].better_than(cells[0]):
            yield near, far, claimed, f"{say_cell(cells[1])} against {say_cell(cells[0])}"


def _weights(matrix: MatrixCells) -> Iterator[Disagreement]:
    """Whether the kernel's weights are those of the bandwidths, of each node's best initiator.

    The kernel takes the smaller of read and write bandwidth (mm/mempolicy.c, `mempolicy_set_node_perf`).
    """
    claims = matrix.claims
    if claims is None:
        return
    best = {}
    for node in claims.weights:
        known = [
            _best(row)
            for operation in (READ, "write")
            if (row := [cell for cell in matrix.cells if (cell.node, cell.operation) == (node, operation)])
        ]
        if known:
            best[node] = min(known, key=lambda cell: cell.median)
    who = "The kernel's automatic weights" if claims.automatic else "The weights of weighted interleave"
    for one, other in combinations(sorted(best), 2):
        claimed = claims.weights[one] / claims.weights[other]
        low = best[one].low / best[other].high
        high = best[one].high / best[other].low
        if low <= claimed <= high or not _apart(claimed, best[one].median / best[other].median):
            continue
        yield Disagreement(
            "weights",
            "kernel (weighted interleave)",
            f"{who} give nodes {one} and {other} {claims.weights[one]}:{claims.weights[other]}; their "
            f"measured bandwidths ({best[one].operation}, {best[other].operation}) are "
            f"{say_cell(best[one])} and {say_cell(best[other])}, as "
            f"{best[one].median / best[other].median:.2f}:1.",
        )


def say_cell(cell: MatrixCell) -> str:
    """A median in its unit: ``95.3 ns``."""
    return f"{cell.median:.{0 if cell.median >= 1000 else 1 if cell.median >= 100 else 2}f} {cell.unit}"


def _best(cells: Iterable[MatrixCell]) -> MatrixCell:
    every = sorted(cells, key=lambda cell: cell.median)
    return every[0] if every[0].unit == "ns" else every[-1]


def _seen_from(initiator: int, claim: ClaimRecord) -> bool:
    return not claim.initiators or initiator in claim.initiators


def _apart(claimed: float, measured: float) -> bool:
    return abs(claimed - measured) > DIFFERENT * max(claimed, measured)
