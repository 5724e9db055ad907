"""What became of the pages of a program that was moved while it ran, as it is stored and printed."""

from __future__ import annotations

from hmexp.store.schema import Stored


class PageOutcomes(Stored, frozen=True, kw_only=True):
    """What became of each page, by a scan of its own at the end; each page is in one of these.

    Parameters
    ----------
    moved : int
        Asked to be moved at least once, and in its place [pages].
    already : int
        In its place without having been asked [pages].
    absent : int
        Asked, and not in memory any more: freed or swapped out [pages].
    zero : int
        The kernel's page of zeros: read, never written; on no node of its own [pages].
    shared : int
        Mapped by other processes, too, as after a fork; left until it is the program's own [pages].
    merged : int
        Merged with equal pages by the kernel (KSM) [pages].
    huge : int
        Part of a huge page that was not split and does not fit the granule [pages].
    busy : int
        In use by the kernel when it was asked for [pages].
    pinned : int
        Refused again and again while nothing else explains it: pinned for a device, a pipe or io_uring
        [pages].
    denied : int
        The kernel refused for want of a right [pages].
    no_room : int
        Its node had no room [pages].
    unseen : int
        In memory, on a node that we may not see [pages].
    waiting : int
        Not in its place, and not yet asked for, or not again [pages].
    """

    moved: int = 0
    already: int = 0
    absent: int = 0
    zero: int = 0
    shared: int = 0
    merged: int = 0
    huge: int = 0
    busy: int = 0
    pinned: int = 0
    denied: int = 0
    no_room: int = 0
    unseen: int = 0
    waiting: int = 0

    @property
    def in_place(self) -> int:
        """Pages in their place [pages]."""
        return self.moved + self.already

    @property
    def misplaced(self) -> int:
        """Pages that are in memory and not in their place, zero pages apart [pages]."""
        return (
            self.shared + self.merged + self.huge + self.busy + self.pinned + self.denied + self.no_room
            + self.unseen + self.waiting
        )  # fmt: skip

    @property
    def pages(self) -> int:
        """All of them [pages]."""
        return self.in_place + self.misplaced + self.absent + self.zero


class SpanOfTimes(Stored, frozen=True, kw_only=True):
    """A distribution of times, each known within an eighth.

    Parameters
    ----------
    count : int
        How many.
    median_seconds, p90_seconds, p99_seconds, longest_seconds : float or None
        The distribution [s]; None without any. The longest is exact.
    total_seconds : float
        All together [s].
    """

    count: int = 0
    median_seconds: float | None = None
    p90_seconds: float | None = None
    p99_seconds: float | None = None
    longest_seconds: float | None = None
    total_seconds: float = 0.0


class FollowedProcess(Stored, frozen=True, kw_only=True):
    """One process that was followed.

    Parameters
    ----------
    pid : int
        Its id.
    name : str
        Its name.
    ended : bool
        Whether it had ended when the last scan was to be made: then its pages are those that the last one
        before has found.
    unseen_seconds : float or None
        How long it had not been looked at by then [s]; None if it never was.
    outcomes : PageOutcomes
        Its pages, where they were by the last scan.
    by_node : dict of int to int
        Pages in memory by node, likewise [pages].
    replaced : int
        How often it has replaced its program (exec).
    """

    pid: int
    name: str = ""
    ended: bool = False
    unseen_seconds: float | None = None
    outcomes: PageOutcomes = PageOutcomes()
    by_node: dict[int, int] = {}
    replaced: int = 0


class Following(Stored, frozen=True, kw_only=True):
    """What a follower did, and where the pages were at the end.

    Parameters
    ----------
    pattern : str
        Nodes, by virtual page number; empty where pages were put back where they had been.
    granule_bytes : int
        Bytes in a row from one entry [bytes].
    why : str
        Why it stopped: `still`, `ended`, `stopped`, `time`, `oscillating`, `no_room`, `refused`, `churning`.
    reason : str
        The same for a person.
    complete : bool
        Whether every page that can be moved was in its place at the end, or when it was last looked at.
    outcomes : PageOutcomes
        What became of the pages, of all processes that live at the end together; if none does, of all that
        were followed, where their pages were when they were last looked at.
    by_node : dict of int to int
        Pages in memory by node, likewise [pages].
    processes : tuple of FollowedProcess
        Each process, those that had ended before the others among them.
    elapsed_seconds, cpu_seconds, scan_cpu_seconds : float
        Time; of it on the CPU; and of that, for scans [s].
    scans, calls : int
        How often it looked, and how often it called `move_pages`.
    page_moves : int
        Pages that were asked for and found in their place by the next scan; a page that came back counts
        again [pages].
    returned : int
        Pages that had been in their place after moving and were found elsewhere later [pages].
    untrue : int
        Pages that the kernel reported on their node while the next scan found them elsewhere [pages].
    split : int
        Huge pages that were split.
    call_times : SpanOfTimes
        Of calls of `move_pages`: a thread that touches a page of a batch waits for at most one.
    lag_at_most, lag_at_least : SpanOfTimes
        From first touch to place, of pages that appeared elsewhere while the program was followed. The touch
        was between two scans: counted from the earlier, the lag is the former at most, from the later, the
        latter at least.
    appeared_in_place : int
        Pages that appeared while the program was followed and were in their place at once [pages].
    room_bytes : dict of int to int
        Free memory of each node of the pattern at the end [bytes].
    settings : dict of str to str
        Settings of the machine that matter, as they were at the end.
    counters : dict of str to int
        By how much the machine's counters of migration grew meanwhile, for all processes.
    notes : tuple of str
        What a reader should know.
    """

    pattern: str
    granule_bytes: int
    why: str
    reason: str
    complete: bool
    outcomes: PageOutcomes = PageOutcomes()
    by_node: dict[int, int] = {}
    processes: tuple[FollowedProcess, ...] = ()
    elapsed_seconds: float = 0.0
    cpu_seconds: float = 0.0
    scan_cpu_seconds: float = 0.0
    scans: int = 0
    calls: int = 0
    page_moves: int = 0
    returned: int = 0
    untrue: int = 0
    split: int = 0
    call_times: SpanOfTimes = SpanOfTimes()
    lag_at_most: SpanOfTimes = SpanOfTimes()
    lag_at_least: SpanOfTimes = SpanOfTimes()
    appeared_in_place: int = 0
    room_bytes: dict[int, int] = {}
    settings: dict[str, str] = {}
    counters: dict[str, int] = {}
    notes: tuple[str, ...] = ()

    @property
    def cpu_ns_per_page(self) -> float | None:
        """CPU time for each page that was moved [ns]; None if none was."""
        return self.cpu_seconds / self.page_moves * 1e9 if self.page_moves else None

    @property
    def stall_ns_per_page(self) -> float | None:
        """Time in `move_pages` for each page that was moved [ns]; None if none was."""
        return self.call_times.total_seconds / self.page_moves * 1e9 if self.page_moves else None


class MovePreview(Stored, frozen=True, kw_only=True):
    """What moving a program would take; nothing was moved.

    Parameters
    ----------
    pid : int
        The process.
    name : str
        Its name.
    pattern : str
        Nodes, by virtual page number; empty where pages are to be put back.
    granule_bytes : int
        Bytes in a row from one entry [bytes].
    pages : int
        Its pages in memory, in private anonymous mappings [pages].
    by_node : dict of int to int
        Where they are [pages].
    outcomes : PageOutcomes
        Those that are in their place already, and those that are not, by what is in the way; `waiting` is
        nothing [pages].
    moving : int
        Pages that would be moved [pages].
    splitting : int
        Huge pages that would be split.
    arriving, leaving : dict of int to int
        Pages that each node of the pattern would gain and lose [pages].
    room_bytes : dict of int to int
        What each has room for [bytes].
    notes : tuple of str
        What a reader should know.
    """

    pid: int
    name: str
    pattern: str
    granule_bytes: int
    pages: int
    by_node: dict[int, int] = {}
    outcomes: PageOutcomes = PageOutcomes()
    moving: int = 0
    splitting: int = 0
    arriving: dict[int, int] = {}
    leaving: dict[int, int] = {}
    room_bytes: dict[int, int] = {}
    notes: tuple[str, ...] = ()
