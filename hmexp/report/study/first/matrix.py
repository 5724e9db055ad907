"""The first page of a matrix: does every node perform as firmware and kernel claim?"""

from __future__ import annotations

from typing import Final

from hmexp.machine.matrix.cells import LATENCY, READ, MatrixCell
from hmexp.machine.matrix.disagreements import Disagreement, find_disagreements, say_cell
from hmexp.machine.matrix.portrait import say_quantity
from hmexp.machine.matrix.value import Matrix
from hmexp.report.model.first_page import AnswerLine, FirstPage, Kept
from hmexp.report.model.trust import Ground
from hmexp.report.run.numbers import digits
from hmexp.report.study.first.common import cannot_say, trust
from hmexp.report.study.matrix import matrix_of
from hmexp.report.study.results import StudyResults
from hmexp.store.validity import is_slowed_in_lab

_QUESTION: Final = (
    "Is the memory of every node as fast, from the CPUs of every node, as firmware and kernel claim?"
)


def matrix_page(study: StudyResults) -> FirstPage:
    """Answer by holding every claim against its cell."""
    matrix = matrix_of(study)
    grounds = trust(study, _grounds(matrix))
    if not study.title.timing_valid and not is_slowed_in_lab(study.run.timing_note):
        why = "the run is functional only: its pages are real, its timings mean nothing"
        return cannot_say(study, _QUESTION, why, *grounds)
    if not matrix.cells:
        return cannot_say(study, _QUESTION, "no cell was measured", *grounds)
    found = find_disagreements(matrix)
    verdict, why, good = _decide(matrix, found)
    nearest = _nearest(matrix)
    return FirstPage(
        _QUESTION,
        verdict,
        why,
        "warn" if good is None else "good" if good else "bad",
        grounds,
        cards_head=f"The fastest: from the CPUs of node {nearest[0]} to the memory of node {nearest[1]}",
        cards=tuple(_cell(matrix.cell(*nearest, op), op) for op in matrix.operations),
        said=tuple(each.text for each in found[1:4]),
        table_head="Every node from every node",
        row_head="from, to",
        caption="A row per initiator and node, a column per operation",
        heads=tuple(map(say_quantity, matrix.operations)),
        lines=tuple(_line(matrix, one, other) for one in matrix.initiators for other in matrix.targets),
        legend=("Median with its 95 % interval over launches.",),
    )


def _decide(matrix: Matrix, found: tuple[Disagreement, ...]) -> tuple[str, str, bool | None]:
    if matrix.emulated:
        why = "A node is emulated: what a model shows says nothing of what this machine's firmware claims."
        return "Cannot say.", why, None
    claims = matrix.claims
    if claims is None or not (claims.nodes or claims.weights or any(n.distances for n in matrix.nodes)):
        return "Cannot say.", "Neither firmware nor kernel claims anything of these nodes.", None
    if not found:
        return "Yes: what is claimed was measured.", "No claim differs from its cell beyond the noise.", True
    more = f" There {'is' if len(found) == 2 else 'are'} {len(found) - 1} more." if len(found) > 1 else ""
    claim = "claim is" if len(found) == 1 else "claims are"
    return f"No: {len(found)} {claim} not what was measured.", f"{found[0].text}{more}", False


def _nearest(matrix: Matrix) -> tuple[int, int]:
    """The pair with the lowest latency, or the highest bandwidth where that was not measured."""
    operation = next((op for op in (LATENCY, READ) if op in matrix.operations), matrix.operations[0])
    row = [cell for cell in matrix.cells if cell.operation == operation]
    best = min(row, key=lambda cell: cell.median if cell.unit == "ns" else -cell.median)
    return best.initiator, best.node


def _line(matrix: Matrix, initiator: int, node: int) -> AnswerLine:
    cells = tuple(_cell(matrix.cell(initiator, node, op), op) for op in matrix.operations)
    return AnswerLine(f"{initiator} → {node}", matrix.kind(node), None, cells)


def _cell(found: MatrixCell | None, operation: str) -> Kept:
    name = say_quantity(operation).partition(" [")[0]
    if found is None:
        return Kept(name, reason="not measured")
    threads = f"{found.threads} thread{'s'[: found.threads > 1]}"
    return Kept(name, say_cell(found), f"[{digits(found.low, 4)}, {digits(found.high, 4)}]", note=threads)


def _grounds(matrix: Matrix) -> list[Ground]:
    if matrix.claims is None:
        return [Ground("warn", "No claims", "what firmware and kernel claimed was not recorded")]
    return []
