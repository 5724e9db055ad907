"""Where the pages of one process are: read by frames or `move_pages`, and by numa_maps, and compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from hmexp.errors import ProgramError
from hmexp.native.core import PAGE_BYTES
from hmexp.program.look.mappings import Mapping, Sort, read_mappings
from hmexp.program.look.scan import open_sight
from hmexp.program.look.sight import say_limits
from hmexp.program.look.tally import Counter, PageTally, PatternTally, is_judged
from hmexp.program.look.target import Target, read_target, require_target
from hmexp.program.look.windows import PageWindows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hmexp.native.foreign import Sight
    from hmexp.pattern import Pattern

#: How often a process is read that executes another program in the meantime.
_ATTEMPTS: Final = 3
#: How many mappings are looked at a second time, because the two ways of looking disagree.
_LOOKED_AT_AGAIN: Final = 64


class PlacedMapping(msgspec.Struct, frozen=True, kw_only=True):
    """A mapping with its pages.

    Parameters
    ----------
    start, stop : int
        Its addresses [bytes].
    permissions : str
        Such as ``rw-p``.
    path : str
        What is mapped; empty for memory of no file.
    sort : str
        ``anonymous``, ``heap``, ``stack``, ``file``, ``shared``, ``device`` or ``special``.
    policy : str
        Its memory policy as the kernel writes it.
    page_bytes : int
        Size of its pages [bytes]; a transparent huge page counts as many small ones.
    pages : PageTally
        Its pages, in pages of the machine's own size.
    numa_maps : dict of int to int or None
        Its pages by node as ``numa_maps`` counts them, in the same size; None where it has no line there
        [pages].
    is_judged : bool
        Whether it is private memory, which a pattern is for.
    verdict : PatternTally or None
        Its pages against the pattern; None without one, and for what no pattern is for.
    """

    start: int
    stop: int
    permissions: str
    path: str
    sort: str
    policy: str = ""
    page_bytes: int = PAGE_BYTES
    pages: PageTally
    numa_maps: dict[int, int] | None = None
    is_judged: bool = False
    verdict: PatternTally | None = None

    @property
    def size_bytes(self) -> int:
        """Its size, whatever of it is there [bytes]."""
        return self.stop - self.start

    @property
    def by_node(self) -> dict[int, int]:
        """Its pages on each node: as ``numa_maps`` counts them, where a page's own node is hidden [pages]."""
        return self.numa_maps if self.pages.hidden and self.numa_maps is not None else self.pages.by_node

    @property
    def agrees(self) -> bool:
        """Whether both ways of looking found the same; so, too, where one could not look."""
        return self.numa_maps is None or self.pages.hidden > 0 or self.numa_maps == self.pages.by_node


class ProcessPlacement(msgspec.Struct, frozen=True, kw_only=True):
    """Where the pages of one process are.

    Parameters
    ----------
    pid : int
        The process.
    name : str
        Its name for the kernel.
    parent : int
        Its parent.
    by_frames : bool
        Whether nodes were found by frames; else ``move_pages`` was asked.
    mappings : tuple of PlacedMapping
        All of its mappings, in order of their addresses.
    disagreements : tuple of str
        Where frames (or ``move_pages``) and ``numa_maps`` say something else, for people.
    unseen : tuple of str
        What could not be seen, for people.
    """

    pid: int
    name: str
    parent: int
    by_frames: bool
    mappings: tuple[PlacedMapping, ...]
    disagreements: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()


def read_process(pid: int, pattern: Pattern | None = None) -> ProcessPlacement:
    """Read where the pages of one process are.

    Raises
    ------
    ProgramError
        If it has ended, has no memory of its own, or is not for this user to see; with what is needed.
    """
    for _attempt in range(_ATTEMPTS):
        target = require_target(pid)
        try:
            with open_sight(pid) as sight:
                return _read_with(sight, target, pattern)
        except ProcessLookupError:
            if require_target(pid).start_ticks != target.start_ticks:
                break
    raise ProgramError(
        f"process {pid} did not stay the same program while it was read, {_ATTEMPTS} times",
        "it executes one program after another: read it again when that has ended",
    )


def _read_with(sight: Sight, target: Target, pattern: Pattern | None) -> ProcessPlacement:
    mappings = read_mappings(target.pid)
    if not mappings:
        # Of a process that ends, the address space goes first.
        require_target(target.pid)
        raise ProcessLookupError(target.pid)
    windows = PageWindows(sight, mappings)
    placed = [_place(windows, mapping, pattern) for mapping in mappings]
    placed, disagreements, changed = _compare(sight, target, placed, pattern)
    after = {(m.start, m.stop, m.path) for m in read_mappings(target.pid, numa=False)}
    changed += sum((mapping.start, mapping.stop, mapping.path) not in after for mapping in mappings)
    if read_target(target.pid).start_ticks != target.start_ticks:
        raise ProcessLookupError(target.pid)
    unseen = say_limits(sight, [each.pages for each in placed], windows.refused, has_numa=_has_numa(mappings))
    if changed:
        unseen.append(
            f"{changed} of {len(mappings)} mappings changed while they were read: their pages were counted "
            "at different moments"
        )
    return ProcessPlacement(
        pid=target.pid,
        name=target.name,
        parent=target.parent,
        by_frames=sight.frames_shown,
        mappings=tuple(placed),
        disagreements=tuple(disagreements),
        unseen=tuple(unseen),
    )


def _has_numa(mappings: Sequence[Mapping]) -> bool:
    return any(mapping.numa is not None for mapping in mappings)


def _place(windows: PageWindows, mapping: Mapping, pattern: Pattern | None) -> PlacedMapping:
    counter = Counter(mapping, pattern)
    for part in windows.parts_of(mapping):
        counter.add(part)
    return PlacedMapping(
        start=mapping.start,
        stop=mapping.stop,
        permissions=mapping.permissions,
        path=mapping.path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"),
        sort=mapping.sort.value,
        policy=mapping.policy,
        page_bytes=mapping.page_bytes,
        pages=counter.tally,
        numa_maps=_by_numa_maps(mapping),
        is_judged=is_judged(mapping),
        verdict=counter.verdict(),
    )


def _by_numa_maps(mapping: Mapping) -> dict[int, int] | None:
    if mapping.numa is None or mapping.sort is Sort.SPECIAL:
        return None
    found = {node: n // PAGE_BYTES for node, n in mapping.numa.bytes_by_node.items() if n}
    return dict(sorted(found.items()))


def _compare(
    sight: Sight, target: Target, placed: list[PlacedMapping], pattern: Pattern | None
) -> tuple[list[PlacedMapping], list[str], int]:
    """Look again where the two ways differ: they disagree, or a program that runs has changed in between."""
    doubtful = [each for each in placed if not each.agrees]
    if not doubtful:
        return placed, [], 0
    again = {mapping.start: mapping for mapping in read_mappings(target.pid)}
    second: dict[int, PlacedMapping] = {}
    changed, said = 0, []
    still = read_target(target.pid).minor_faults == target.minor_faults
    for first in doubtful:
        mapping = again.get(first.start)
        if mapping is None or len(second) == _LOOKED_AT_AGAIN:
            changed += mapping is not None  # one that is gone is counted where all are
            continue
        found = _place(PageWindows(sight, [mapping]), mapping, pattern)
        second[first.start] = found
        if found.agrees:
            continue
        same = found.pages.by_node == first.pages.by_node and found.numa_maps == first.numa_maps
        if same and still and read_target(target.pid).minor_faults == target.minor_faults:
            said.append(_say_disagreement(found, by_frames=sight.frames_shown))
        else:
            changed += 1
    return [second.get(each.start, each) for each in placed], said, changed


def _say_disagreement(found: PlacedMapping, *, by_frames: bool) -> str:
    ours, theirs = found.pages.by_node, found.numa_maps or {}
    return (
        f"{found.start:x}-{found.stop:x} ({found.path or found.sort}): "
        f"{'frames say' if by_frames else 'move_pages says'} {_say(ours)}; numa_maps says {_say(theirs)}"
    )


def _say(by_node: dict[int, int]) -> str:
    return ", ".join(f"node {node}: {pages} pages" for node, pages in by_node.items()) or "no pages"
