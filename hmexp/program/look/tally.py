"""The pages of a mapping counted: by node, by what they are, and against a pattern."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
import numpy.typing as npt

from hmexp.native import foreign
from hmexp.native.core import PAGE_BYTES
from hmexp.program.look.mappings import HYBRIDMEM

if TYPE_CHECKING:
    from hmexp.native.foreign import Scan
    from hmexp.pattern import Pattern
    from hmexp.program.look.mappings import Mapping

Table = npt.NDArray[np.int64]
_FLAGS: Final = 128
#: Node -2 is the first row of a table, and -1 the second.
_BELOW: Final = 2


class PageTally(msgspec.Struct, frozen=True, kw_only=True):
    """The pages of a mapping, whatever their size, in pages of the machine's own size.

    Parameters
    ----------
    by_node : dict of int to int
        Pages on each node, by frames or by ``move_pages`` [pages].
    present : int
        Pages that are there, the zero page's left out [pages].
    swapped : int
        Pages that are swapped out, or under migration just then [pages].
    file : int
        Of those present, pages of files or of shared memory [pages].
    shared : int
        Of those present, pages that are mapped more than once, such as after a fork [pages].
    huge : int
        Of those present, pages in huge pages [pages].
    merged : int
        Of those present, pages that KSM has merged with others of the same content [pages].
    zero : int
        Addresses at which the kernel's zero page is: read, and never written to [pages].
    hidden : int
        Of those present, pages whose node could not be seen [pages].
    lost : int
        Pages that are not there and not in swap: poisoned, or on the move for long [pages].
    """

    by_node: dict[int, int] = {}
    present: int = 0
    swapped: int = 0
    file: int = 0
    shared: int = 0
    huge: int = 0
    merged: int = 0
    zero: int = 0
    hidden: int = 0
    lost: int = 0

    @property
    def anonymous(self) -> int:
        """Of those present, pages of neither a file nor shared memory [pages]."""
        return self.present - self.file


class PatternTally(msgspec.Struct, frozen=True, kw_only=True):
    """The pages of private memory held against a pattern, by virtual page number.

    `in_place`, `misplaced`, `swapped`, `unseen` and `absent` add up to the pages of the mappings.

    Parameters
    ----------
    in_place : int
        Pages on the node that the pattern gives them [pages].
    misplaced : int
        Pages on another [pages].
    unmovable : int
        Of the misplaced, those that ``move_pages`` refuses to move for this process alone [pages].
    reasons : dict of str to int
        Why, by reason [pages].
    straddling : int
        Of the misplaced, pages in huge pages that are larger than a granule: moved, each takes all pages of
        its huge page along [pages].
    swapped : int
        Pages that are swapped out [pages].
    unseen : int
        Pages whose node could not be seen [pages].
    absent : int
        Pages that are not there yet: never touched, or only read (the zero page) [pages].
    """

    in_place: int = 0
    misplaced: int = 0
    unmovable: int = 0
    reasons: dict[str, int] = {}
    straddling: int = 0
    swapped: int = 0
    unseen: int = 0
    absent: int = 0


class Counter:
    """Adds up the pages of one mapping, a part at a time.

    Parameters
    ----------
    mapping : Mapping
        Whose pages they are.
    pattern : Pattern or None
        Where they should be; None, and for a mapping that no verdict is on, they are only counted.
    """

    def __init__(self, mapping: Mapping, pattern: Pattern | None = None) -> None:
        self._mapping = mapping
        self._pattern = pattern if is_judged(mapping) else None
        # Pages by node, from -2 up, and flags.
        self._table: Table = np.zeros((_BELOW, _FLAGS), dtype=np.int64)
        self._in_place = 0
        self._misplaced: Table = np.zeros(_FLAGS, dtype=np.int64)

    def add(self, scan: Scan) -> None:
        """Count a part of the mapping."""
        key = (scan.node.astype(np.int32) + _BELOW) * _FLAGS + scan.flags
        counts = np.bincount(key, minlength=self._table.size)
        rows = -(-counts.size // _FLAGS)
        table = np.zeros((rows, _FLAGS), dtype=np.int64)
        table.reshape(-1)[: counts.size] = counts
        table[: self._table.shape[0]] += self._table
        self._table = table
        if self._pattern is not None:
            self._judge(scan, self._pattern)

    def _judge(self, scan: Scan, pattern: Pattern) -> None:
        first = (scan.start + phase_bytes(self._mapping)) // PAGE_BYTES
        expected = pattern.page_nodes(first, scan.node.size, PAGE_BYTES)
        right = scan.node == expected
        self._in_place += int(np.count_nonzero(right))
        self._misplaced += np.bincount(scan.flags[(scan.node >= 0) & ~right], minlength=_FLAGS)

    @cached_property
    def tally(self) -> PageTally:
        """What the pages are, once all are counted."""
        if not self._table.any():
            return _NOTHING
        by_flag = self._table.sum(axis=0)
        nodes = self._table.sum(axis=1)
        counts = dict(zip(_KINDS, (_MEMBERS @ by_flag).tolist(), strict=True))
        # What has no node though it is there and not of ordinary memory, is not merged.
        counts["merged"] -= int(_MEMBERS[_MERGED] @ self._table[0])
        return PageTally(
            by_node={row: n for row, n in enumerate(nodes[_BELOW:].tolist()) if n},
            hidden=int(nodes[0]),
            **counts,
        )

    def verdict(self) -> PatternTally | None:
        """How that is against the pattern; None without one."""
        if self._pattern is None:
            return None
        tally = self.tally
        counts = dict(zip(_KINDS, (_MEMBERS @ self._misplaced).tolist(), strict=True))
        merged, huge = counts["merged"], counts["huge"]
        shared = int(self._misplaced[_has(foreign.SHARED) & ~_has(foreign.OTHER)].sum())
        wrong = int(self._misplaced.sum())
        reasons = {"shared with another process": shared, "merged by KSM": merged}
        elsewhere = tally.swapped + tally.lost
        pages = self._mapping.size_bytes // PAGE_BYTES
        return PatternTally(
            in_place=self._in_place,
            misplaced=wrong,
            unmovable=shared + merged,
            reasons={reason: n for reason, n in reasons.items() if n},
            straddling=huge if self._pattern.granule_bytes < foreign.huge_page_bytes() else 0,
            swapped=elsewhere,
            unseen=tally.hidden,
            absent=pages - self._in_place - wrong - elsewhere - tally.hidden,
        )


def _has(flag: int) -> npt.NDArray[np.bool_]:
    return (np.arange(_FLAGS) & flag) > 0


def _find_kinds() -> dict[str, npt.NDArray[np.bool_]]:
    """Which combinations of flags each count of `PageTally` counts."""
    there = _has(foreign.PRESENT) & ~_has(foreign.ZERO)
    return {
        "present": there,
        "swapped": _has(foreign.SWAPPED),
        "file": there & _has(foreign.FILE),
        "shared": there & _has(foreign.SHARED),
        "huge": there & _has(foreign.HUGE),
        "merged": there & _has(foreign.OTHER),
        "zero": _has(foreign.ZERO),
        "lost": ~_has(foreign.PRESENT) & _has(foreign.OTHER),
    }


_NOTHING: Final = PageTally()
_KINDS: Final = tuple(_find_kinds())
_MERGED: Final = _KINDS.index("merged")
_MEMBERS: Final = np.array(list(_find_kinds().values()), dtype=np.int64)


def is_judged(mapping: Mapping) -> bool:
    """Whether a pattern is for the pages of a mapping: private memory that may be touched."""
    return not mapping.is_reservation and (mapping.sort.is_private_memory or is_hybridmem(mapping))


def is_hybridmem(mapping: Mapping) -> bool:
    """Whether it is memory from the kernel module, of which a process has a copy of its own."""
    return mapping.path.startswith(HYBRIDMEM) and mapping.permissions.endswith("p")


def phase_bytes(mapping: Mapping) -> int:
    """What is added to an address to find its place in a pattern [bytes].

    Private memory goes by address. The kernel module goes by where in its file a page is; `hmexp run` maps it
    so that this is the address, unless the program has moved the mapping since.
    """
    return mapping.offset_bytes - mapping.start if is_hybridmem(mapping) else 0


def add_verdicts(verdicts: list[PatternTally]) -> PatternTally:
    """The sum of several."""
    reasons: dict[str, int] = {}
    for verdict in verdicts:
        for reason, pages in verdict.reasons.items():
            reasons[reason] = reasons.get(reason, 0) + pages
    return PatternTally(
        in_place=sum(each.in_place for each in verdicts),
        misplaced=sum(each.misplaced for each in verdicts),
        unmovable=sum(each.unmovable for each in verdicts),
        reasons=reasons,
        straddling=sum(each.straddling for each in verdicts),
        swapped=sum(each.swapped for each in verdicts),
        unseen=sum(each.unseen for each in verdicts),
        absent=sum(each.absent for each in verdicts),
    )
