"""The first page of the study of granularity: how coarse may granules be before parts of memory differ?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from hmexp.report.model.first_page import MARKS, AnswerLine, FirstPage, Kept, worst_mark
from hmexp.report.model.trust import Ground
from hmexp.report.run.numbers import digits, interval
from hmexp.report.run.point import Estimate
from hmexp.report.study.first.common import cannot_say, said_of, trust
from hmexp.report.study.granularity import BAND, PAGES, Granule, Spread, granules_of
from hmexp.report.study.results import StudyResults
from hmexp.store.parameters import GranulePoint
from hmexp.units import format_size

#: How far apart 90 % of the windows may be, as a part of their median.
EVEN: Final = 0.10
_DRAWS: Final = 400
_LIMIT: Final = f"≤ {EVEN * 100:.0f} %"


def granularity_page(study: StudyResults) -> FirstPage:
    """Answer by how far apart the windows along a region are in bandwidth and latency."""
    window = next(
        (r.parameters.window_bytes for r in study.records if isinstance(r.parameters, GranulePoint)), 0
    )
    question = (
        f"How coarse may the granules of a pattern be before parts of {format_size(window)} of the memory "
        f"differ "
        f"by more than {EVEN:.0%} in bandwidth or latency?"
    )
    every = granules_of(study)
    mixed = [granule for granule in every if "," in granule.pattern]
    grounds = trust(study, _grounds(every))
    if not study.title.timing_valid:
        why = "the run is functional only: its pages are real, its timings mean nothing"
        return cannot_say(study, question, why, *grounds)
    if not mixed:
        return cannot_say(study, question, "no granule of a pattern of two nodes was measured", *grounds)
    lines = [_line(granule) for granule in mixed]
    best = _coarsest(mixed, lines)
    verdict, why = _decide(mixed, lines, best)
    shown = best if best is not None else 0
    return FirstPage(
        question,
        said_of(study, verdict),
        why,
        "good" if best is not None else "bad" if lines[0].mark == "not kept" else "warn",
        grounds,
        cards_head=f"Granules of {lines[shown].ratio}, {lines[shown].pattern}",
        cards=_cards(mixed[shown], lines[shown]),
        table_head="Every granule against the limit",
        row_head="granule",
        caption="A row per granule; the spread of bandwidth and of latency is kept, not kept or inconclusive",
        fact_heads=("bandwidth of the whole", "latency of the whole"),
        heads=(f"spread of bandwidth {_LIMIT}", f"spread of latency {_LIMIT}"),
        lines=tuple(
            AnswerLine(x.ratio, x.pattern, x.mark, x.cells, x.facts, chosen=n == best)
            for n, x in enumerate(lines)
        ),
        legend=(
            (
                f"The spread is that between the {BAND[0]:.0f}th and the {BAND[1]:.0f}th percentile of all "
                f"windows, as a part of "
                "their median."
            ),
            MARKS,
        ),
        badge="up to here",
    )


def _coarsest(granules: Sequence[Granule], lines: Sequence[AnswerLine]) -> int | None:
    """The coarsest granule in small pages that is even, with all finer ones."""
    best = None
    for number, (granule, line) in enumerate(zip(granules, lines, strict=True)):
        if granule.huge or line.mark != "kept":
            break
        best = number
    return best


def _decide(granules: Sequence[Granule], lines: Sequence[AnswerLine], best: int | None) -> tuple[str, str]:
    if best is None:
        cell = next(c for c in lines[0].cells if c.mark != "kept")
        said = f"In the finest granules, {lines[0].ratio}, the {cell.name} is {cell.value} {cell.interval}"
        if lines[0].mark == "not kept":
            return "No granule that was measured is even.", f"{said}, where {cell.limit} is needed."
        return "Cannot say.", f"{said}, which spans {cell.limit}: more samples narrow it."
    after = [n for n in range(best + 1, len(lines)) if not granules[n].huge]
    verdict = f"Yes: granules of up to {lines[best].ratio}."
    if not after:
        return verdict, "Every granule that was measured is as even."
    cell = next(c for c in lines[after[0]].cells if c.mark != "kept")
    return verdict, (
        f"With {lines[after[0]].ratio} the {cell.name} is {cell.value} {cell.interval}: {cell.mark}."
    )


def _line(granule: Granule) -> AnswerLine:
    cells = (_cell("spread of bandwidth", granule.bandwidth), _cell("spread of latency", granule.latency))
    facts = (
        f"{digits(granule.bandwidth.whole.median)} GB/s {interval(granule.bandwidth.whole)}",
        f"{digits(granule.latency.whole.median)} ns {interval(granule.latency.whole)}",
    )
    return AnswerLine(
        format_size(granule.granule_bytes), PAGES[granule.huge], worst_mark(cells), cells, facts
    )


def _cell(name: str, spread: Spread) -> Kept:
    found = interval_of(spread)
    mark = "kept" if found.high <= EVEN else "not kept" if found.low > EVEN else "inconclusive"
    text = f"[{found.low * 100:.1f}, {found.high * 100:.1f}]"
    return Kept(name, f"{found.median * 100:.1f} %", text, mark, _LIMIT)


def interval_of(spread: Spread) -> Estimate:
    """The relative spread with a bootstrap 95 % interval over the windows."""
    windows = np.asarray(spread.windows)
    draws = np.random.default_rng(0).choice(windows, (_DRAWS, len(windows)))
    low, middle, high = np.percentile(draws, (BAND[0], 50.0, BAND[1]), axis=1)
    ends = np.percentile((high - low) / middle, (2.5, 97.5))
    return Estimate(
        spread.relative, float(min(ends[0], spread.relative)), float(max(ends[1], spread.relative))
    )


def _cards(granule: Granule, line: AnswerLine) -> tuple[Kept, ...]:
    bandwidth, latency = granule.bandwidth.whole, granule.latency.whole
    return (
        *line.cells,
        Kept(
            "bandwidth of the whole", f"{digits(bandwidth.median)} GB/s", interval(bandwidth), note="no need"
        ),
        Kept("latency of the whole", f"{digits(latency.median)} ns", interval(latency), note="no need"),
    )


def _grounds(every: Sequence[Granule]) -> list[Ground]:
    if not every:
        return []
    wrong = sum(granule.misplaced > 0 for granule in every)
    if wrong:
        return [Ground("bad", "Not proven", f"in {wrong} of {len(every)} regions pages were on a wrong node")]
    windows = min(len(granule.bandwidth.windows) for granule in every)
    return [
        Ground("good", "Proven", "every page was in its place, before and after"),
        Ground(
            "warn",
            "One launch",
            f"a process a granule, with {windows} windows: drift between processes is not covered",
        ),
    ]
