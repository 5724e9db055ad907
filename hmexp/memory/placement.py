"""The proof: where every page of a region is, and how that compares with its pattern."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hmexp import native
from hmexp.errors import PlacementError
from hmexp.memory.page_sizes import HUGE_PAGE_BYTES, HUGE_SHARE
from hmexp.memory.portrait import draw_placement
from hmexp.memory.witnesses import ask_witnesses, name_absent
from hmexp.pattern import Pattern
from hmexp.store.evidence import PlacementRecord
from hmexp.system.smaps import read_huge_bytes
from hmexp.units import format_size

#: Granules shown in the strip of a report.
STRIP_GRANULES: Final = 96
#: Up to so many small pages are counted, not only known of: smaps takes longer than either witness.
_COUNTED_PAGES: Final = 1 << 16

#: What an errno means for a page (move_pages(2)).
_REASONS: Final = {
    "ENOENT": "not there (ENOENT)",
    "EFAULT": "the zero page, or not mapped (EFAULT)",
    "EBUSY": "busy (EBUSY)",
    "EIO": "under write-back (EIO)",
}
_SHARED_REMEDY: Final = "as root: echo 2 > /sys/kernel/mm/ksm/run undoes merging; fork no process meanwhile"


@dataclass(frozen=True)
class Placement:
    """Where the pages of a region were when it was looked at.

    Independent witnesses: `found` is the answer of the per-page query for every page, `numa_maps` is the
    kernel's own count for the mapping. Only the first knows about order; the second asks for no page.

    Parameters
    ----------
    pages : int
        Pages in the region [pages].
    expected, found, numa_maps : dict of int to int
        Pages per real node: by the pattern, by the query, by `/proc/self/numa_maps` [pages].
    misplaced : int
        Pages on another node than the pattern's; if only a ratio is promised, those by which nodes differ
        from the pattern's counts by more than one period [pages].
    first_misplaced : int or None
        Index of the first of them; None if only a ratio is promised.
    absent : dict of str to int
        Pages that are on no node, by the errno that the kernel gives as reason, or in words [pages].
    strip : tuple of two tuples of int
        The first granules of the region: the node that the pattern asks for (an emulated node by its own
        id), and the real node that was found (-1: none).
    placer_count : dict of int to int or None
        Pages per node by the placer's own account (the kernel module's counters) [pages].
    huge_share : float
        Part of the region that is in huge pages; in a region over 256 MiB that forbids them, 0 uncounted.
    exact_order : bool
        Whether the node of each page was promised; otherwise only the ratio, within one period.
    shared : int
        Anonymous pages whose frame is another's too: merged by KSM, or shared with a forked child [pages].
    first_shared : int or None
        Index of the first of them.
    frame_run_pages : float or None
        Mean length of runs of a node's frames that follow each other; None if not shown [pages].
    """

    pages: int
    expected: dict[int, int]
    found: dict[int, int]
    numa_maps: dict[int, int]
    misplaced: int
    first_misplaced: int | None
    absent: dict[str, int]
    strip: tuple[tuple[int, ...], tuple[int, ...]]
    placer_count: dict[int, int] | None = None
    huge_share: float = 0.0
    exact_order: bool = True
    shared: int = 0
    first_shared: int | None = None
    frame_run_pages: float | None = None

    @property
    def page_bytes(self) -> int | None:
        """Size of the pages that the kernel really gave; None if there are both sizes [bytes]."""
        if self.huge_share >= HUGE_SHARE:
            return HUGE_PAGE_BYTES
        return native.PAGE_BYTES if self.huge_share <= 1 - HUGE_SHARE else None

    @property
    def placer_agrees(self) -> bool:
        """Whether the placer's own account, if it keeps one, counts the same pages."""
        return self.placer_count is None or self.placer_count == self.found

    @property
    def numa_maps_agrees(self) -> bool:
        """Whether both witnesses count the same pages on the same nodes."""
        return self.numa_maps == self.found

    @property
    def ok(self) -> bool:
        """Whether every page is where the pattern says, by all witnesses."""
        wrong = self.misplaced or self.absent or self.shared
        return not wrong and self.numa_maps_agrees and self.placer_agrees

    @property
    def summary(self) -> str:
        """One sentence for a person."""
        where = ", ".join(f"{count} on node {node}" for node, count in sorted(self.found.items())) or "none"
        if self.ok and not self.exact_order:
            return f"{self.pages} pages are in the ratio of the pattern, within one period ({where})"
        if self.ok:
            return f"all {self.pages} pages are in place ({where})"
        faults = []
        if self.misplaced and not self.exact_order:
            faults.append(f"{self.misplaced} of {self.pages} pages are not in the ratio of the pattern")
        elif self.misplaced:
            faults.append(
                f"{self.misplaced} of {self.pages} pages are on a wrong node (the first is page "
                f"{self.first_misplaced})"
            )
        if self.absent:
            reasons = ", ".join(
                f"{count} {_REASONS.get(name, name)}" for name, count in sorted(self.absent.items())
            )
            faults.append(f"{sum(self.absent.values())} of {self.pages} pages are on no node ({reasons})")
        if self.shared:
            faults.append(
                f"{self.shared} of {self.pages} pages share their frame with another page (the first is page "
                f"{self.first_shared}): merged by KSM, or not copied yet after a fork"
            )
        if not self.numa_maps_agrees:
            faults.append(
                f"/proc/self/numa_maps counts {_counts(self.numa_maps)}, the query {_counts(self.found)}"
            )
        if self.placer_count is not None and not self.placer_agrees:
            faults.append(f"the placer counts {_counts(self.placer_count)}, the query {_counts(self.found)}")
        return f"{'; '.join(faults)}; expected {_counts(self.expected)}, found {_counts(self.found)}"

    def require(self) -> Placement:
        """Return this placement if it is right.

        Raises
        ------
        PlacementError
            If it is not, with how many pages are where.
        """
        if not self.ok:
            raise PlacementError(
                f"wrong placement: {self.summary}",
                _SHARED_REMEDY
                if self.shared
                else "another process may have moved the pages, or a node may be full; see `hmexp doctor`",
                self.to_record(),
            )
        return self

    def to_record(self) -> PlacementRecord:
        """The placement as it is stored."""
        return PlacementRecord(
            ok=self.ok,
            pages=self.pages,
            exact_order=self.exact_order,
            expected=dict(sorted(self.expected.items())),
            found=dict(sorted(self.found.items())),
            misplaced=self.misplaced,
            first_misplaced=self.first_misplaced,
            absent=sum(self.absent.values()),
            absent_reasons=dict(self.absent),
            numa_maps=dict(sorted(self.numa_maps.items())),
            numa_maps_agrees=self.numa_maps_agrees,
            placer_count=None if self.placer_count is None else dict(sorted(self.placer_count.items())),
            strip=self.strip,
            shared=self.shared,
            first_shared=self.first_shared,
            frame_run_pages=self.frame_run_pages,
            huge_share=round(self.huge_share, 6),
            page_bytes=self.page_bytes,
            summary=self.summary,
        )

    def _repr_html_(self) -> str:
        return draw_placement(self.to_record())


def check_placement(
    mapping: native.PageMapping,
    pattern: Pattern,
    asked: Pattern | None = None,
    placer_count: dict[int, int] | None = None,
    *,
    exact_order: bool = True,
) -> Placement:
    """Ask the kernel where every page of a region is.

    Parameters
    ----------
    mapping : PageMapping
        The region's memory.
    pattern : Pattern
        Real nodes that the pages must be on.
    asked : Pattern, optional
        The pattern as the person wrote it, with emulated nodes; shown in the strip.
    placer_count : dict of int to int, optional
        Pages per node by the placer's own account [pages].
    exact_order : bool
        Whether the node of each page is promised, or only the ratio within one period.

    Raises
    ------
    NativeError
        If the kernel refuses to tell.
    ParseError
        If `/proc/self/numa_maps` cannot be understood or has no line for the region.
    """
    pages = mapping.size_bytes // native.PAGE_BYTES
    where, numa_maps = ask_witnesses(mapping, pattern)
    expected = {node: n for node, n in pattern.pages_per_node(pages, native.PAGE_BYTES).items() if n}
    misplaced, first_misplaced = where.misplaced, where.first_misplaced
    if not exact_order:
        misplaced, first_misplaced = _count_unbalanced(where.found, expected, pattern), None
    return Placement(
        pages=pages,
        expected=expected,
        found=where.found,
        numa_maps=numa_maps,
        misplaced=misplaced,
        first_misplaced=first_misplaced,
        absent=name_absent(where),
        strip=_strip(mapping, asked or pattern, pages),
        placer_count=placer_count,
        huge_share=_huge_share(mapping, pages),
        exact_order=exact_order,
        shared=where.shared,
        first_shared=where.first_shared,
        frame_run_pages=round(where.frames / where.frame_runs, 3) if where.frame_runs else None,
    )


def _huge_share(mapping: native.PageMapping, pages: int) -> float:
    """Part of a region in huge pages; a mapping made without them has MADV_NOHUGEPAGE."""
    if not mapping.huge and pages > _COUNTED_PAGES:
        return 0.0
    return read_huge_bytes(mapping.address, mapping.size_bytes) / mapping.size_bytes


def _count_unbalanced(found: Mapping[int, int], expected: dict[int, int], pattern: Pattern) -> int:
    """Pages by which nodes have more, or less, than their share and one period more or less [pages].

    Both counts are whole periods and a part of one, so at most a period's share of the node apart.
    """
    granule_pages = pattern.granule_pages(native.PAGE_BYTES)
    more = less = 0
    for node in {*expected, *found}:
        difference = found.get(node, 0) - expected.get(node, 0)
        allowed = pattern.nodes.count(node) * granule_pages
        more += max(0, difference - allowed)
        less += max(0, -difference - allowed)
    return max(more, less)


def _strip(
    mapping: native.PageMapping, asked: Pattern, pages: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    granule_pages = asked.granule_pages(native.PAGE_BYTES)
    granules = -(-pages // granule_pages)
    shown = min(granules, STRIP_GRANULES)
    # The first granules in a row rather than a sample of all: an even spacing would alias with
    # the period and show a pattern that is not there.
    first_pages = [granule * granule_pages for granule in range(shown)]
    wanted = tuple(int(asked.page_nodes(page, 1, native.PAGE_BYTES)[0]) for page in first_pages)
    found = tuple(max(int(native.query_nodes(mapping, page, 1)[0]), -1) for page in first_pages)
    return wanted, found


def describe_need(pattern: Pattern, size_bytes: int) -> dict[int, int]:
    """Bytes that a region needs on each node of `pattern` [bytes]."""
    pages = size_bytes // native.PAGE_BYTES
    counts = pattern.pages_per_node(pages, native.PAGE_BYTES)
    return {node: count * native.PAGE_BYTES for node, count in counts.items() if count}


def describe_pages(counts: dict[int, int]) -> str:
    """Pages per node for a person: ``node 0: 87382 pages (341.3MiB)``."""
    return ", ".join(
        f"node {node}: {count} pages ({format_size(count * native.PAGE_BYTES)})"
        for node, count in sorted(counts.items())
    )


def _counts(counts: dict[int, int]) -> str:
    return " ".join(f"N{node}={count}" for node, count in sorted(counts.items())) or "no page"


def _keys_as_text(counts: dict[int, int]) -> dict[str, int]:
    return {str(node): count for node, count in sorted(counts.items())}
