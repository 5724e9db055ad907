"""The evidence beside a number: how its pages were placed, where each was, and what disturbed its samples."""

from __future__ import annotations

from hmexp.store.schema import Remark, Stored


class PlacementRecord(Stored, frozen=True, kw_only=True, gc=False):
    """Where every page of a region was, once.

    Parameters
    ----------
    ok : bool
        Whether every page was in place, by all witnesses.
    pages : int
        Pages in the region [pages].
    expected : dict of int to int
        Pages of each real node by the pattern [pages].
    found : dict of int to int
        Pages of each real node by asking the kernel for each page [pages].
    numa_maps : dict of int to int
        Pages of each real node by `/proc/self/numa_maps` [pages].
    misplaced : int
        Pages on another node than the pattern's [pages].
    first_misplaced : int or None
        Index of the first misplaced page; None without one.
    absent : int
        Pages on no node [pages].
    absent_reasons : dict of str to int
        Absent pages by the kernel's reason, an errno, or in words (swapped out, poisoned) [pages].
    shared : int
        Anonymous pages that share their frame with another page [pages].
    first_shared : int or None
        Index of the first of them; None without one.
    frame_run_pages : float or None
        How many pages of a node, in a row, have frames that follow each other, on average; None unless the
        kernel showed frames. A chase over scattered 4 KiB pages is slower by some per cent [pages].
    numa_maps_agrees : bool
        Whether `found` and `numa_maps` agree.
    placer_count : dict of int to int or None
        Pages of each node by the placer's own account (the kernel module's); None without one
        [pages].
    exact_order : bool
        Whether the placer promises the order of the pattern, not its ratio alone.
    strip : tuple of tuple of int
        Two rows for the first granules: the node asked for (an emulated one by its own number), and
        the real node found (-1: none). Empty where it equals the point's own.
    huge_share : float
        Part of the region that is in huge pages (0 where they were forbidden and not counted).
    page_bytes : int or None
        Size of the pages that the kernel gave; None if mixed or unknown [bytes].
    summary : str
        All of this in a sentence.
    """

    ok: bool
    pages: int
    expected: dict[int, int]
    found: dict[int, int]
    numa_maps: dict[int, int]
    misplaced: int = 0
    first_misplaced: int | None = None
    absent: int = 0
    absent_reasons: dict[str, int] = {}
    shared: int = 0
    first_shared: int | None = None
    frame_run_pages: float | None = None
    numa_maps_agrees: bool = True
    placer_count: dict[int, int] | None = None
    exact_order: bool = True
    strip: tuple[tuple[int, ...], ...] = ()
    huge_share: float = 0.0
    page_bytes: int | None = None
    summary: str = ""


class Proof(Stored, frozen=True, kw_only=True, gc=False):
    """The proof around the samples.

    Parameters
    ----------
    before : PlacementRecord or None
        Where every page was before the samples; None if nobody looked.
    after : PlacementRecord or None
        Where every page was after the samples; None if nobody looked.
    """

    before: PlacementRecord | None = None
    after: PlacementRecord | None = None


class NoiseRecord(Stored, frozen=True, kw_only=True, gc=False):
    """What else happened while samples were taken; disturbed samples are kept, and marked.

    Parameters
    ----------
    preempted : tuple of int
        Involuntary context switches during each sample.
    migrated : tuple of int
        Threads that ended each sample on another CPU.
    off_cpu : tuple of float
        Largest part of each sample's time that a thread did not run.
    stolen : tuple of float
        Largest part of each sample's time that the hypervisor took.
    flags : tuple of tuple of str
        What disturbed each sample: `preempted`, `migrated`, `foreign`, `steal`, `short`.
    disturbed : int
        Samples with a flag; they are kept.
    waited_for_model : float or None
        Part of the time that threads waited for emulated nodes; None on real nodes.
    warnings : tuple of str
        What a reader should know.
    """

    preempted: tuple[int, ...] = ()
    migrated: tuple[int, ...] = ()
    off_cpu: tuple[float, ...] = ()
    stolen: tuple[float, ...] = ()
    flags: tuple[tuple[str, ...], ...] = ()
    disturbed: int = 0
    waited_for_model: float | None = None
    warnings: tuple[str, ...] = ()


class SetupRecord(Stored, frozen=True, kw_only=True, gc=False):
    """What making the region took.

    Parameters
    ----------
    ns_per_page : float
        Time to place a page [ns].
    seconds : float or None
        Time to place all pages [s].
    page_bytes : int or None
        Size of the machine's base page [bytes].
    details : dict of str to remark
        Remarks of the placer, by their names.
    """

    ns_per_page: float
    seconds: float | None = None
    page_bytes: int | None = None
    details: dict[str, Remark] = {}
