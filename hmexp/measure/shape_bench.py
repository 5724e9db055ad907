"""Shapes of a loop on one region, in turns, and when one of them is surely better than the plain one.

A host's speed drifts at every scale of time: two passes of a second differ as much as two of a millisecond,
so that many short ones in turn say far more than few long ones. A region is walked a piece at a time, each
where the last one ended, and is so much larger than the caches that a piece is in none of them when it comes
again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from statistics import geometric_mean, median
from typing import Final

from hmexp import native
from hmexp.measure.shapes import Way
from hmexp.measure.threads import make_slices
from hmexp.memory.region import Region
from hmexp.native import Job, Operation, Slice
from hmexp.units import MIB

#: By how much a shape must be faster than the plain loop.
BETTER: Final = 0.02
#: A piece: long beside what it takes to start threads, short beside what the host does [bytes].
_PIECE_BYTES: Final = 16 * MIB
#: What is left out of each stream between two pieces: shapes have their streams further apart than the plain
#: loop, and what one has walked the next must not find in a cache [bytes].
_BETWEEN_BYTES: Final = 3 * MIB
#: How many shapes come between two pieces of the plain loop.
_NEIGHBOURS: Final = 3
#: Rounds of all shapes.
_ROUNDS: Final = 10
#: Then of the best ones alone: how many of them, and in how many rounds more.
_TURNS: Final = ((8, 24), (4, 48), (3, 64))
#: What going along so many places must be better by than going along one. Neighbours of a virtual machine
#: that load the host's memory or caches cost four places a fifth, and two of them nothing (seen on a Zen 4).
_PRICE: Final = {1: 0.0, 2: 0.005, 4: 0.035}
#: A lead of so many standard errors needs no more rounds.
_CLEAR: Final = 3.0

#: A shape's bandwidth [GB/s], and its ratio to the plain loop's just before and after.
Round = tuple[float, float]
#: Those of each shape, by its name.
Rounds = Mapping[str, Sequence[Round]]


class Bench:
    """Threads on a region, ready to walk it in any shape.

    Parameters
    ----------
    region : Region
        On nodes that are all alike.
    operation : Operation
        What the loops do.
    cpus : tuple of int
        One for each thread.
    piece_bytes : int
        What a thread walks of all streams together before another shape's turn, more or less [bytes].
    """

    def __init__(
        self,
        region: Region,
        operation: Operation,
        cpus: tuple[int, ...],
        piece_bytes: int = _PIECE_BYTES,
    ) -> None:
        self._region = region
        self._piece_bytes = piece_bytes
        self._operation = operation
        self._cpus = cpus
        self._known: dict[tuple[Way, int], tuple[list[Slice], Job]] = {}
        self._at_bytes = 0

    def warm(self, way: Way) -> None:
        """Go over all of it once."""
        slices, job = self._whole(way, way.distance_bytes(self._region.pattern))
        native.bandwidth(self._region.mapping, slices, job)

    def gbps(self, way: Way, distance_bytes: int | None = None) -> float:
        """Payload bandwidth of the next piece [GB/s].

        Parameters
        ----------
        way : Way
            The shape.
        distance_bytes : int, optional
            How far its places are apart, if not as usual [bytes].
        """
        distance = distance_bytes or way.distance_bytes(self._region.pattern)
        slices, job = self._whole(way, distance)
        taken = native.bandwidth(self._region.mapping, self._piece(slices, way, distance), job).samples
        elapsed_ns = int(taken["end_ns"].max() - taken["start_ns"].min())
        return float(taken["payload_bytes"].sum()) / elapsed_ns

    def rounds(self, ways: Sequence[Way], count: int, seed: int = 0) -> dict[str, list[Round]]:
        """Each shape's bandwidth, and its ratio to the plain loop's, in so many rounds [GB/s].

        Parameters
        ----------
        ways : sequence of Way
            The plain loop first.
        count : int
            Rounds.
        seed : int
            Of the orders: a shape has other neighbours, and other pieces, in each round.
        """
        plain, others = ways[0], list(ways[1:])
        found: dict[str, list[Round]] = {way.name: [] for way in ways}
        random = Random(seed)
        before = self.gbps(plain)
        for _ in range(count):
            random.shuffle(others)
            for start in range(0, len(others), _NEIGHBOURS):
                taken = [(way, self.gbps(way)) for way in others[start : start + _NEIGHBOURS]]
                after = self.gbps(plain)
                for way, gbps in taken:
                    found[way.name].append((gbps, 2 * gbps / (before + after)))
                before = after
            found[plain.name].append((before, 1.0))
        return found

    def _whole(self, way: Way, distance_bytes: int) -> tuple[list[Slice], Job]:
        if (way, distance_bytes) not in self._known:
            job = Job(
                self._operation.name, 1, 1, bits=way.vector_bits, warm=True, shape=way.shape.name,
                distance_bytes=distance_bytes,
            )  # fmt: skip
            slices = make_slices(self._region, self._cpus, self._operation, way=way)
            self._known[way, distance_bytes] = slices, job
        return self._known[way, distance_bytes]

    def _piece(self, slices: Sequence[Slice], way: Way, distance_bytes: int) -> list[Slice]:
        """The next piece of each slice, in whole blocks of the shape: what is left over is walked plainly."""
        shortest = min(one.part_bytes for one in slices)
        block = max(way.shape.places * distance_bytes, native.PAGE_BYTES)
        blocks = max(1, round(self._piece_bytes / self._operation.streams / block))
        piece = min(-(-blocks * block // native.PAGE_BYTES) * native.PAGE_BYTES, shortest)
        start = self._at_bytes if self._at_bytes + piece <= shortest else 0
        self._at_bytes = start + piece + (_BETWEEN_BYTES if self._operation.streams > 1 else 0)
        return [
            Slice(one.offset_bytes + start, piece, one.cpu, one.part_bytes + one.gap_bytes - piece)
            for one in slices
        ]


def compare(
    benches: Sequence[Bench], ways: Sequence[Way]
) -> tuple[list[dict[str, list[Round]]], tuple[Way, ...]]:
    """Compare shapes with the plain loop, which comes first, on each region.

    Those that seem best are measured again, ever fewer of them in ever more rounds, until the best one's lead
    is clear, or none seems better than the plain one.

    Returns
    -------
    list of dict
        For each region the rounds of each shape.
    tuple of Way
        Which are surely better than the plain loop, the one to take first: the best, by the worse of the
        regions and what its places must be better by. Of few rounds the best is the luckiest, too: only those
        that were measured again to the end are among them.
    """
    taken = [bench.rounds(ways, _ROUNDS) for bench in benches]
    # The rounds that choose who goes on do not count for those who do: they would flatter them.
    left = _ranked(taken, ways[1:], mean_of)[: _TURNS[0][0]]
    for region in taken:
        region.update({way.name: [] for way in (ways[0], *left)})
    for turn, (most, rounds) in enumerate(_TURNS):
        left = left[:most]
        for bench, region in zip(benches, taken, strict=True):
            for name, found in bench.rounds([ways[0], *left], rounds, turn + 1).items():
                region[name] += found
        left = [way for way in _ranked(taken, left, mean_of) if mean_of(taken, way.name) >= 1 + BETTER]
        if not left or (is_surely_better(taken, left[0].name) and _is_clear(taken, left)):
            break
    sure = [way for way in left if is_surely_better(taken, way.name)]
    return taken, tuple(_ranked(taken, sure, worst_of))


def _ranked(
    taken: Sequence[Rounds], ways: Sequence[Way], figure: Callable[[Sequence[Rounds], str], float]
) -> list[Way]:
    """The best first; by the mean of the regions where rounds are few: the worse one is luck then."""
    return sorted(ways, key=lambda way: -figure(taken, way.name) * (1 - _PRICE[way.shape.places]))


def worst_of(taken: Sequence[Rounds], name: str) -> float:
    """Its median in the worse of the regions."""
    return min(median(ratio for _, ratio in region[name]) for region in taken)


def mean_of(taken: Sequence[Rounds], name: str) -> float:
    """The geometric mean of its medians in the regions."""
    return geometric_mean(median(ratio for _, ratio in region[name]) for region in taken)


def _is_clear(taken: Sequence[Rounds], ways: Sequence[Way]) -> bool:
    """Whether the first leads all others by `_CLEAR` standard errors of how they differ, round by round."""
    for other in ways[1:]:
        gains = [
            mine / theirs - 1
            for region in taken
            for (mine, _), (theirs, _) in zip(region[ways[0].name], region[other.name], strict=True)
        ]
        middle = median(gains)
        # Of a normal distribution: half of the differences are within 0.67 deviations, and the median's own
        # error is 1.25 times the mean's.
        error = 1.25 * median(abs(gain - middle) for gain in gains) / 0.6745 / len(gains) ** 0.5
        if middle < _CLEAR * error:
            return False
    return True


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
