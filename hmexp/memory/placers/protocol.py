"""What every placer is asked for."""

from __future__ import annotations

from typing import Protocol

from hmexp.native import PageMapping
from hmexp.pattern import Pattern


class Placer(Protocol):
    """A way of putting pages on nodes."""

    @property
    def name(self) -> str:
        """What it is called in parameters and records."""

    @property
    def exact_order(self) -> bool:
        """Whether it promises the node of each page, not only how many pages each node gets."""

    def unavailable(self) -> str | None:
        """Why it cannot work on this machine, or None if it can."""

    def map(self, size_bytes: int, align_bytes: int, pattern: Pattern, huge: bool = False) -> PageMapping:
        """Make the mapping for a region of `pattern` (of real nodes), with no page of it touched.

        With `huge`, pages of 2 MiB are asked for, which need granules of as much, or one node alone;
        the kernel may not have them to give. Otherwise they are forbidden.

        Raises
        ------
        ParameterError
            If the placer cannot have huge pages for this pattern.
        NativeError
            If a system call is refused.
        """

    def count(self, mapping: PageMapping) -> dict[int, int] | None:
        """Pages per node by the placer's own account; None if it keeps none [pages]."""

    def place(self, mapping: PageMapping, pattern: Pattern) -> dict[str, object]:
        """Put every page of `mapping`, none of which was touched, where `pattern` (of real nodes) says.

        Returns
        -------
        dict
            What is worth recording about how it went, JSON-able.

        Raises
        ------
        NativeError
            If a system call is refused.
        """
