"""One look at where a program's pages are, as it is stored."""

from __future__ import annotations

from collections.abc import Iterable

from hmexp.errors import ProgramError
from hmexp.pattern import Pattern
from hmexp.program.look.program import read_placement
from hmexp.program.look.target import read_target
from hmexp.store.program_records import PlacementSample

#: Processes that were seen, with the clock tick at which each was started.
Seen = dict[int, int]
_MOST_WORDS = 8


def take_sample(pid: int, pattern: Pattern | None, seconds: float) -> tuple[PlacementSample, Seen]:
    """Look at a program and its children.

    Parameters
    ----------
    pid : int
        The program.
    pattern : Pattern or None
        What its private memory is compared with.
    seconds : float
        Time since its start, for the sample [s].

    Raises
    ------
    ProgramError
        If it has ended, or may not be looked at.
    """
    found = read_placement(pid, against=pattern)
    sample = PlacementSample(
        seconds=seconds,
        processes=len(found.processes),
        mappings=len(found.mappings),
        by_node=found.by_node,
        anonymous_by_node=found.anonymous_by_node,
        in_place=found.in_place,
        misplaced=found.misplaced,
        unmovable=found.unmovable,
        absent=found.absent,
        outside=found.outside if pattern is not None else {},
        unseen=tuple(found.unseen[:_MOST_WORDS]),
        cost_seconds=found.cost_seconds,
    )
    return sample, _started_at(each.pid for each in found.processes)


def _started_at(pids: Iterable[int]) -> Seen:
    found = {}
    for pid in pids:
        try:
            found[pid] = read_target(pid).start_ticks
        except ProgramError:
            continue  # it has ended since
    return found
