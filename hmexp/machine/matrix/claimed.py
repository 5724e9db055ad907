"""What firmware and kernel claim, as the rows of one table: to stand beside what was measured."""

from __future__ import annotations

from hmexp.machine.matrix.cells import MatrixCells
from hmexp.store.machine import ClaimRecord, NodeRecord
from hmexp.system.sysfs import format_id_list

#: What stands where nothing is claimed.
_NOTHING = "-"


def claimed_table(matrix: MatrixCells) -> tuple[list[str], list[list[str]]]:
    """Put what is claimed of each measured node in a row.

    Parameters
    ----------
    matrix : MatrixCells
        With its nodes and claims.

    Returns
    -------
    heads : list of str
        Node, best initiators with the class that they are of, HMAT's figures [GB/s, ns], SLIT's distance
        from each initiator, and the weight of weighted interleave.
    rows : list of list of str
        One for each real node; empty where nothing is claimed of any.
    """
    claims = {} if matrix.claims is None else {claim.node: claim for claim in matrix.claims.nodes}
    weights = {} if matrix.claims is None else matrix.claims.weights
    automatic = matrix.claims is not None and matrix.claims.automatic
    heads = [
        "node", "nearest CPUs", "read [GB/s]", "write [GB/s]", "read [ns]",
        *(f"distance from {initiator}" for initiator in matrix.initiators),
        "weight (automatic)" if automatic else "weight",
    ]  # fmt: skip
    distances = {node.id: node for node in matrix.nodes}
    rows = [
        [
            str(node),
            *_figures(claims.get(node, ClaimRecord(node=node))),
            *(_distance(distances.get(initiator), node) for initiator in matrix.initiators),
            str(weights.get(node, _NOTHING)),
        ]
        for node in matrix.targets
        if node in distances
    ]
    said = any(text != _NOTHING for row in rows for text in row[1:])
    return heads, rows if said else []


def _figures(claim: ClaimRecord) -> list[str]:
    nearest = format_id_list(claim.initiators) if claim.initiators else _NOTHING
    if claim.access is not None and claim.initiators:
        nearest += f" ({claim.access})"
    figures = (claim.read_gbps, claim.write_gbps, claim.read_latency_ns)
    return [nearest, *(_NOTHING if figure is None else f"{figure:g}" for figure in figures)]


def _distance(initiator: NodeRecord | None, node: int) -> str:
    found = None if initiator is None else initiator.distances.get(node)
    return _NOTHING if found is None else str(found)
