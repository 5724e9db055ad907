"""The first page of a family of curves: which pattern carries what all DRAM does, at every share of reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hmexp.measure.knee import Knee
from hmexp.pattern import Pattern
from hmexp.report.model.first_page import AnswerLine, FirstPage, Kept, worst_mark
from hmexp.report.model.trust import Ground
from hmexp.report.run.numbers import digits
from hmexp.report.run.point import Estimate, short_pattern
from hmexp.report.study.curves import DrawnCurve, DrawnFamily, best_patterns, families_of
from hmexp.report.study.first.common import cannot_say, cell_of, join, keeping, said_of, trust
from hmexp.report.study.program_verdict import KEEP
from hmexp.report.study.results import StudyResults

#: Shares of reads that have a column, and what they are called [%].
_GROUPS: Final = (
    ("mostly writes", 0.0, 33.0), ("reads and writes", 33.0, 67.0), ("mostly reads", 67.0, 100.0),
)  # fmt: skip
_LEGEND: Final = (
    (
        "Values are the highest bandwidth that a pattern carries, of all DRAM's at the same share of "
        "reads: the worst of the shares of a column. Intervals are from the lowest to the highest launch "
        "of both."
    ),
    (
        "Kept: the whole interval is within the limit. Not kept: none of it is. Inconclusive: it spans the "
        "limit."
    ),
    (
        "The knee is the load at which latency begins to rise, the lowest of all shares of reads, with its "
        "95 % interval."
    ),
)


@dataclass(frozen=True)
class _Row:
    """The families of one pattern: one for each kind of stores."""

    pattern: str
    share: float
    families: tuple[DrawnFamily, ...]


def curves_page(study: StudyResults, keep: float = KEEP) -> FirstPage:
    """Answer by the highest bandwidth of each curve beside that of all DRAM.

    Parameters
    ----------
    study : StudyResults
        A run of `hmexp curves`.
    keep : float
        Part of all DRAM's bandwidth that is to be kept.
    """
    question = (
        f"Which pattern with the least DRAM carries at least {keep:.0%} of all DRAM's traffic, at every "
        f"share of "
        "reads?"
    )
    families = families_of(study)
    launches = [len(curve.peaks_gbps) for family in families for curve in family.curves]
    grounds = trust(study, _grounds(families), launches)
    rows = _rows(study, families)
    why_not = _why_not(study, rows, launches)
    if why_not is not None:
        return cannot_say(study, question, why_not, *grounds)
    alone = next(row for row in rows if row.share == 1)
    lines = {row.pattern: _line(row, alone, keep) for row in rows}
    mixed = sorted((row for row in rows if row.share < 1), key=lambda row: row.share)
    kept = [row for row in mixed if lines[row.pattern].mark == "kept"]
    unsure = [row for row in mixed if lines[row.pattern].mark in ("inconclusive", "not measured")]
    shown = (kept or unsure or mixed[::-1])[0]
    verdict, why = _decide(kept, unsure, shown, lines[shown.pattern])
    return FirstPage(
        question,
        said_of(study, verdict),
        f"{why} {_say_best(families)}".strip(),
        "good" if kept else "warn" if unsure else "bad",
        grounds,
        cards_head=f"What pattern {short_pattern(shown.pattern)} carries",
        cards=(*lines[shown.pattern].cells, *_cards(shown)),
        table_head="Every pattern against all DRAM",
        row_head="DRAM",
        caption="A row per pattern, a column per group of shares of reads: kept, not kept or inconclusive",
        fact_heads=("idle latency", "lowest knee"),
        heads=tuple(f"{cell.name} {cell.limit}".strip() for cell in lines[shown.pattern].cells),
        lines=tuple(_choose(lines[row.pattern], kept and row is kept[0]) for row in rows),
        legend=_LEGEND,
    )


def _why_not(study: StudyResults, rows: Sequence[_Row], launches: Sequence[int]) -> str | None:
    if not study.title.timing_valid:
        return "the run is functional only: its pages are real, its timings mean nothing"
    if not rows:
        return "no curve was measured"
    if not any(row.share == 1 for row in rows):
        return "all DRAM was not measured: how a pattern compares with it is unknown"
    if all(row.share == 1 for row in rows):
        return "no pattern with slow memory was measured"
    if min(launches) < 2:
        return "each curve has one launch: nothing is known of how launches differ"
    return None


def _rows(study: StudyResults, families: Sequence[DrawnFamily]) -> list[_Row]:
    found: dict[str, list[DrawnFamily]] = {}
    for family in families:
        found.setdefault(family.pattern, []).append(family)
    dram = set(study.run.dram_nodes)
    rows = [_Row(name, Pattern.parse(name).share(dram), tuple(mine)) for name, mine in found.items()]
    return sorted(rows, key=lambda row: -row.share)


def _line(row: _Row, alone: _Row, keep: float) -> AnswerLine:
    groups = [_group(name, low, high, row, alone, keep) for name, low, high in _GROUPS]
    cells = tuple(cell for cell in groups if cell is not None)
    curves = [curve for family in row.families for curve in family.curves]
    facts = (
        f"{digits(min(curve.latency_ns[0] for curve in curves))} ns",
        _lowest_knee([curve.knee for curve in curves]),
    )
    mark = "kept" if row is alone else worst_mark(cells)
    return AnswerLine(f"{row.share * 100:.0f} %", short_pattern(row.pattern), mark, cells, facts)


def _lowest_knee(knees: Sequence[Knee]) -> str:
    found = [(knee.load_gbps, knee.interval) for knee in knees if knee.load_gbps is not None]
    if not found:
        return "not reached"
    load, interval = min(found, key=lambda each: each[0])
    return f"{digits(load)} GB/s" + (f" [{digits(interval[0])}, {digits(interval[1])}]" if interval else "")


def _group(name: str, low: float, high: float, row: _Row, alone: _Row, keep: float) -> Kept | None:
    """The worst share of reads of a group; None if all DRAM has none of them."""
    every: list[tuple[Estimate | None, str]] = []
    for base in alone.families:
        mine = next((family for family in row.families if family.stores == base.stores), None)
        for curve in base.curves:
            if low <= curve.read_percent < high or high == curve.read_percent == 100:
                own = None if mine is None else mine.curve(curve.read_percent)
                where = f"{curve.read_percent:g} % reads, {base.stores} stores"
                every.append((None if own is None else _divide(own, curve, same=row is alone), where))
    if not every:
        return None
    value, where = min(every, key=lambda pair: -1.0 if pair[0] is None else pair[0].median)
    return cell_of(name, keeping(keep), value, where=where, reason=f"{where}: not measured")


def _divide(mine: DrawnCurve, base: DrawnCurve, *, same: bool) -> Estimate:
    if same:
        return Estimate(1.0, 1.0, 1.0)
    low, high = mine.peak_interval
    least, most = base.peak_interval
    return Estimate(mine.peak_gbps / base.peak_gbps, low / most, high / least)


def _decide(kept: Sequence[_Row], unsure: Sequence[_Row], shown: _Row, line: AnswerLine) -> tuple[str, str]:
    name = f"pattern {short_pattern(shown.pattern)}"
    if kept:
        why = "It has the least DRAM of the measured patterns that carry so much at every share of reads."
        return f"Yes: set {name}, {shown.share:.0%} DRAM.", why
    cell = next(c for c in line.cells if c.mark != "kept")
    if unsure:
        if not cell.value:
            return "Cannot say.", f"Of {name} a share of reads has no number ({cell.reason})."
        why = f"{name}, {cell.where}: {cell.value} {cell.interval} spans the limit; more launches narrow it."
        return "Cannot say.", f"{why[:1].upper()}{why[1:]}"
    missed = f"{cell.value} {cell.interval} at {cell.where}"
    return "No measured pattern carries so much at every share.", f"The closest, {name}, carries {missed}."


def _say_best(families: Sequence[DrawnFamily]) -> str:
    """Which patterns carry the most, at how many shares of reads."""
    found = best_patterns(families)
    counts: dict[str, int] = {}
    for best in found:
        counts[best.pattern] = counts.get(best.pattern, 0) + 1
    ranked = sorted(counts.items(), key=lambda pair: -pair[1])
    said = [
        f"pattern {short_pattern(pattern)} at {count} of {len(found)} mixes" for pattern, count in ranked[:3]
    ]
    return f"The most is carried by {join(said)}." if said else ""


def _cards(row: _Row) -> tuple[Kept, ...]:
    curves = [curve for family in row.families for curve in family.curves]
    most = max(curves, key=lambda curve: curve.peak_gbps)
    low, high = most.peak_interval
    return (
        Kept(
            "at its best",
            f"{digits(most.peak_gbps)} GB/s",
            f"[{digits(low, 4)}, {digits(high, 4)}]",
            note=f"with {most.read_percent:g} % reads",
        ),
    )


def _choose(line: AnswerLine, chosen: object) -> AnswerLine:
    return AnswerLine(line.ratio, line.pattern, line.mark, line.cells, line.facts, chosen=bool(chosen))


def _grounds(families: Sequence[DrawnFamily]) -> list[Ground]:
    curves = [curve for family in families for curve in family.curves]
    flat = sum(not curve.knee.saturated for curve in curves)
    if not flat:
        return []
    text = (
        f"in {flat} of {len(curves)} curves the threads did not saturate the memory: it may carry more than "
        "they could make"
    )
    return [Ground("warn", "Not saturated", text)]
