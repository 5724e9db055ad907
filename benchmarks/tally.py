"""Answers against their truth: what a busy host has disturbed is measured again, by its noise alone."""

from __future__ import annotations

from collections.abc import Callable

from hmexp.measure.curve import LoadedCurve
from hmexp.measure.measurement import Measurement

#: A row is measured again if so many of its samples were disturbed, and how often at most.
DISTURBED, MOST_AGAIN = 0.25, 6
#: Curves that count of a knee, and how many are drawn at most to have them.
CURVES, MOST_CURVES = 3, 12
#: A load that is lower by this part than in another curve, at the same pause, was hindered; up to this part
#: of the capacity the node itself does not slow it down.
HINDERED, NOT_FULL = 0.1, 0.7


class Tally:
    """Errors against their limits."""

    def __init__(self) -> None:
        self.missed = self.rows = self.again = self.disturbed = 0

    def measure(self, measure: Callable[[], Measurement]) -> float:
        """Return the median of a measurement, of another one where it was disturbed."""
        self.rows += 1
        found = measure()
        for _ in range(MOST_AGAIN):
            if disturbed_share(found) < DISTURBED:
                return found.median
            self.again += 1
            found = min(found, measure(), key=disturbed_share)
        self.disturbed += disturbed_share(found) >= DISTURBED
        return found.median

    def draw(self, measure: Callable[[], LoadedCurve], capacity_gbps: float) -> list[LoadedCurve]:
        """Return curves whose load was not hindered, the least hindered ones if there are too few."""
        self.rows += 1
        curves = [measure() for _ in range(CURVES)]
        while True:
            hindered = hindrances(curves, capacity_gbps)
            fine = sum(part < HINDERED for part in hindered)
            if fine >= CURVES or len(curves) >= MOST_CURVES:
                break
            self.again += 1
            curves.append(measure())
        self.disturbed += fine < CURVES
        order = sorted(range(len(curves)), key=hindered.__getitem__)
        return [curves[index] for index in order[:CURVES]]

    def say(self) -> str:
        """How often rows were measured again."""
        return (
            f"{self.rows} rows were measured, and disturbed ones again, {self.again} times in all; "
            f"{self.disturbed} were always disturbed, and of these the least disturbed time counts"
        )

    def judge(self, what: str, found: float, truth: float, limit: float) -> None:
        """Print one comparison."""
        error = found / truth - 1
        missed = abs(error) > limit
        self.missed += missed
        mark = f"  <- beyond {limit:.0%}" if missed else ""
        print(f"{what:<64} {found:>9.3f} {truth:>9.3f} {error:>+8.2%}{mark}", flush=True)


def disturbed_share(found: Measurement) -> float:
    """Part of the samples that lost time: of many, the median may have, too."""
    return 0.0 if found.noise is None else found.noise.disturbed / max(1, len(found.noise.flags))


def hindrances(curves: list[LoadedCurve], capacity_gbps: float) -> list[float]:
    """By how much the load of each curve was lower at most than that of another one at the same pause.

    Latency has no part in it. Only loads that the node carries without a queue are compared.
    """
    loads = [{point.delay_ns: point.load_gbps for point in curve.points} for curve in curves]
    highest = {
        delay: best
        for delay in set.intersection(*(set(one) for one in loads)) - {None}
        if 0 < (best := max(one[delay] for one in loads)) <= NOT_FULL * capacity_gbps
    }
    return [max((1 - one[delay] / best for delay, best in highest.items()), default=0.0) for one in loads]
