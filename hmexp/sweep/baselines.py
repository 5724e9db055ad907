"""The all-DRAM point beside each hybrid one: the same in all but the pattern, page size included."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from hmexp.sweep.point import SweepPoint


def add_baselines(
    points: Sequence[SweepPoint], dram_nodes: Sequence[int], near: int, fits: Callable[[SweepPoint], bool]
) -> tuple[tuple[SweepPoint, ...], dict[str, str]]:
    """Find an all-DRAM point for each that has slow pages.

    Parameters
    ----------
    points : sequence of SweepPoint
        As asked for.
    dram_nodes : sequence of int
        Nodes that count as DRAM.
    near : int
        The DRAM node at which the threads run: where a point that is added has its pages.
    fits : callable
        Whether a point's region has room on its nodes.

    Returns
    -------
    added : tuple of SweepPoint
        Those that were not asked for.
    baselines : dict of str to str
        Id of the all-DRAM point, by that of the point that is compared with it.
    """
    fast = [point for point in points if set(point.parsed_pattern.distinct_nodes) <= set(dram_nodes)]
    known = {_alike(point, near): point for point in reversed(fast)}
    added, baselines = [], {}
    for point in points:
        if point in fast:
            continue
        wanted = _alike(point, near)
        if wanted not in known:
            if not fits(wanted):
                continue
            known[wanted] = wanted
            added.append(wanted)
        baselines[point.id] = known[wanted].id
    return tuple(added), baselines


def _alike(point: SweepPoint, near: int) -> SweepPoint:
    return replace(point, pattern=str(near))
