"""Shapes of a loop on one region, in turns, and when one of them is surely better than the plain one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from hmexp import native
from hmexp.measure.shapes import Way
from hmexp.measure.threads import make_slices
from hmexp.memory.region import Region
from hmexp.native import Job, Operation

#: By how much a shape must be faster than the plain loop.
BETTER: Final = 0.02
#: Rounds of all shapes, then of the best ones alone, and how many those are.
_ROUNDS, _MORE_ROUNDS, _BEST = 3, 7, 8
#: How often that many more are taken, at most, where a shape seems better and is not surely so.
_TURNS: Final = 3

#: A shape's bandwidth [GB/s], and its ratio to the plain loop's just before and after.
Round = tuple[float, float]
#: Those of each shape, by its name.
Rounds = Mapping[str, Sequence[Round]]


@dataclass(frozen=True)
class Bench:
    """Threads on a region, ready to walk it in any shape."""

    region: Region
    operation: Operation
    cpus: tuple[int, ...]

    def gbps(self, way: Way, distance_bytes: int | None = None, *, warm: bool = True) -> float:
        """Payload bandwidth of one pass [GB/s]; of places at another distance than usual if one is given."""
        slices = make_slices(self.region, self.cpus, self.operation, way=way)
        job = Job(
            self.operation.name, 1, 1, bits=way.vector_bits, warm=warm, shape=way.shape.name,
            distance_bytes=distance_bytes or way.distance_bytes(self.region.pattern),
        )  # fmt: skip
        taken = native.bandwidth(self.region.mapping, slices, job).samples
        elapsed_ns = int(taken["end_ns"].max() - taken["start_ns"].min())
        return float(taken["payload_bytes"].sum()) / elapsed_ns

    def rounds(self, ways: Sequence[Way], count: int) -> dict[str, list[Round]]:
        """Each shape's bandwidth, and its ratio to the plain loop's, in so many rounds [GB/s]."""
        plain, others = ways[0], ways[1:]
        found: dict[str, list[Round]] = {way.name: [] for way in ways}
        before = self.gbps(plain)
        for turn in range(count):
            start = turn * len(others) // count
            taken = [(way, self.gbps(way)) for way in (*others[start:], *others[:start])]
            after = self.gbps(plain)
            for way, gbps in taken:
                found[way.name].append((gbps, 2 * gbps / (before + after)))
            found[plain.name].append((after, 1.0))
            before = after
        return found


def compare(
    benches: Sequence[Bench], ways: Sequence[Way]
) -> tuple[list[dict[str, list[Round]]], tuple[Way, ...]]:
    """Compare shapes with the plain loop, which comes first, on each region.

    Returns
    -------
    list of dict
        For each region the rounds of each shape; those of the best ones are of a second, longer look.
    tuple of Way
        Which are surely better than the plain loop. Of few rounds the best is the luckiest, too: only those
        that were measured again are among them.
    """
    taken = [bench.rounds(ways, _ROUNDS) for bench in benches]
    best = sorted(ways[1:], key=lambda way: -worst_of(taken, way.name))[:_BEST]
    again = take_until_sure(benches, [ways[0], *best], _MORE_ROUNDS)
    for place, region in enumerate(again):
        taken[place] |= region
    return taken, tuple(way for way in best if is_surely_better(taken, way.name))


def worst_of(taken: Sequence[Rounds], name: str) -> float:
    """Its median in the worse of the regions."""
    return min(median(ratio for _, ratio in region[name]) for region in taken)


def take_until_sure(
    benches: Sequence[Bench], ways: Sequence[Way], rounds: int
) -> list[dict[str, list[Round]]]:
    """Rounds of the best shapes alone, until each is surely better than the plain one or does not seem so."""
    taken: list[dict[str, list[Round]]] = [{way.name: [] for way in ways} for _ in benches]
    for _ in range(_TURNS):
        for bench, region in zip(benches, taken, strict=True):
            for name, found in bench.rounds(ways, rounds).items():
                region[name] += found
        names = [way.name for way in ways[1:]]
        if all(worst_of(taken, name) < 1 + BETTER or is_surely_better(taken, name) for name in names):
            break
    return taken


def is_surely_better(taken: Sequence[Rounds], name: str) -> bool:
    """By `BETTER` in each region, and at all in nearly every round: on a busy host a median is luck, too.

    A coin would come down so often on one side in one of sixteen such rows at most; of a few rounds one may
    be bad.

    Parameters
    ----------
    taken : sequence of mapping
        For each region the rounds of each shape: bandwidth [GB/s] and ratio to the plain loop's.
    name : str
        Of the shape.
    """
    for region in taken:
        rounds = [ratio for _, ratio in region[name]]
        if sum(ratio <= 1 for ratio in rounds) > max(1, int((len(rounds) - 2 * len(rounds) ** 0.5) / 2)):
            return False
    return worst_of(taken, name) >= 1 + BETTER
