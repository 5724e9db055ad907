"""What the placers of anonymous memory have in common."""

from __future__ import annotations

import errno
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Final

from hmexp.errors import HmexpError, NativeError, PlacerUnsuitableError
from hmexp.memory.page_sizes import HUGE_PAGE_BYTES
from hmexp.memory.placers.protocol import Obstacle, Placed
from hmexp.native import PAGE_BYTES, PageMapping
from hmexp.pattern import MAX_GRANULE_BYTES, Pattern
from hmexp.system.sysfs import read_choice
from hmexp.system.topology import find_usable_node
from hmexp.units import format_size

THP: Final = Path("/sys/kernel/mm/transparent_hugepage")


class AnonymousPlacer(ABC):
    """Pages of an anonymous mapping, put in place by system calls that every kernel with nodes has.

    The base of the others, which override what differs.
    """

    name: str
    exact_order = True
    lazy = False
    needs = "nothing"
    granules = (PAGE_BYTES, MAX_GRANULE_BYTES)
    #: The kernel's switch for huge pages in such mappings.
    huge_switch = THP / "enabled"
    huge_off = frozenset({"never"})

    def unavailable(self) -> Obstacle | None:
        """See `Placer`: one page is placed, on a node that has memory."""
        try:
            self.probe(Pattern((find_usable_node(),), PAGE_BYTES))
        except NativeError as error:
            # Without memory for a page it is the region that cannot be had, not the placer.
            if error.errno == errno.ENOMEM:
                return None
            return Obstacle(error.message, error.remedy or "see `hmexp doctor`")
        except HmexpError as error:
            return Obstacle(error.message, error.remedy or "see `hmexp doctor`")
        return None

    def probe(self, pattern: Pattern) -> None:
        """Place one page of `pattern`, to see whether it can be done."""
        mapping = self.make_mapping(PAGE_BYTES, PAGE_BYTES, huge=False)
        try:
            self.place(mapping, pattern)
        finally:
            mapping.close()

    def unsuitable(self, pattern: Pattern, huge: bool = False) -> Obstacle | None:
        """See `Placer`."""
        smallest, largest = self.granules
        alone = len(pattern.distinct_nodes) == 1
        if not alone and not smallest <= pattern.granule_bytes <= largest:
            return Obstacle(
                f"{self.name} cannot do granules of {format_size(pattern.granule_bytes)}",
                f"use granules of {_range(smallest, largest)}, or another placer: see `hmexp placers`",
            )
        if not huge:
            return None
        if not alone and pattern.granule_bytes % HUGE_PAGE_BYTES:
            return Obstacle(
                f"a granule of {format_size(pattern.granule_bytes)} cannot be of huge pages",
                f"use granules of {format_size(HUGE_PAGE_BYTES)} or more, or pages of "
                f"{format_size(PAGE_BYTES)}",
            )
        choice = read_choice(self.huge_switch)
        if choice is None or choice in self.huge_off:
            return _no_huge_pages(self.name, self.huge_switch, choice)
        return None

    def map(self, size_bytes: int, align_bytes: int, pattern: Pattern, huge: bool = False) -> PageMapping:
        """See `Placer`."""
        obstacle = self.unsuitable(pattern, huge)
        if obstacle is not None:
            raise PlacerUnsuitableError(obstacle.reason, obstacle.remedy)
        return self.make_mapping(size_bytes, align_bytes, huge)

    def make_mapping(self, size_bytes: int, align_bytes: int, huge: bool) -> PageMapping:
        """The mapping itself."""
        return PageMapping(size_bytes, align_bytes, huge)

    def count(self, mapping: PageMapping) -> dict[int, int] | None:  # noqa: ARG002
        """See `Placer`."""
        return None

    @abstractmethod
    def place(self, mapping: PageMapping, pattern: Pattern) -> Placed:
        """See `Placer`."""


def _no_huge_pages(name: str, switch: Path, choice: str | None) -> Obstacle:
    """Why there are none: a switch that is off, or a kernel that has no switch and no huge pages."""
    if choice is None:
        return Obstacle(
            f"{name} cannot have huge pages: this kernel has no {switch}",
            "boot a kernel built with CONFIG_TRANSPARENT_HUGEPAGE=y (in a container, mount its /sys); or use "
            f"pages of {format_size(PAGE_BYTES)}",
        )
    word = "advise" if switch.name == "shmem_enabled" else "madvise"
    return Obstacle(
        f"{name} cannot have huge pages: {switch} is {choice}", f"as root: echo {word} > {switch}"
    )


def _range(smallest: int, largest: int) -> str:
    if smallest == largest:
        return format_size(smallest)
    return f"{format_size(smallest)} to {format_size(largest)}"
