"""What every placer is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from hmexp.native import PageMapping
from hmexp.pattern import Pattern
from hmexp.store.parts import SettingRecord
from hmexp.store.schema import Remark


@dataclass(frozen=True)
class Obstacle:
    """Why something cannot be done here.

    Parameters
    ----------
    reason : str
        What is in the way, exactly.
    remedy : str
        What to do about it.
    """

    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.reason}; {self.remedy}"


@dataclass(frozen=True)
class Placed:
    """How placing went.

    Parameters
    ----------
    remarks : mapping of str to remark
        What the placer has to say.
    settings : mapping of str to SettingRecord
        Settings of the machine that were changed meanwhile.
    """

    remarks: Mapping[str, Remark] = field(default_factory=dict)
    settings: Mapping[str, SettingRecord] = field(default_factory=dict)


class Placer(Protocol):
    """A way of putting pages on nodes."""

    @property
    def name(self) -> str:
        """What it is called in parameters and records."""

    @property
    def exact_order(self) -> bool:
        """Whether it promises the node of each page, not only how many pages each node gets."""

    @property
    def lazy(self) -> bool:
        """Whether a page that is touched first, or again after it was dropped, gets to its node by itself."""

    @property
    def needs(self) -> str:
        """What it needs of the machine, in a few words."""

    @property
    def granules(self) -> tuple[int, int]:
        """The smallest and the largest granule that it can do [bytes]."""

    def unavailable(self) -> Obstacle | None:
        """Why it cannot work on this machine, or None if it can. Found by trying."""

    def unsuitable(self, pattern: Pattern, huge: bool = False) -> Obstacle | None:
        """Why it cannot do this pattern (with these pages), or None if it can, where it works at all."""

    def map(self, size_bytes: int, align_bytes: int, pattern: Pattern, huge: bool = False) -> PageMapping:
        """Make the mapping for a region of `pattern` (of real nodes), with no page of it touched.

        With `huge`, pages of 2 MiB are asked for, which need granules of as much, or one node alone;
        the kernel may not have them to give. Otherwise they are forbidden.

        Raises
        ------
        PlacerUnsuitableError
            If the placer cannot do this pattern, or not with huge pages.
        NativeError
            If a system call is refused.
        """

    def count(self, mapping: PageMapping) -> dict[int, int] | None:
        """Pages per node by the placer's own account; None if it keeps none [pages]."""

    def place(self, mapping: PageMapping, pattern: Pattern) -> Placed:
        """Put every page of `mapping`, none of which was touched, where `pattern` (of real nodes) says.

        Returns
        -------
        Placed
            What is worth recording about how it went.

        Raises
        ------
        NativeError
            If a system call is refused.
        """


class LazyPlacer(Placer, Protocol):
    """A placer that says where pages belong before they are touched, whoever touches them."""

    def bind(self, mapping: PageMapping, pattern: Pattern) -> None:
        """Say where the pages of `mapping` belong; none is touched.

        Raises
        ------
        NativeError
            If a system call is refused.
        """
