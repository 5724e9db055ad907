"""The all-DRAM point beside each hybrid one: the same in all but the pattern, page size included."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hmexp.experiment.point import Point

Record = Mapping[str, Any]


def add_baselines(
    points: Sequence[Point], dram_nodes: Sequence[int], near: int, fits: Callable[[Point], bool]
) -> tuple[tuple[Point, ...], dict[str, str]]:
    """Find an all-DRAM point for each that has slow pages.

    Parameters
    ----------
    points : sequence of Point
        As asked for.
    dram_nodes : sequence of int
        Nodes that count as DRAM.
    near : int
        The DRAM node at which the threads run: where a point that is added has its pages.
    fits : callable
        Whether a point's region has room on its nodes.

    Returns
    -------
    added : tuple of Point
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


def _alike(point: Point, near: int) -> Point:
    return replace(point, pattern=str(near))


def compare(result: Record, baseline: Record) -> dict[str, float]:
    """A result as a multiple of the all-DRAM one, with the widest interval that theirs allow."""
    return {
        "median": result["median"] / baseline["median"],
        "ci_low": result["ci_low"] / baseline["ci_high"],
        "ci_high": result["ci_high"] / baseline["ci_low"],
    }
