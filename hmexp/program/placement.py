"""The door to `hmexp.program.look`: where the pages of a program are."""

from __future__ import annotations

import sys
from types import ModuleType

from hmexp.pattern import Pattern
from hmexp.program.look.program import ProgramPlacement, read_placement

__all__ = ["ProgramPlacement", "read_placement"]


class _Callable(ModuleType):
    """Makes ``hmexp.program.placement(pid)`` do what the module is for."""

    def __call__(
        self,
        pid: int,
        *,
        children: bool = True,
        against: Pattern | None = None,
        granule_bytes: int | None = None,
    ) -> ProgramPlacement:
        return read_placement(pid, children=children, against=against, granule_bytes=granule_bytes)


sys.modules[__name__].__class__ = _Callable
