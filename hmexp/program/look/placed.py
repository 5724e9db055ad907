"""The pages of a program as they were found: counted, added up, held against a pattern."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from hmexp.native.core import PAGE_BYTES
from hmexp.program.look.kinds import node_kinds
from hmexp.program.look.reading import PlacedMapping, ProcessPlacement
from hmexp.program.look.tally import PatternTally, add_verdicts

if TYPE_CHECKING:
    from collections.abc import Iterable


class PlacedProgram(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Where the pages of a program are.

    A page that several of its processes map is counted once for each: after a fork, two processes have more
    pages than memory is used.

    Parameters
    ----------
    pid : int
        The process that was asked for.
    name : str
        Its name for the kernel.
    pattern : str or None
        Node of each granule in turn; None where there is nothing to hold the pages against.
    granule_bytes : int or None
        Bytes in a row from one entry of the pattern [bytes].
    page_bytes : int
        Size of the pages that are counted [bytes].
    processes : tuple of ProcessPlacement
        The process, and those that descend from it.
    unseen : tuple of str
        What could not be seen, for people.
    cost_seconds : float
        How long reading took [s].
    cpu_seconds : float
        CPU time of that [s].
    """

    pid: int
    name: str
    pattern: str | None = None
    granule_bytes: int | None = None
    page_bytes: int = PAGE_BYTES
    processes: tuple[ProcessPlacement, ...]
    unseen: tuple[str, ...] = ()
    cost_seconds: float = 0.0
    cpu_seconds: float = 0.0

    @property
    def mappings(self) -> tuple[PlacedMapping, ...]:
        """The mappings of all processes."""
        return tuple(mapping for process in self.processes for mapping in process.mappings)

    @property
    def by_node(self) -> dict[int, int]:
        """Pages on each node, of all mappings [pages]."""
        return _add(mapping.by_node for mapping in self.mappings)

    @property
    def anonymous_by_node(self) -> dict[int, int]:
        """Pages of private memory on each node: what a pattern is for [pages]."""
        return _add(mapping.by_node for mapping in self.mappings if mapping.is_judged)

    @property
    def by_kind(self) -> dict[str, int]:
        """Pages on each kind of node, such as ``dram`` [pages]."""
        kinds = node_kinds()
        found: Counter[str] = Counter()
        for node, pages in self.by_node.items():
            found[kinds.get(node, "unknown")] += pages
        return dict(found)

    @property
    def by_sort(self) -> dict[str, dict[int, int]]:
        """Pages on each node, by what they are of: the sorts of mappings [pages]."""
        sorts = dict.fromkeys(mapping.sort for mapping in self.mappings)
        return {
            sort: _add(mapping.by_node for mapping in self.mappings if mapping.sort == sort) for sort in sorts
        }

    @cached_property
    def verdict(self) -> PatternTally | None:
        """All private memory against the pattern; None without one."""
        found = [mapping.verdict for mapping in self.mappings if mapping.verdict is not None]
        return add_verdicts(found) if self.pattern is not None else None

    @property
    def in_place(self) -> int:
        """Pages on the node that the pattern gives them [pages]."""
        return self.verdict.in_place if self.verdict else 0

    @property
    def misplaced(self) -> int:
        """Pages on another node [pages]."""
        return self.verdict.misplaced if self.verdict else 0

    @property
    def unmovable(self) -> int:
        """Of the misplaced, those that cannot be moved for this process alone [pages]."""
        return self.verdict.unmovable if self.verdict else 0

    @property
    def absent(self) -> int:
        """Pages of private memory that are not there yet [pages]."""
        return self.verdict.absent if self.verdict else 0

    @property
    def outside(self) -> dict[str, int]:
        """Anonymous pages that are not where the pattern has them, by what they are of [pages].

        Empty without a pattern. Private copies of pages of files are anonymous memory, too, that no way of
        placing pages gives a place.
        """
        found: Counter[str] = Counter()
        for mapping in self.mappings if self.pattern is not None else ():
            if mapping.verdict is not None:
                found[mapping.sort] += mapping.verdict.misplaced
            elif mapping.pages.anonymous:
                found["copies of file pages" if mapping.sort == "file" else mapping.sort] += (
                    mapping.pages.anonymous
                )
        return {sort: pages for sort, pages in found.items() if pages}

    @property
    def outside_share(self) -> float:
        """Part of the anonymous pages that `outside` counts, from 0 to 1; 0 without any."""
        outside = sum(self.outside.values())
        return outside / (outside + self.in_place) if outside else 0.0

    @property
    def disagreements(self) -> tuple[str, ...]:
        """Where frames and ``numa_maps`` say something else, for people."""
        return tuple(
            f"process {process.pid}: {text}" for process in self.processes for text in process.disagreements
        )

    @property
    def ok(self) -> bool:
        """Whether nothing is misplaced, swapped out or unseen; so, too, without a pattern."""
        verdict = self.verdict
        return verdict is None or not (verdict.misplaced or verdict.swapped or verdict.unseen)

    def to_record(self) -> dict[str, Any]:
        """All of it as JSON has it, with the totals."""
        record: dict[str, Any] = msgspec.to_builtins(self, str_keys=True)
        return record | {
            "by_node": {str(node): pages for node, pages in self.by_node.items()},
            "by_kind": self.by_kind,
            "by_sort": {
                sort: {str(node): pages for node, pages in nodes.items()}
                for sort, nodes in self.by_sort.items()
            },
            "verdict": msgspec.to_builtins(self.verdict, str_keys=True),
            "outside": self.outside,
            "ok": self.ok,
        }

    def to_json(self) -> str:
        """All of it as a line of JSON."""
        return msgspec.json.encode(self.to_record()).decode()


def _add(tallies: Iterable[dict[int, int]]) -> dict[int, int]:
    found: Counter[int] = Counter()
    for tally in tallies:
        found.update(tally)
    return dict(sorted(found.items()))
