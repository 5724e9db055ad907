"""How far a sweep is, for whoever shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Progress:
    """How far a sweep is.

    Parameters
    ----------
    done, total : int
        Launches, of all points.
    failed : int
        Points of this try that failed.
    seconds_left : float or None
        Estimate, once a launch was measured [s].
    current : str
        What is being measured, or an empty text at the end.
    """

    done: int
    total: int
    failed: int
    seconds_left: float | None
    current: str


class ProgressDisplay(Protocol):
    """Something that shows a person how far a sweep is."""

    def show(self, progress: Progress) -> None:
        """Show it, replacing what was shown before."""


class NoDisplay:
    """Shows nothing, for whoever calls from a program."""

    def show(self, progress: Progress) -> None:
        """See `ProgressDisplay`."""
