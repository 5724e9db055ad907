"""Where pages belong: by a pattern, or where a journal says that they were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from hmexp.native import PAGE_BYTES
from hmexp.pattern import Pattern

Pages = npt.NDArray[np.uint64]
Nodes = npt.NDArray[np.int32]

#: In place of a node: wherever the page is, it may stay.
ANYWHERE: Final = -1


class Wish(Protocol):
    """Where each page of a process belongs."""

    @property
    def granule_bytes(self) -> int:
        """Bytes in a row, from a multiple of it on, that belong on one node [bytes]."""

    @property
    def text(self) -> str:
        """The pattern; empty for none."""

    @property
    def all_nodes(self) -> tuple[int, ...]:
        """Every node that it names, ascending."""

    def nodes(self, pages: Pages) -> Nodes:
        """The node of each page, by virtual page number, or `ANYWHERE`."""


@dataclass(frozen=True)
class PatternWish:
    """A pattern by virtual page number: a mapping that grows downwards keeps its phase."""

    pattern: Pattern

    @property
    def granule_bytes(self) -> int:
        """See `Wish`."""
        return self.pattern.granule_bytes

    @property
    def text(self) -> str:
        """See `Wish`."""
        return ",".join(map(str, self.pattern.nodes))

    @property
    def all_nodes(self) -> tuple[int, ...]:
        """See `Wish`."""
        return tuple(sorted(set(self.pattern.nodes)))

    def nodes(self, pages: Pages) -> Nodes:
        """See `Wish`."""
        entries = np.asarray(self.pattern.nodes, dtype=np.int32)
        granule_pages = np.uint64(self.pattern.granule_bytes // PAGE_BYTES)
        return entries[(pages // granule_pages % np.uint64(len(entries))).astype(np.int64)]


@dataclass(frozen=True)
class FormerWish:
    """Where pages were before they were moved.

    Parameters
    ----------
    pages : numpy.ndarray
        Virtual page numbers, ascending, each once, dtype uint64, shape ``(pages,)``.
    origins : numpy.ndarray
        Node of each, dtype int32, shape ``(pages,)``.
    """

    pages: Pages
    origins: Nodes
    granule_bytes: int = PAGE_BYTES
    text: str = ""

    @property
    def all_nodes(self) -> tuple[int, ...]:
        """See `Wish`."""
        return tuple(np.unique(self.origins[self.origins >= 0]).tolist())

    def nodes(self, pages: Pages) -> Nodes:
        """See `Wish`."""
        index, known = find_sorted(self.pages, pages)
        wanted = np.full(len(pages), ANYWHERE, dtype=np.int32)
        wanted[known] = self.origins[index[known]]
        return wanted


def find_sorted(known: Pages, pages: Pages) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Where pages stand in an ascending list, and which of them are in it.

    Parameters
    ----------
    known : numpy.ndarray
        Virtual page numbers, ascending, each once.
    pages : numpy.ndarray
        Those looked for.

    Returns
    -------
    tuple of numpy.ndarray
        An index into `known` for each, and whether it is that page.
    """
    index = np.searchsorted(known, pages)
    if not known.size:
        return np.zeros(len(pages), dtype=np.int64), np.zeros(len(pages), dtype=np.bool_)
    index = np.minimum(index, len(known) - 1)
    return index, known[index] == pages
