"""One point as a multiple of another: round by round, if their launches were made in turns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from hmexp.measure.launch_effects import INDEPENDENT, LaunchEffects
from hmexp.measure.statistics import summarise_launches

#: What is said of multiples when it is asked how launches depend on one another.
OF_DRAM = " of DRAM"


@dataclass(frozen=True)
class Made:
    """One launch of a point.

    Parameters
    ----------
    number : int
        Of the launch, from 0.
    started : str
        When, as ISO 8601 in UTC: later is greater.
    median : float
        Of its samples [unit].
    """

    number: int
    started: str
    median: float


def rounds_of(mine: Sequence[Made], other: Sequence[Made]) -> tuple[float, ...]:
    """The multiples of each round in which both points were launched.

    A round is a launch of both, of the same number, before those of the next number: what disturbs the
    machine for longer than a round disturbs both, and is not in their quotient.

    Parameters
    ----------
    mine, other : sequence of Made
        Launches of both points.

    Returns
    -------
    tuple of float
        In the order of the rounds; nothing if there are fewer than two rounds, or the launches were not
        made in turns.
    """
    beside = {launch.number: launch for launch in other}
    pairs = [(each, beside[each.number]) for each in sorted(mine, key=_number) if each.number in beside]
    in_turns = all(
        max(one.started for one in former) <= min(one.started for one in latter)
        for former, latter in pairwise(pairs)
    )
    if len(pairs) < 2 or not in_turns or not all(one.started and one.median > 0 for p in pairs for one in p):
        return ()
    return tuple(top.median / bottom.median for top, bottom in pairs)


def interval_of_rounds(
    quotients: Sequence[float], middle: float, effects: LaunchEffects = INDEPENDENT, group: str = ""
) -> tuple[float, float]:
    """The 95 % interval of a multiple, over the rounds.

    Parameters
    ----------
    quotients : sequence of float
        The multiple in each round, two or more.
    middle : float
        The multiple of the medians, which the interval holds in any case.
    effects : LaunchEffects
        What the multiples of the whole run say of one another.
    group : str
        The operation, as for `summarise_launches`.
    """
    found = summarise_launches([[value] for value in quotients], effects, group + OF_DRAM).interval
    low, high = found or (0.0, math.inf)
    return min(low, middle), max(high, middle)


def _number(launch: Made) -> int:
    return launch.number
