"""The pattern: an ordered, repeating list of nodes, and the granule it repeats at."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hmexp.errors import PatternError
from hmexp.markup import card, element, proportions, strip
from hmexp.ratio import EXAMPLES, MAX_ENTRIES, is_ratio, parse_ratio, spread
from hmexp.units import GIB, KIB, format_size, parse_size

#: Largest node id that any Linux configuration allows (CONFIG_NODES_SHIFT <= 10).
MAX_NODE: Final = 1023
MIN_GRANULE_BYTES: Final = 4 * KIB
MAX_GRANULE_BYTES: Final = GIB


@dataclass(frozen=True)
class Pattern:
    """Which node each granule of a region is on.

    Granule ``i`` of a region (counted from its start) is on ``nodes[i % len(nodes)]``. Order
    matters and repeats are the point: ``0,2,2`` puts every third granule on node 0.

    Parameters
    ----------
    nodes : tuple of int
        Node ids, in order.
    granule_bytes : int
        Bytes in a row from one entry [bytes]: a power of two from 4 KiB to 1 GiB.

    Raises
    ------
    PatternError
        If there is no entry, an id is out of range, or the granule is not such a power of two.
    """

    nodes: tuple[int, ...]
    granule_bytes: int = MIN_GRANULE_BYTES
    _nodes_array: npt.NDArray[np.int32] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.nodes:
            raise PatternError("the pattern is empty", EXAMPLES)
        if len(self.nodes) > MAX_ENTRIES:
            raise PatternError(f"the pattern has {len(self.nodes)} entries, more than {MAX_ENTRIES}")
        for node in dict.fromkeys(self.nodes):
            if not 0 <= node <= MAX_NODE:
                position = self.nodes.index(node)
                raise PatternError(
                    f"entry {position + 1} of the pattern is node {node}, outside 0..{MAX_NODE}", EXAMPLES
                )
        granule = self.granule_bytes
        if not MIN_GRANULE_BYTES <= granule <= MAX_GRANULE_BYTES or granule & (granule - 1):
            raise PatternError(
                f"granule {format_size(granule)} ({granule} bytes) is not a power of two from "
                f"{format_size(MIN_GRANULE_BYTES)} to {format_size(MAX_GRANULE_BYTES)}",
                f"use {_near_granule(granule)}, or another power of two",
            )
        array = np.asarray(self.nodes, dtype=np.int32)
        array.flags.writeable = False
        object.__setattr__(self, "_nodes_array", array)

    # ------------------------------------------------------------------ making

    @classmethod
    def parse(
        cls, text: str, granule: str | int = MIN_GRANULE_BYTES, *, ratio_nodes: tuple[int, ...] = ()
    ) -> Pattern:
        """Read a pattern such as ``0,2,2``, or a ratio such as ``1:2``.

        Parameters
        ----------
        text : str
            Node ids in decimal, separated by commas; blanks around them are allowed. Or whole numbers
            with colons: how many granules each of `ratio_nodes` has.
        granule : str or int
            The granule, as for `hmexp.units.parse_size` [bytes].
        ratio_nodes : tuple of int
            The nodes of a ratio, DRAM first.

        Raises
        ------
        PatternError
            With the entry that cannot be read; of a ratio, if its nodes are not named.
        """
        if not isinstance(text, str):
            raise PatternError(f"pattern {text!r} is not a text", EXAMPLES)
        if ":" in text:
            if not ratio_nodes and is_ratio(text):
                raise PatternError(
                    f"pattern {text!r} is a ratio, and its nodes are not named",
                    f"name them: Pattern.parse({text!r}, ratio_nodes=(0, 2))",
                )
            return cls.from_ratio(parse_ratio(text, ratio_nodes), granule)
        if not text.strip():
            raise PatternError("the pattern is empty", EXAMPLES)
        entries = text.split(",")
        # A long pattern has few words: each is read once, where it first stands.
        known: dict[str, int] = {}
        for entry in dict.fromkeys(entries):
            position, word = entries.index(entry) + 1, entry.strip()
            if not word:
                raise PatternError(f"pattern {text!r}: entry {position} is empty", EXAMPLES)
            if not (word.isascii() and word.isdigit()):
                raise PatternError(
                    f"pattern {text!r}: entry {position}, {word!r}, is not a node id", EXAMPLES
                )
            # Python refuses to convert absurdly long digit strings; four digits are beyond MAX_NODE.
            node = int(word) if len(word.lstrip("0")) <= len(str(MAX_NODE)) else MAX_NODE + 1
            if node > MAX_NODE:
                raise PatternError(
                    f"pattern {text!r}: entry {position}, {word!r}, is outside 0..{MAX_NODE}", EXAMPLES
                )
            known[entry] = node
        return cls(tuple(map(known.__getitem__, entries)), parse_size(granule))

    @classmethod
    def from_ratio(cls, ratio: Mapping[int, int], granule: str | int = MIN_GRANULE_BYTES) -> Pattern:
        """Spread nodes as evenly as possible, by Tijdeman's rule; see `hmexp.ratio.spread`.

        Parameters
        ----------
        ratio : mapping of int to int
            Weight of each node, e.g. ``{0: 1, 2: 2}``; a common divisor is taken out, and a node of
            weight 0 is left out.
        granule : str or int
            The granule, as for `hmexp.units.parse_size` [bytes].

        Raises
        ------
        PatternError
            If a weight is negative, or all are zero, or the cycle would be too long.
        """
        return cls(spread(ratio), parse_size(granule))

    @classmethod
    def parse_any(
        cls, text: str, ratio_nodes: tuple[int, ...], granule: str | int = MIN_GRANULE_BYTES
    ) -> Pattern:
        """Read a pattern (``0,2,2``) or a ratio (``1:2``) over `ratio_nodes`, DRAM first."""
        return cls.parse(text, granule, ratio_nodes=ratio_nodes)

    # ------------------------------------------------------------------ reading

    def __str__(self) -> str:
        return ",".join(map(str, self.nodes))

    @property
    def distinct_nodes(self) -> tuple[int, ...]:
        """The nodes of the pattern in order of first appearance."""
        return tuple(dict.fromkeys(self.nodes))

    @property
    def period_bytes(self) -> int:
        """Length of one repetition [bytes]."""
        return len(self.nodes) * self.granule_bytes

    def ratio(self) -> dict[int, int]:
        """Entries per node, without their common divisor."""
        counts = {node: self.nodes.count(node) for node in self.distinct_nodes}
        divisor = math.gcd(*counts.values())
        return {node: count // divisor for node, count in counts.items()}

    def replace_nodes(self, replacement: Mapping[int, int]) -> Pattern:
        """Return the pattern with each node that is a key of `replacement` exchanged for its value."""
        return Pattern(tuple(replacement.get(node, node) for node in self.nodes), self.granule_bytes)

    def granule_pages(self, page_bytes: int) -> int:
        """Pages in a granule.

        Raises
        ------
        PatternError
            If the granule is smaller than a page.
        """
        if self.granule_bytes % page_bytes:
            raise PatternError(
                f"granule {format_size(self.granule_bytes)} is smaller than a page "
                f"({format_size(page_bytes)}) of this machine",
                f"use a granule of {format_size(page_bytes)} or more",
            )
        return self.granule_bytes // page_bytes

    def page_nodes(self, first_page: int, pages: int, page_bytes: int) -> npt.NDArray[np.int32]:
        """Node of each page of a part of a region.

        Parameters
        ----------
        first_page, pages : int
            Index of the first page in the region, and how many [pages].
        page_bytes : int
            Size of a page [bytes].

        Returns
        -------
        numpy.ndarray
            Node ids, shape ``(pages,)``.
        """
        index = np.arange(first_page, first_page + pages, dtype=np.int64)
        found: npt.NDArray[np.int32] = self._nodes_array[
            (index // self.granule_pages(page_bytes)) % len(self.nodes)
        ]
        return found

    def pages_per_node(self, pages: int, page_bytes: int) -> dict[int, int]:
        """Pages that a region of `pages` pages has on each node [pages].

        Any number of pages, a multiple of the period or not: the last repetition, and in it the
        last granule, may be cut short.
        """
        if pages < 0:
            raise PatternError(f"a region cannot have {pages} pages")
        granule_pages = self.granule_pages(page_bytes)
        periods, rest = divmod(pages, granule_pages * len(self.nodes))
        totals = dict.fromkeys(self.distinct_nodes, 0)
        for node in self.nodes:
            part = min(granule_pages, rest)
            totals[node] += periods * granule_pages + part
            rest -= part
        return totals

    def share(self, nodes: Iterable[int]) -> float:
        """Part of the pattern's entries that is on `nodes`, from 0 to 1."""
        wanted = set(nodes)
        return sum(node in wanted for node in self.nodes) / len(self.nodes)

    def _repr_html_(self) -> str:
        counts = self.ratio()
        names, shares = " : ".join(f"node {node}" for node in counts), " : ".join(map(str, counts.values()))
        wording = f"{names} = {shares}" if len(counts) > 1 else f"all on {names}"
        wording += f", {format_size(self.granule_bytes)} from each entry, repeated every "
        wording += f"{format_size(self.period_bytes)}"
        return card(strip(self.nodes), proportions(counts), element("div", wording))

    def __getstate__(self) -> dict[str, Any]:
        return {"nodes": self.nodes, "granule_bytes": self.granule_bytes}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)
        self.__post_init__()


def _near_granule(granule_bytes: int) -> str:
    """The largest granule that can be used up to a size, or the smallest."""
    inside = min(max(granule_bytes, MIN_GRANULE_BYTES), MAX_GRANULE_BYTES)
    return format_size(1 << (inside.bit_length() - 1))
