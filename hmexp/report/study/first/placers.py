"""The first page of the study of placers: which of them keeps every page in its place, at what cost."""

from __future__ import annotations

from typing import Final

from hmexp.report.model.first_page import AnswerLine, FirstPage, Kept, worst_mark
from hmexp.report.model.trust import Ground
from hmexp.report.run.numbers import digits, interval
from hmexp.report.run.point import Estimate
from hmexp.report.study.first.common import cannot_say, join, trust
from hmexp.report.study.results import StudyResults
from hmexp.report.study.setup_costs import SHARED_STAGE, STAGES, SetupCosts, costs_of
from hmexp.store.parameters import CostPoint
from hmexp.store.results import CostRecord

_QUESTION: Final = (
    "Which placer puts every page on the node that the pattern names, keeps it there after a fork, after "
    "memory was given back and where huge pages are allowed, and what does it cost?"
)
_LIMIT: Final = "no page misplaced"
_LEGEND: Final = (
    (
        "Kept: no page of any launch was on a wrong node, or on none. Not kept: some were; the share is that "
        "of the worst look."
    ),
    "Time per page is the median over launches with its 95 % interval.",
)


def placers_page(study: StudyResults) -> FirstPage:
    """Answer by where the pages were, then by the time that a page takes."""
    costs = costs_of(study)
    launches = [
        sum(point.placer == cost.placer for point, _, _ in study.measured(CostPoint, CostRecord))
        for cost in costs
        if cost.why_not is None
    ]
    real = "pages were looked for on the nodes of this machine"
    grounds = trust(study, _grounds(costs), launches, real)
    why_not = _why_not(study, costs)
    if why_not is not None:
        return cannot_say(study, _QUESTION, why_not, *grounds)
    timed = study.title.timing_valid
    lines = {cost.placer: _line(cost, timed=timed) for cost in costs}
    kept = [cost for cost in costs if lines[cost.placer].mark == "kept"]
    # Where no time counts, the first of the list is as good as any.
    best = min(kept, key=lambda cost: _time(cost) if timed else 0.0, default=None)
    shown = best or max(costs, key=lambda cost: sum(c.mark == "kept" for c in lines[cost.placer].cells))
    verdict, why = _decide(kept, best, lines[shown.placer], timed=timed)
    return FirstPage(
        _QUESTION,
        verdict,
        why,
        "good" if best is not None else "bad",
        grounds,
        cards_head=f"What {shown.placer} costs",
        cards=_cards(shown, timed=timed),
        table_head="Every placer against what a placement has to survive",
        row_head="placer",
        caption="A row per placer, a column per thing that happens to a process; a placement is kept or not",
        fact_heads=("time per page",),
        heads=tuple(STAGES),
        lines=tuple(
            AnswerLine(
                line.ratio, line.pattern, line.mark, line.cells, line.facts,
                chosen=best is not None and line.ratio == best.placer,
            )
            for line in lines.values()
        ),
        legend=_LEGEND,
        badge="use this",
    )  # fmt: skip


def _why_not(study: StudyResults, costs: list[SetupCosts]) -> str | None:
    if not any(cost.why_not is None for cost in costs):
        return "no placer was measured"
    if study.run.one_node:
        return (
            "this machine has one node with memory: no page can be on a wrong one. What the tables below "
            "show "
            "is the time that each placer takes"
        )
    return None


def _decide(
    kept: list[SetupCosts], best: SetupCosts | None, closest: AnswerLine, *, timed: bool
) -> tuple[str, str]:
    if best is None:
        missed = [cell.name for cell in closest.cells if cell.mark == "not kept"]
        unknown = [cell.name for cell in closest.cells if cell.mark == "not measured"]
        text = f"not {join(missed)}" if missed else f"of {join(unknown)} nothing is known"
        return "No placer here keeps every page in its place.", f"The closest is {closest.ratio}: {text}."
    others = [cost.placer for cost in kept if cost is not best]
    if not others:
        return f"Yes: use {best.placer}.", "It alone keeps every page in its place, whatever happens to it."
    if not timed:
        do = "does" if len(others) == 1 else "do"
        why = f"So {do} {join(others)}; which is the fastest is not known here."
        return f"Yes: use {best.placer}.", why
    why = f"Of {len(kept)} placers that keep every page in its place it takes the least time for a page."
    alike = [c.placer for c in kept if c is not best and _overlap(c.ns_per_page, best.ns_per_page)]
    why += f" {join(alike)} cannot be distinguished from it." if alike else ""
    return f"Yes: use {best.placer}.", why


def _overlap(one: Estimate | None, other: Estimate | None) -> bool:
    return one is None or other is None or (one.low <= other.high and other.low <= one.high)


def _time(cost: SetupCosts) -> float:
    return float("inf") if cost.ns_per_page is None else cost.ns_per_page.median


def _line(cost: SetupCosts, *, timed: bool) -> AnswerLine:
    cells = tuple(_cell(stage, cost) for stage in STAGES)
    found = cost.ns_per_page
    time = f"{digits(found.median)} ns {interval(found)}" if timed and found is not None else "–"
    order = "" if cost.exact_order is None else "exact order" if cost.exact_order else "ratio only"
    return AnswerLine(cost.placer, order, worst_mark(cells), cells, (time,))


def _cell(stage: str, cost: SetupCosts) -> Kept:
    share = cost.misplaced.get(stage)
    if share is None:
        if stage == SHARED_STAGE and cost.shared:
            return Kept(stage, reason="shared: no copies")
        return Kept(stage, mark="not measured", limit=_LIMIT, reason=cost.why_not or "not measured")
    value = "" if share == 0 else f"{max(share * 100, 0.01):.2g} % misplaced"
    return Kept(stage, value, mark="kept" if share == 0 else "not kept", limit=_LIMIT)


def _cards(cost: SetupCosts, *, timed: bool) -> tuple[Kept, ...]:
    time, plain = cost.ns_per_page, cost.ratio
    cards = []
    if timed and time is not None:
        cards.append(Kept("time per page", f"{digits(time.median)} ns", interval(time)))
    if timed and plain is not None:
        cards.append(Kept("beside a plain mapping", f"{digits(plain.median)} ×", interval(plain)))
    if cost.mappings is not None:
        cards.append(Kept("mappings of a region", f"{cost.mappings:,}", note=f"for {cost.pages:,} pages"))
    if cost.page_tables_bytes is not None:
        cards.append(Kept("page tables", f"{digits(cost.page_tables_bytes)} B", note="for each page"))
    return tuple(cards)


def _grounds(costs: list[SetupCosts]) -> list[Ground]:
    missing = [cost.placer for cost in costs if cost.why_not is not None]
    found = [Ground("warn", "Not all", f"{join(missing)}: not measured here")] if missing else []
    text = "every page of every region was looked for, before and after"
    return [*found, Ground("good", "Looked at", text)]
