"""Ways of putting the pages of a region on their nodes, one file each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hmexp.errors import ParameterError
from hmexp.memory.placers.first_touch import FirstTouch
from hmexp.memory.placers.hybridmem import Hybridmem
from hmexp.memory.placers.interleave import Interleave
from hmexp.memory.placers.mbind import Mbind
from hmexp.memory.placers.move_pages import MovePages
from hmexp.memory.placers.protocol import LazyPlacer, Obstacle, Placer
from hmexp.memory.placers.shared_policy import SharedPolicy
from hmexp.memory.placers.userfaultfd import Userfaultfd
from hmexp.memory.placers.weighted import Weighted

__all__ = [
    "PLACERS", "FirstTouch", "Hybridmem", "Interleave", "LazyPlacer", "Mbind", "MovePages", "Obstacle",
    "Placer", "SharedPolicy", "Userfaultfd", "Weighted", "find_placer",
]  # fmt: skip

_ALL: Final[tuple[Placer, ...]] = (
    FirstTouch(), MovePages(), Hybridmem(), Mbind(), SharedPolicy(), Userfaultfd(), Interleave(), Weighted(),
)  # fmt: skip
PLACERS: Final[Mapping[str, Placer]] = {placer.name: placer for placer in _ALL}


def find_placer(name: str) -> Placer:
    """The placer of that name.

    Raises
    ------
    ParameterError
        If there is none, with the names there are.
    """
    try:
        return PLACERS[name]
    except KeyError:
        raise ParameterError(f"placer {name!r} is unknown", f"use one of: {', '.join(PLACERS)}") from None
