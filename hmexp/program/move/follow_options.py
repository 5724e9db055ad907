"""How a program is followed."""

from __future__ import annotations

from dataclasses import dataclass, field

from hmexp.errors import ParameterError
from hmexp.program.pages.choice import ChoiceOptions
from hmexp.program.pages.pace import PaceOptions


@dataclass(frozen=True)
class FollowOptions:
    """How a program is followed.

    Parameters
    ----------
    pace : PaceOptions
        How fast pages may be moved.
    choice : ChoiceOptions
        Which pages may be moved.
    interval_seconds : float
        Shortest time between two looks; the lag from first touch to place cannot be shorter on average than
        half of it [s].
    slow_seconds : float
        Longest time between two looks, whether or not the program has had faults [s].
    until_still : bool
        Stop when nothing is left to be moved, or nothing that can be.
    settle_seconds : float
        With `until_still`: how long after that to look again, before it is believed [s].
    shared_patience_seconds : float
        With `until_still`: how long to wait for pages that other processes map, too, such as a child after a
        fork [s].
    tolerance : float
        With `until_still`: share of the pages that may be on their way, since a program at work touches new
        ones.
    limit_seconds : float or None
        Stop after so long; None for no limit [s].
    children : bool
        Follow the processes that come from it, too, those that appear later among them.
    undoable : bool
        Keep a journal of where pages were.
    from_birth : bool
        The process has only just been started: its pages have appeared since.
    """

    pace: PaceOptions = field(default_factory=PaceOptions)
    choice: ChoiceOptions = field(default_factory=ChoiceOptions)
    interval_seconds: float = 0.1
    slow_seconds: float = 2.0
    until_still: bool = False
    settle_seconds: float = 1.0
    shared_patience_seconds: float = 30.0
    tolerance: float = 0.001
    limit_seconds: float | None = None
    children: bool = False
    undoable: bool = False
    from_birth: bool = False

    def __post_init__(self) -> None:
        for name in ("interval_seconds", "slow_seconds", "limit_seconds"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ParameterError(f"{name} {value:g} is not above 0")
        for name in ("settle_seconds", "shared_patience_seconds"):
            if not getattr(self, name) >= 0:
                raise ParameterError(f"{name} {getattr(self, name):g} is below 0")
        if not 0 <= self.tolerance < 1:
            raise ParameterError(f"tolerance {self.tolerance:g} is not a share below 1")
