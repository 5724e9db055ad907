"""The tables of the study of placers: what each costs, what it survives, and what 1 TiB would take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

import pandas as pd

from hmexp.measure.setup import mappings_needed
from hmexp.pattern import Pattern
from hmexp.report.run.point import Estimate
from hmexp.report.study.results import StudyResults, estimate_of
from hmexp.store.evidence import PlacementRecord
from hmexp.store.parameters import BehaviourPoint, CostPoint, MappingsPoint
from hmexp.store.results import Behaviour, CostRecord, Mappings, PopulateCost
from hmexp.units import TIB, format_size

#: A child of a shared mapping has no copies: it sees the same pages.
SHARED_STAGE: Final = "child's copies"
#: What is looked at, by the column's name: kind of point, and where its placement stands in the result.
STAGES: Final[Mapping[str, tuple[str, str]]] = {
    "placed": ("cost", "proof"),
    "parent after fork": ("fork", "parent"),
    SHARED_STAGE: ("fork", "child"),
    "dropped, touched again": ("drop", "again"),
    "huge pages allowed": ("huge", "placed"),
}
#: Size that nobody here has: everything said of it is extrapolated.
FAR_BYTES: Final = TIB
#: Mappings (VMAs) of one process, unless the machine says otherwise (include/linux/mm.h).
DEFAULT_LIMIT: Final = 65530


@dataclass(frozen=True)
class SetupCosts:
    """One placer, all its launches together.

    Parameters
    ----------
    placer : str
        Its name.
    why_not : str or None
        Why there is nothing of it.
    exact_order : bool or None
        Whether it promises the node of each page.
    ns_per_page, ratio : Estimate or None
        Time per page [ns], and as a multiple of the plain mapping's; the interval is over launches.
    mappings : int or None
        Entries in the list of mappings (VMAs) for one region.
    pages : int
        Of that region [pages].
    page_tables_bytes, slab_bytes : float or None
        Kernel memory per page [bytes].
    resolution_bytes : float or None
        Largest amount by which the slab caches seemed to grow or shrink for the plain mapping, which needs
        none: what is below it cannot be distinguished from nothing [bytes per page].
    slab : mapping of str to float
        The same by cache [bytes per page].
    misplaced : mapping of str to float
        Share of pages on a wrong node or on none, by the names of `STAGES`.
    shared : bool
        Whether a forked child has the same pages, and no copies.
    """

    placer: str
    why_not: str | None
    exact_order: bool | None
    ns_per_page: Estimate | None
    ratio: Estimate | None
    mappings: int | None
    pages: int
    page_tables_bytes: float | None
    slab_bytes: float | None
    resolution_bytes: float | None
    slab: Mapping[str, float]
    misplaced: Mapping[str, float]
    shared: bool


def costs_of(study: StudyResults) -> list[SetupCosts]:
    """Put the records of each placer together."""
    known = dict.fromkeys(
        record.parameters.placer
        for record in study.records
        if isinstance(record.parameters, CostPoint | BehaviourPoint)
    )
    return [_costs(study, name) for name in sorted(known, key=_order)]


def _order(name: str) -> tuple[int, str]:
    listed = ("first_touch", "move_pages", "mbind", "shared_policy", "userfaultfd", "hybridmem", "interleave")
    return (listed.index(name) if name in listed else len(listed), name)


def _costs(study: StudyResults, name: str) -> SetupCosts:
    results = _costs_by(study, name)
    reasons = [str(r.reason) for r in study.not_ok if getattr(r.parameters, "placer", None) == name]
    placed = [entry for result in results for entry in result.placed]
    plain = [entry for result in results for entry in result.plain]
    slab = _slab(placed)
    noise = [abs(sum(entry.slab_bytes_per_page.values())) for entry in plain if entry.slab_bytes_per_page]
    last = results[-1] if results else None
    return SetupCosts(
        placer=name,
        why_not=None if results else (reasons or ["it was not measured"])[0].splitlines()[0],
        exact_order=None if last is None else last.exact_order,
        ns_per_page=estimate_of([median(e.ns_per_page for e in result.placed) for result in results]),
        ratio=estimate_of([median(result.ratio) for result in results]),
        mappings=max((entry.mappings for entry in placed), default=None),
        pages=0 if last is None else last.pages,
        page_tables_bytes=median(e.page_tables_bytes_per_page for e in placed) if placed else None,
        slab_bytes=sum(slab.values()) if slab else None,
        resolution_bytes=max(noise, default=None),
        slab=slab,
        misplaced=_misplaced(study, name),
        shared=any(result.shared for result in _behaviours(study, name, "fork")),
    )


def _costs_by(study: StudyResults, placer: str) -> list[CostRecord]:
    return [result for point, result, _ in study.measured(CostPoint, CostRecord) if point.placer == placer]


def _behaviours(study: StudyResults, placer: str, behaviour: str) -> list[Behaviour]:
    return [
        result
        for point, result, _ in study.measured(BehaviourPoint, Behaviour)
        if point.placer == placer and point.behaviour == behaviour
    ]


def _slab(entries: list[PopulateCost]) -> dict[str, float]:
    """Median growth of each cache [bytes per page]; what shrank was other processes' doing."""
    grown = [entry.slab_bytes_per_page or {} for entry in entries]
    caches = dict.fromkeys(name for one in grown for name in one)
    return {name: max(0.0, median(one.get(name, 0.0) for one in grown)) for name in caches}


def _misplaced(study: StudyResults, placer: str) -> dict[str, float]:
    shares = {}
    for stage, (kind, part) in STAGES.items():
        results: Sequence[CostRecord | Behaviour]
        results = _costs_by(study, placer) if kind == "cost" else _behaviours(study, placer, kind)
        looks: list[PlacementRecord | None] = [getattr(result, part) for result in results]
        found = [_share(look) for look in looks if look is not None]
        if found:
            shares[stage] = max(found)
    return shares


def _share(placement: PlacementRecord) -> float:
    return (placement.misplaced + placement.absent) / placement.pages


def costs_frame(study: StudyResults) -> pd.DataFrame:
    """The table of placers, one row each."""
    rows = [_cost_row(cost, study) for cost in costs_of(study)]
    return pd.DataFrame(rows).set_index("placer").convert_dtypes()


def _cost_row(cost: SetupCosts, study: StudyResults) -> dict[str, Any]:
    return {
        "placer": cost.placer,
        "exact_order": cost.exact_order,
        "ns_per_page": _at(cost.ns_per_page, "median"),
        "ns_low": _at(cost.ns_per_page, "low"),
        "ns_high": _at(cost.ns_per_page, "high"),
        "of_plain": _at(cost.ratio, "median"),
        "of_plain_low": _at(cost.ratio, "low"),
        "of_plain_high": _at(cost.ratio, "high"),
        "pages": cost.pages or None,
        "mappings": cost.mappings,
        "page_table_bytes_per_page": cost.page_tables_bytes,
        "slab_bytes_per_page": cost.slab_bytes,
        "slab_resolution_bytes_per_page": cost.resolution_bytes,
        **{f"misplaced: {stage}": cost.misplaced.get(stage) for stage in STAGES},
        "timing_valid": study.run.timing_valid,
        "not_measured": cost.why_not,
    }


def _at(estimate: Estimate | None, name: str) -> float | None:
    """An end of an interval; None where there is none that says anything."""
    if estimate is None or (estimate.says_nothing and name != "median"):
        return None
    return float(getattr(estimate, name))


@dataclass(frozen=True)
class CountedMappings:
    """A region of which each run of pages was bound by itself.

    Parameters
    ----------
    granule_bytes, size_bytes : int
        Of the region [bytes].
    counted : int
        Mappings that it was then of.
    needed : int
        How many it takes, by `mappings_needed`.
    slab_bytes : int or None
        What the kernel held for them [bytes].
    refused : str or None
        The kernel's words, if it stopped before the end.
    """

    granule_bytes: int
    size_bytes: int
    counted: int
    needed: int
    slab_bytes: int | None
    refused: str | None


def counted_mappings(study: StudyResults) -> list[CountedMappings]:
    """Every region whose mappings were counted, by granule and size."""
    found = []
    for given, result, _ in study.measured(MappingsPoint, Mappings):
        pattern = Pattern.parse(given.pattern, given.granule_bytes)
        for region in result.regions:
            held = None if region.slab_bytes is None else sum(region.slab_bytes.values())
            needed = mappings_needed(pattern, region.size_bytes)
            found.append(
                CountedMappings(
                    given.granule_bytes, region.size_bytes, region.mappings or 0, needed, held,
                    region.refused,
                )
            )  # fmt: skip
    return sorted(found, key=lambda c: (c.granule_bytes, c.size_bytes))


def mapping_limit(study: StudyResults) -> int:
    """Mappings that one process may have on the machine of the study (``vm.max_map_count``)."""
    return (None if study.run.provenance is None else study.run.provenance.max_map_count) or DEFAULT_LIMIT


def bytes_per_mapping(study: StudyResults) -> float | None:
    """Slab memory for one more mapping with a policy of its own, from the largest region [bytes]."""
    sized = [c for c in counted_mappings(study) if c.slab_bytes is not None and c.counted > _ENOUGH]
    if not sized:
        return None
    largest = max(sized, key=lambda c: c.counted)
    return (largest.slab_bytes or 0) / largest.counted


_ENOUGH: Final = 1000


def far_frame(study: StudyResults) -> pd.DataFrame:
    """What a region of 1 TiB would need of the kernel: **extrapolated**, and from what.

    Mappings by `mappings_needed` for two nodes in turn, kernel memory by what each mapping, or each page,
    was measured to take.
    """
    limit, each = mapping_limit(study), bytes_per_mapping(study)
    rows: list[dict[str, Any]] = []
    granules = sorted({c.granule_bytes for c in counted_mappings(study)} or {4096, 65536, 2 << 20})
    for granule in granules:
        needed = mappings_needed(Pattern((0, 1), granule), FAR_BYTES)
        rows.append(
            {
                "placer": "mbind",
                "granule": format_size(granule),
                "mappings": needed,
                "of the limit": needed / limit,
                "slab_gib": None if each is None else needed * each / 2**30,
                "from": "formula"
                if each is None
                else f"formula; {each:.0f} bytes for each mapping, no page touched",
            }
        )
    for cost in costs_of(study):
        if cost.placer == "mbind" or cost.slab_bytes is None:
            continue
        pages = FAR_BYTES // 4096
        below = cost.slab_bytes <= (cost.resolution_bytes or 0)
        rows.append(
            {
                "placer": cost.placer,
                "granule": format_size(int(_first_granule(study))),
                "mappings": cost.mappings if cost.mappings == 1 else None,
                "of the limit": (cost.mappings or 0) / limit if cost.mappings == 1 else None,
                "slab_gib": None if below else cost.slab_bytes * pages / 2**30,
                "from": f"{cost.pages} pages" + (": below what can be resolved" if below else ""),
            }
        )
    frame = pd.DataFrame(rows)
    frame.insert(2, "region", f"{format_size(FAR_BYTES)}, EXTRAPOLATED")
    return frame.set_index("placer")


def _first_granule(study: StudyResults) -> int:
    return next((point.granule_bytes for point, _, _ in study.measured(CostPoint, CostRecord)), 4096)
