"""The pages of a process looked at mapping by mapping: many small ones at once, a large one in parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hmexp.native.core import PAGE_BYTES
from hmexp.native.foreign import Scan
from hmexp.program.look.mappings import Mapping, Sort

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hmexp.native.foreign import Sight

#: A part of a mapping that is looked at in one go; lists of its pages are as long [bytes].
_WINDOW_BYTES: Final = 4 << 30
#: A mapping beyond this is first asked where it has pages at all [bytes].
_SPARSE_BYTES: Final = 1 << 30
#: Neighbours are looked at together, as long as all of them with what is between them is no larger [bytes].
_TOGETHER_BYTES: Final = 64 << 20
#: Addresses beyond these are the kernel's.
_USER_END: Final = 1 << 63


class PageWindows:
    """Looks at the pages of mappings, which should be asked for in order of their addresses.

    Parameters
    ----------
    sight : Sight
        What the pages are seen by.
    mappings : sequence of Mapping
        Those that will be asked for.
    """

    def __init__(self, sight: Sight, mappings: Sequence[Mapping]) -> None:
        self._sight = sight
        self._spans = _find_spans(mappings)
        self._last: Scan | None = None
        self.refused = 0
        """The errno by which ``move_pages`` refused to say where pages are; 0 where it did not."""

    def parts_of(self, mapping: Mapping) -> Iterator[Scan]:
        """The pages of a mapping, in one part or more; what is left out has none.

        Raises
        ------
        ProcessLookupError
            If the address space is gone.
        """
        span = self._spans.get(mapping.start)
        if not _has_memory(mapping):
            return
        if span is None:
            yield from self._large(mapping)
            return
        if self._last is None or self._last.start != span[0]:
            self._last = self._scan(*span)
        first = (mapping.start - span[0]) // PAGE_BYTES
        stop = first + mapping.size_bytes // PAGE_BYTES
        yield Scan(mapping.start, self._last.node[first:stop], self._last.flags[first:stop])

    def _large(self, mapping: Mapping) -> Iterator[Scan]:
        parts = [(mapping.start, mapping.stop)]
        if mapping.is_reservation and not _holds_pages(mapping) and not self._sight.categories:
            return  # a kernel that would have to walk all of it
        if mapping.size_bytes > _SPARSE_BYTES:
            parts = self._sight.occupied(mapping.start, mapping.stop)
        for begin, end in parts:
            for at in range(begin, end, _WINDOW_BYTES):
                yield self._scan(at, min(at + _WINDOW_BYTES, end))

    def _scan(self, start: int, stop: int) -> Scan:
        scan = self._sight.scan(start, stop)
        self.refused = self.refused or scan.refused
        return scan


def _find_spans(mappings: Sequence[Mapping]) -> dict[int, tuple[int, int]]:
    """The range that is looked at with each mapping, by where that begins; a large one has none."""
    spans: dict[int, tuple[int, int]] = {}
    together: list[int] = []
    begin = end = 0
    for mapping in mappings:
        if mapping.size_bytes > _TOGETHER_BYTES or not _has_memory(mapping):
            continue
        if not together or mapping.stop - begin > _TOGETHER_BYTES or mapping.start < end:
            spans.update(dict.fromkeys(together, (begin, end)))
            together, begin = [], mapping.start
        together.append(mapping.start)
        end = mapping.stop
    spans.update(dict.fromkeys(together, (begin, end)))
    return spans


def _has_memory(mapping: Mapping) -> bool:
    return mapping.sort is not Sort.SPECIAL and mapping.start < _USER_END


def _holds_pages(mapping: Mapping) -> bool:
    return mapping.numa is None or bool(mapping.numa.pages or mapping.numa.counters)
