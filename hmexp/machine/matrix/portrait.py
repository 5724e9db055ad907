"""The matrix as text for a terminal, and as HTML for a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hmexp.machine.matrix.cells import MatrixCell, MatrixCells
from hmexp.machine.matrix.claimed import claimed_table
from hmexp.machine.matrix.disagreements import find_disagreements
from hmexp.markup import Fragment, badge, bold, card, chip, element, join, listing, muted, table
from hmexp.measure.quantity import TAIL_LOADED, is_latency, is_loaded, streaming
from hmexp.store.validity import is_slowed_in_lab

#: Above the table of claims.
CLAIMED: Final = "claimed by firmware (HMAT, SLIT) and kernel (weights of weighted interleave)"


def say_quantity(operation: str) -> str:
    """Name an operation with its unit: ``read [GB/s]``."""
    if is_loaded(operation):
        if operation == TAIL_LOADED:
            return "p99 of single accesses under the load of read [ns]"
        return f"latency under the load of {streaming(operation)} [ns]"
    return f"idle {operation} [ns]" if is_latency(operation) else f"{operation} [GB/s]"


def lines_of(matrix: MatrixCells) -> list[str]:
    """Write the matrix as a table for each operation: a row for each initiator, a column for each node."""
    lines = [f"  {label}" for label in matrix.labels]
    for operation in matrix.operations:
        lines += ["", f"{say_quantity(operation)}, median and 95 % interval over launches"]
        heads = [f"node {node} ({matrix.kind(node)})" for node in matrix.targets]
        rows = [
            [_text(matrix.cell(initiator, node, operation)) for node in matrix.targets]
            for initiator in matrix.initiators
        ]
        widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
        lines.append(_row("from the CPUs of", heads, widths))
        for initiator, row in zip(matrix.initiators, rows, strict=True):
            lines.append(_row(f"node {initiator}", row, widths))
    heads, claimed = claimed_table(matrix)
    if claimed:
        widths = [max(map(len, column)) for column in zip(heads, *claimed, strict=True)]
        lines += ["", CLAIMED]
        for row in (heads, *claimed):
            lines.append(f"  {'  '.join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))}")
    lines += ["", *(f"not measured: {text}" for text in matrix.missing)] if matrix.missing else []
    return lines


def say_claims(matrix: MatrixCells) -> list[str]:
    """Say where firmware and kernel claim something else, or that they do not, or claim nothing."""
    if not matrix.cells:
        return ["No cell was measured that a claim could be held against."]
    if matrix.emulated:
        return ["Not compared: a node is emulated, and its model says nothing of this machine."]
    found = [each.text for each in find_disagreements(matrix)]
    if found and not matrix.timing_valid:
        slowed = any(is_slowed_in_lab(label) for label in matrix.labels)
        why = "the lab's plugin slows a node" if slowed else "software emulation"
        found.insert(0, f"The timing is not valid ({why}), so these only show what hmexp would say:")
    if found:
        return found
    claims = matrix.claims
    told = claims is not None and (
        claims.weights or any(claim.initiators or claim.read_gbps for claim in claims.nodes)
    )
    distances = len(matrix.targets) > 1 and any(node.distances for node in matrix.nodes)
    if told or distances:
        return ["Nothing that firmware and kernel claim contradicts what was measured."]
    return ["Firmware and kernel claim nothing that could be held against what was measured."]


def draw_matrix(matrix: MatrixCells) -> Fragment:
    """Draw the matrix for a notebook."""
    parts: list[object] = [badge(label, "caution") for label in matrix.labels]
    for operation in matrix.operations:
        heads = [
            "from the CPUs of",
            *(join([chip(node), f" {matrix.kind(node)}"]) for node in matrix.targets),
        ]
        rows = [
            [chip(initiator), *(_text(matrix.cell(initiator, node, operation)) for node in matrix.targets)]
            for initiator in matrix.initiators
        ]
        parts += [element("div", bold(say_quantity(operation)), style="margin-top:.6em"), table(heads, rows)]
    parts.append(muted("Median and 95 % interval over launches."))
    heads, claimed = claimed_table(matrix)
    if claimed:
        parts += [element("div", bold(CLAIMED), style="margin-top:.6em"), table(heads, claimed)]
    parts.append(listing((*say_claims(matrix), *matrix.missing)))
    return card(*parts)


def _text(cell: MatrixCell | None) -> str:
    if cell is None:
        return "-"
    places = 0 if cell.median >= 1000 else 1 if cell.median >= 100 else 2
    return f"{cell.median:.{places}f} [{cell.low:.{places}f}, {cell.high:.{places}f}]"


def _row(head: str, cells: Sequence[str], widths: Sequence[int]) -> str:
    shown = "  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
    return f"  {head:<16}  {shown}".rstrip()
