"""A part of a large run that a person can read: one slice through its grid, not every tenth point."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from hmexp.report.run.point import Point
from hmexp.report.run.results import Results

#: A run of up to so many points is shown whole.
WHOLE: Final = 150
#: Of a larger one, so many points of each operation.
MOST: Final = 24
#: Failures that are listed.
MOST_FAILURES: Final = 100


def excerpt(results: Results, whole: int = WHOLE, most: int = MOST) -> Results:
    """Choose the points that figures, tables of a page, and advice show.

    A large run is a grid of parameters. Of each operation, parameters are fixed one after the other, those
    with the most values first and to the value that most points have, until few enough points are left. So
    what is shown belongs together, and the patterns stay complete. The note of the result says how many
    points are not shown.

    Parameters
    ----------
    results : Results
        The run.
    whole : int
        A run of up to so many points is returned as it is.
    most : int
        Points to keep of each operation.
    """
    if len(results.points) <= whole:
        return results
    fixed: dict[str, Any] = {}
    chosen: list[Point] = []
    for operation in dict.fromkeys(point.operation for point in results.points):
        points = results.select(operation) or results.select(operation, ok_only=False)
        chosen += _thinned(_slice(points, most, fixed), most)
    kept = {id(point) for point in chosen}
    points = tuple(point for point in results.points if id(point) in kept)
    note = f"EXCERPT: {len(points):,} of {len(results.points):,} points are shown; points.csv has all of them"
    # What is not measured yet stays known; what is not shown is not missing.
    run = msgspec.structs.replace(results.run, points=len(points) + results.unfinished)
    return replace(results, run=run, points=points, note=note)


def _slice(points: Sequence[Point], most: int, fixed: dict[str, Any]) -> Sequence[Point]:
    while len(points) > most:
        values = {name: Counter[str]() for point in points for name, _ in point.series}
        for point in points:
            for name, value in point.series:
                values[name][repr(value)] += 1
        varying = {name: counts for name, counts in values.items() if len(counts) > 1}
        if not varying:
            break
        # The same slice through all operations, where they have it.
        known = [name for name in varying if fixed.get(name) in varying[name]]
        chosen = known[0] if known else max(varying, key=lambda name: len(varying[name]))
        if not known:
            fixed[chosen] = varying[chosen].most_common(1)[0][0]
        points = [point for point in points if repr(dict(point.series).get(chosen)) == fixed[chosen]]
    return points


def _thinned(points: Sequence[Point], most: int) -> list[Point]:
    """Keep so many points, evenly over the DRAM shares; the ends stay."""
    if len(points) <= most:
        return list(points)
    ordered = sorted(points, key=lambda point: (point.dram_share or 0.0, point.pattern))
    last = len(ordered) - 1
    return [ordered[round(n * last / (most - 1))] for n in range(most)]
