"""What it costs to put pages in place: time, mappings and memory of the kernel, beside a plain mapping."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from hmexp import native
from hmexp.errors import NativeError, PlacerUnavailableError, PlacerUnsuitableError
from hmexp.memory.capacity import check_capacity
from hmexp.memory.page_sizes import HUGE_PAGE_BYTES
from hmexp.memory.placement import check_placement
from hmexp.memory.placers import Placer, find_placer
from hmexp.native import PAGE_BYTES, PageMapping
from hmexp.pattern import Pattern
from hmexp.store.evidence import PlacementRecord
from hmexp.store.results import CostRecord, MappedRegion, Mappings, PopulateCost
from hmexp.store.schema import Remark
from hmexp.system.cpus import on_one_cpu
from hmexp.system.kernel_memory import KernelMemory, count_mappings, read_kernel_memory
from hmexp.system.topology import read_topology


def open_mapping(name: str, pattern: Pattern, size_bytes: int) -> tuple[Placer, PageMapping]:
    """A placer that works here, and its mapping of whole pages, untouched.

    Raises
    ------
    PlacerUnavailableError
        If the placer cannot work here.
    PlacerUnsuitableError
        If it cannot do this pattern.
    CapacityError
        If a node has too little free memory.
    """
    placer = find_placer(name)
    obstacle = placer.unavailable()
    if obstacle is not None:
        raise PlacerUnavailableError(f"placer {name} cannot work here: {obstacle.reason}", obstacle.remedy)
    obstacle = placer.unsuitable(pattern)
    if obstacle is not None:
        raise PlacerUnsuitableError(obstacle.reason, obstacle.remedy)
    check_capacity(pattern, size_bytes, read_topology(idle=False))
    return placer, placer.map(size_bytes, max(HUGE_PAGE_BYTES, PAGE_BYTES), pattern)


def look(placer: Placer, mapping: PageMapping, pattern: Pattern) -> PlacementRecord:
    """Where the pages are now, held against what the placer promises: `Placement.to_record`."""
    placement = check_placement(
        mapping, pattern, placer_count=placer.count(mapping), exact_order=placer.exact_order
    )
    return placement.to_record()


@dataclass(frozen=True)
class Cost:
    """What one populated mapping took.

    Parameters
    ----------
    ns_per_page : float
        Wall time of placing [ns].
    kernel : KernelMemory
        What the kernel held more afterwards.
    mappings : int
        Entries in the process's list of mappings (VMAs).
    """

    ns_per_page: float
    kernel: KernelMemory
    mappings: int


def measure_setup(placer_name: str, pattern: Pattern, size_bytes: int, pairs: int) -> CostRecord:
    """Populate by a placer and plainly, in turn, and compare.

    The plain mapping is anonymous, without huge pages, populated by ``MADV_POPULATE_WRITE`` under the
    policy of the process: the least that pages can cost. Both have one CPU, so that a placer which touches by
    several threads is not compared with one thread.

    Parameters
    ----------
    placer_name : str
        Which placer.
    pattern : Pattern
        Of real nodes.
    size_bytes : int
        Of each mapping, in whole pages [bytes].
    pairs : int
        How often; which one comes first changes each time.

    Returns
    -------
    CostRecord
        Times of both in the order they were taken, mappings, memory of the kernel, and the proof of the
        last placement.

    Raises
    ------
    HmexpError
        If the placer cannot work here, or a node is too small.
    """
    placed: list[Cost] = []
    plain: list[Cost] = []
    proofs: list[PlacementRecord] = []
    details: dict[str, Remark] = {}

    def take_placed() -> None:
        placer, mapping = open_mapping(placer_name, pattern, size_bytes)
        try:
            placed.append(_take(mapping, lambda: details.update(placer.place(mapping, pattern).remarks)))
            proofs.append(look(placer, mapping, pattern))
        finally:
            mapping.close()

    def take_plain() -> None:
        mapping = PageMapping(size_bytes, max(HUGE_PAGE_BYTES, PAGE_BYTES))
        try:
            plain.append(_take(mapping, lambda: native.populate(mapping)))
        finally:
            mapping.close()

    # The first use of anything is dearer: code is read in, the kernel's lists fill.
    take_plain()
    take_placed()
    for kept in (placed, plain, proofs):
        kept.clear()
    for number in range(pairs):
        for take in (take_plain, take_placed)[:: 1 if number % 2 == 0 else -1]:
            take()
    return _compared(find_placer(placer_name), size_bytes // PAGE_BYTES, placed, plain, proofs, details)


def _compared(
    placer: Placer,
    pages: int,
    placed: Sequence[Cost],
    plain: Sequence[Cost],
    proofs: Sequence[PlacementRecord],
    details: dict[str, Remark],
) -> CostRecord:
    return CostRecord(
        pages=pages,
        page_bytes=PAGE_BYTES,
        placed=tuple(_record(cost, pages) for cost in placed),
        plain=tuple(_record(cost, pages) for cost in plain),
        ratio=tuple(a.ns_per_page / b.ns_per_page for a, b in zip(placed, plain, strict=True)),
        exact_order=placer.exact_order,
        misplaced=tuple(proof.misplaced for proof in proofs),
        absent=tuple(proof.absent for proof in proofs),
        proof=proofs[-1],
        details=details,
    )


def _take(mapping: PageMapping, place: Callable[[], object]) -> Cost:
    before = read_kernel_memory()
    with on_one_cpu():
        started = time.perf_counter_ns()
        place()
        elapsed_ns = time.perf_counter_ns() - started
    grown = read_kernel_memory().since(before)
    mappings = count_mappings(mapping.address, mapping.size_bytes)
    return Cost(elapsed_ns / (mapping.size_bytes // PAGE_BYTES), grown, mappings)


def _record(cost: Cost, pages: int) -> PopulateCost:
    slab = cost.kernel.slab_bytes
    return PopulateCost(
        ns_per_page=round(cost.ns_per_page, 3),
        mappings=cost.mappings,
        page_tables_bytes_per_page=cost.kernel.page_tables_bytes / pages,
        slab_bytes_per_page=None if slab is None else {name: n / pages for name, n in slab.items()},
    )


def measure_mappings(pattern: Pattern, sizes: Iterable[int]) -> Mappings:
    """Bind each run of pages by `mbind`, in regions of growing size, until the kernel refuses.

    No page is touched, so that a region may be larger than the memory.

    Parameters
    ----------
    pattern : Pattern
        Of real nodes, with its granule.
    sizes : iterable of int
        Of the regions, ascending [bytes].

    Returns
    -------
    Mappings
        For each size how many mappings (VMAs) there are then and what the kernel holds for them, and for
        the last the words of its refusal, if there was one.
    """
    found: list[MappedRegion] = []
    for size_bytes in sizes:
        mapping = PageMapping(size_bytes, max(HUGE_PAGE_BYTES, PAGE_BYTES))
        refusal: NativeError | None = None
        before = read_kernel_memory()
        try:
            native.bind_runs(mapping, pattern)
        except NativeError as error:
            refusal = error
        try:
            grown = read_kernel_memory().since(before)
            found.append(
                MappedRegion(
                    size_bytes=size_bytes,
                    mappings=count_mappings(mapping.address, mapping.size_bytes),
                    slab_bytes=None if grown.slab_bytes is None else dict(grown.slab_bytes),
                    refused=None if refusal is None else str(refusal),
                    errno=None if refusal is None else refusal.errno,
                )
            )
        finally:
            mapping.close()
        if refusal is not None:
            break
    return Mappings(regions=tuple(found))


def mappings_needed(pattern: Pattern, size_bytes: int) -> int:
    """Mappings (VMAs) that a region takes if each run of pages on one node has one of its own.

    Neighbours with the same node are one run: the kernel merges mappings with equal policies.
    """
    granules = -(-size_bytes // pattern.granule_bytes)
    nodes = pattern.nodes
    periods, rest = divmod(granules, len(nodes))
    around = sum(nodes[i] != nodes[i - 1] for i in range(len(nodes)))  # i - 1 of 0: the period before
    inside = sum(nodes[i] != nodes[i - 1] for i in range(1, rest))
    if periods == 0:
        return 1 + inside
    within = sum(nodes[i] != nodes[i - 1] for i in range(1, len(nodes)))
    joint = int(rest > 0 and nodes[0] != nodes[-1])
    return 1 + within + (periods - 1) * around + joint + inside
