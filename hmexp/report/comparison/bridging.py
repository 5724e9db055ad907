"""Whether numbers of two shapes of loops may be compared.

A shape is a property of the loop, not of the memory. Numbers of two shapes are compared only as multiples of
what the plain loop gives, by the ratio that each run has measured on its own machine.
"""

from __future__ import annotations

from collections.abc import Iterable

from hmexp.report.comparison.reading import Reading


def why_not_bridged(a: Reading, b: Reading) -> str | None:
    """Why two readings of different shapes must not be compared; None if they may."""
    if a.shape == b.shape or None not in (a.of_plain, b.of_plain):
        return None
    unknown = a.shape if a.of_plain is None else b.shape
    return (
        f"the loops walked in different shapes, {a.shape} and {b.shape}, and no ratio of {unknown} to the "
        f"plain loop was recorded: measure both with the same --shapes"
    )


def bridge(a: Reading, b: Reading) -> float:
    """By how much the shapes alone are expected to make B faster than A; 1 for the same shape."""
    return 1.0 if a.shape == b.shape else (b.of_plain or 1.0) / (a.of_plain or 1.0)


def say_bridged(pairs: Iterable[tuple[Reading, Reading]]) -> str | None:
    """A sentence on the points that were compared across shapes; None if there are none."""
    found: dict[str, int] = {}
    for a, b in pairs:
        if a.shape != b.shape:
            each = (f"{one.shape} ({one.of_plain or 1:.3f} of plain)" for one in (a, b))
            way = " and ".join(each)
            found[way] = found.get(way, 0) + 1
    if not found:
        return None
    ways = "; ".join(f"{count} of {way}" for way, count in found.items())
    return (
        "Points whose loops walked in different shapes are compared as multiples of what the plain loop "
        f"gives, by the ratio that each run recorded: {ways}."
    )
