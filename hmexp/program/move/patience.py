"""When a move is done, which is believed only after another look; or no use in going on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from hmexp.program.move.facts import read_settings
from hmexp.program.move.follow_options import FollowOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from hmexp.program.move.chase import Chase, ChaseStep

#: How long pages may appear as fast as they are moved [s].
_CHURN_SECONDS: Final = 60.0
_CHURN_LOOKS: Final = 40
#: Looks in a row that find no room.
_FULL_LOOKS: Final = 5


def is_balancing() -> bool:
    """Whether automatic NUMA balancing is on."""
    return read_settings().get("kernel.numa_balancing", "0") != "0"


class Patience:
    """Judges whether a move is still, in vain, or worth going on.

    Parameters
    ----------
    options : FollowOptions
        How long to wait for what.
    balancing : callable
        Whether the kernel moves pages by itself.
    """

    def __init__(self, options: FollowOptions, balancing: Callable[[], bool] = is_balancing) -> None:
        self._options, self._balancing = options, balancing
        self._calm_since: float | None = None
        self._shared_since: float | None = None
        self._best_share = 1.0
        self._best_at: float | None = None
        self._looks = 0
        self._full_looks = 0
        self._asked = self._returned = 0

    def wants_look(self, _chase: Chase) -> bool:
        """Whether to look although nothing seems to have happened: a calm is to be confirmed."""
        calm = self._calm_since
        return calm is not None and time.monotonic() - calm >= self._options.settle_seconds

    def judge(self, steps: list[ChaseStep]) -> tuple[str, str] | None:
        """Note a look; returns why to stop, or None."""
        now = time.monotonic()
        present = sum(step.present for step in steps)
        wrong = sum(step.wrong for step in steps)
        shared = sum(step.shared for step in steps)
        held_back = sum(step.held_back for step in steps)
        if held_back and self._in_vain(steps, held_back):
            return "no_room", f"{held_back} pages have no room on their nodes; the program was left as it is"
        # One that was refused is asked for again until it is known why.
        if wrong > self._options.tolerance * present or any(step.refused for step in steps):
            self._calm_since = None
            return self._churning(wrong / max(1, present), now, steps)
        if shared and self._still_waiting(now):
            return None
        self._shared_since = self._shared_since if shared else None
        if self._calm_since is None:
            self._calm_since = now
            return None
        if now - self._calm_since < self._options.settle_seconds:
            return None
        return "still", "nothing is left to be moved that can be"

    def _in_vain(self, steps: list[ChaseStep], held_back: int) -> bool:
        """Whether nothing but pages without room was left, several times in a row."""
        asked = sum(step.asked for step in steps)
        wrong = sum(step.wrong for step in steps)
        self._full_looks = self._full_looks + 1 if asked * 100 < held_back and held_back * 2 > wrong else 0
        return self._full_looks >= _FULL_LOOKS

    def _churning(self, share: float, now: float, steps: list[ChaseStep]) -> tuple[str, str] | None:
        self._looks += 1
        self._asked += sum(step.asked for step in steps)
        self._returned += sum(step.returned for step in steps)
        if share < 0.9 * self._best_share or self._best_at is None:
            self._best_share, self._best_at, self._looks = share, now, 0
            self._asked = self._returned = 0
        # A slow rate makes few looks in a long time.
        if now - self._best_at < _CHURN_SECONDS or self._looks < _CHURN_LOOKS:
            return None
        text = (
            f"for {_CHURN_SECONDS:g} s pages have appeared as fast as they were moved, and {share:.1%} are "
            "not in their place: raise --rate or --cpu-share, or follow it with --keep"
        )
        # Too little to blame it for all, but most of the work may be undone by it.
        if self._returned * 2 >= self._asked and self._balancing():
            text += (
                f". {self._returned} pages had been in place before, and automatic NUMA balancing is on: "
                "switch it off (sysctl kernel.numa_balancing=0)"
            )
        return "churning", text

    def _still_waiting(self, now: float) -> bool:
        self._shared_since = self._shared_since if self._shared_since is not None else now
        return now - self._shared_since < self._options.shared_patience_seconds
