"""The placement of a program in words and tables for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hmexp.program.look.kinds import node_kinds
from hmexp.units import format_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hmexp.program.look.placed import PlacedProgram
    from hmexp.program.look.reading import PlacedMapping

_LISTED: Final = 20
_PATH: Final = 48


def lines_of(placement: PlacedProgram, *, every_mapping: bool = False) -> list[str]:
    """Write a placement: totals, the verdict, mappings, what could not be seen, and what reading cost."""
    lines = [title_of(placement), "", *_totals(placement)]
    verdict = verdict_of(placement)
    if verdict:
        lines += ["", *verdict]
    lines += ["", *_mappings(placement, every_mapping=every_mapping)]
    if placement.disagreements:
        lines += ["", *(f"disagreement: {text}" for text in placement.disagreements)]
    if placement.unseen:
        lines += ["", *(f"not seen: {text}" for text in placement.unseen)]
    return [*lines, "", say_cost(placement)]


def title_of(placement: PlacedProgram) -> str:
    """Say which processes these are."""
    others = len(placement.processes) - 1
    with_them = f", and {others} that descend from it" if others else ""
    return f"process {placement.pid} ({placement.name}){with_them}"


def say_bytes(placement: PlacedProgram, pages: int) -> str:
    """A number of pages as a size."""
    return format_size(pages * placement.page_bytes) if pages else "0"


def say_cost(placement: PlacedProgram) -> str:
    """Say what reading has cost."""
    return (
        f"read in {placement.cost_seconds:.3f} s ({placement.cpu_seconds:.3f} s of CPU time): while the "
        "kernel walks the pages, the program waits if it maps memory"
    )


def verdict_of(placement: PlacedProgram) -> list[str]:
    """The pages against the pattern; nothing without one."""
    verdict = placement.verdict
    if verdict is None:
        return []
    there = verdict.in_place + verdict.misplaced + verdict.swapped + verdict.unseen
    granule = format_size(placement.granule_bytes or 0)
    of = _shown(placement.pattern or "")
    lines = [f"private memory (anonymous, heap, stack) against {of}, {granule} each by address:"]
    rows = (
        ("in place", verdict.in_place),
        ("misplaced", verdict.misplaced),
        ("swapped out", verdict.swapped),
        ("not seen", verdict.unseen),
    )
    for name, pages in rows:
        if pages or name in ("in place", "misplaced"):
            part = f"{100 * pages / there:.2f} %" if there else "-"
            lines.append(f"  {name:<12} {pages:>12,} pages  {part:>9}")
    lines.append(f"  {'not there':<12} {verdict.absent:>12,} pages   never written: no memory is behind them")
    lines += [
        f"    {pages:,} of the misplaced are unmovable: {why}" for why, pages in verdict.reasons.items()
    ]
    if verdict.straddling:
        lines.append(
            f"    {verdict.straddling:,} of the misplaced are in huge pages, whose pages all move together"
        )
    if placement.outside:
        parts = ", ".join(f"{sort} {say_bytes(placement, n)}" for sort, n in placement.outside.items())
        share = f"{100 * placement.outside_share:.2f} %"
        lines.append(f"  {share} of all anonymous memory is not where the pattern has it: {parts}")
    if verdict.misplaced:
        lines.append(
            "  Pages that are pinned (for a device, or by vmsplice) cannot be recognized from outside."
        )
    return lines


def line_of(placement: PlacedProgram) -> str:
    """A placement in one line, for one that is read again and again."""
    nodes = ", ".join(f"node {node}: {say_bytes(placement, n)}" for node, n in placement.by_node.items())
    verdict = placement.verdict
    against = ""
    if verdict is not None:
        against = f"; in place {verdict.in_place:,}, misplaced {verdict.misplaced:,} pages"
        against += f" ({verdict.unmovable:,} unmovable)" if verdict.unmovable else ""
    count = len(placement.processes)
    many = f"{count} process{'es' if count > 1 else ''}"
    return f"{many}; {nodes or 'no pages'}{against}; read in {placement.cost_seconds:.3f} s"


def _totals(placement: PlacedProgram) -> list[str]:
    kinds = node_kinds()
    total = sum(placement.by_node.values())
    lines = []
    for node, pages in placement.by_node.items():
        lines.append(
            f"  node {node:<3} {kinds.get(node, 'unknown'):<8} {pages:>12,} pages  "
            f"{say_bytes(placement, pages):>10}  {100 * pages / total:6.2f} %"
        )
    lines += [f"  {'no page is there':<16}"] if not lines else []
    sorts = [
        f"{sort} {say_bytes(placement, sum(nodes.values()))}"
        for sort, nodes in placement.by_sort.items()
        if nodes
    ]
    lines += [f"  of that: {', '.join(sorts)}"] if sorts else []
    tallies = [mapping.pages for mapping in placement.mappings]
    counts = {
        "in huge pages": sum(t.huge for t in tallies),
        "shared with another process": sum(t.shared for t in tallies),
        "merged by KSM": sum(t.merged for t in tallies),
        "swapped out": sum(t.swapped for t in tallies),
        "zero page": sum(t.zero for t in tallies),
        "node not seen": sum(t.hidden for t in tallies),
        "poisoned or on the move": sum(t.lost for t in tallies),
    }
    said = [f"{name} {pages:,} pages" for name, pages in counts.items() if pages]
    return lines + ([f"  {'; '.join(said)}"] if said else [])


def _mappings(placement: PlacedProgram, *, every_mapping: bool) -> list[str]:
    nodes = list(placement.by_node)
    several = len(placement.processes) > 1
    heads = ["pid", "address", "size", "is", *(f"node {node}" for node in nodes)]
    heads += ["in place", "misplaced"] if placement.pattern is not None else []
    heads += ["policy", "path"]
    found = [(process.pid, mapping) for process in placement.processes for mapping in process.mappings]
    empty = more = 0
    if not every_mapping:
        with_pages = [(pid, m) for pid, m in found if m.pages.present or m.pages.swapped]
        empty = len(found) - len(with_pages)
        found = sorted(with_pages, key=lambda each: -each[1].pages.present)[:_LISTED]
        more = len(with_pages) - len(found)
    rows = [_row(placement, pid, mapping, nodes) for pid, mapping in found]
    lines = _align([row if several else row[1:] for row in [heads, *rows]], left={-1, -2, 2 + several})
    if every_mapping:
        return ["mappings (pages by node)", *lines]
    rest = [f"{more} smaller ones"] if more else []
    rest += [f"{empty} without pages"] if empty else []
    return [
        "mappings, the largest first (pages by node)", *lines,
        *([f"  and {' and '.join(rest)}; --all lists them"] if rest else []),
    ]  # fmt: skip


def _row(placement: PlacedProgram, pid: int, mapping: PlacedMapping, nodes: Sequence[int]) -> list[str]:
    row = [str(pid), f"{mapping.start:x}", format_size(mapping.size_bytes), mapping.sort]
    row += [f"{mapping.by_node.get(node, 0):,}" for node in nodes]
    if placement.pattern is not None:
        verdict = mapping.verdict
        row += ["-", "-"] if verdict is None else [f"{verdict.in_place:,}", f"{verdict.misplaced:,}"]
    path = mapping.path if len(mapping.path) <= _PATH else f"...{mapping.path[3 - _PATH :]}"
    return [*row, mapping.policy, path.encode("unicode_escape").decode()]


def _align(rows: Sequence[Sequence[str]], left: set[int]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    left = {column % len(widths) for column in left}
    return [
        "  "
        + "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _shown(pattern: str) -> str:
    return pattern if len(pattern) <= _PATH else f"{pattern[:_PATH]}..."
