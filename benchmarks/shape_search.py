"""Every shape of every operation against the plain loop, on all-DRAM memory, as ratios with their spread.

Each of two fresh regions is walked in all shapes in turn, a piece of some MiB at a time, with the plain loop
before and after every few of them: the host's slow and fast states fall on both sides of a ratio. The spread
is that of single rounds. `--wide` also tries every vector width and places at other distances than tuning
would choose: what the best of so many shapes gives is an upper bound, biased upwards by the number of them.
`--choice` says what tuning chooses, and measures it and that best shape again, in turn on fresh pages: that
is not biased.

    .venv/bin/python benchmarks/shape_search.py [--rounds 20] [--operations read copy] [--pages 4KiB] [--wide]
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from quiet import say_load

from hmexp.measure.operation import find_operation
from hmexp.measure.shape_bench import Bench
from hmexp.measure.shape_cache import describe_machine
from hmexp.measure.shape_choice import choose
from hmexp.measure.shapes import Way, ways_of
from hmexp.measure.threads import place_threads
from hmexp.memory.page_sizes import require_page_size
from hmexp.memory.region import allocate
from hmexp.native import OPERATIONS, PLAIN, SHAPES, VECTOR_BITS, Operation, vector_bits
from hmexp.pattern import Pattern
from hmexp.system.cpus import allowed_cpus
from hmexp.system.near import near_dram
from hmexp.system.provenance import collect
from hmexp.system.topology import read_topology
from hmexp.units import format_size, parse_size

REGIONS = 2
#: Of the choice beside the best shape of the search, on each region.
ROUNDS_AGAIN = 120
#: Shapes between two plain passes.
BETWEEN = 4
#: Distances of places that a wide search tries, and what is added to each: lines of two places must not end
#: alike [bytes].
DISTANCES = (1 << 14, 1 << 16, 1 << 18, 1 << 19, 1 << 20, 1 << 21, 1 << 22)
SHIFTS = (128, 384, 1152)


@dataclass(frozen=True)
class Variant:
    """A shape to try; the distance that tuning has if none is given [bytes]."""

    way: Way
    distance_bytes: int | None = None

    @property
    def name(self) -> str:
        """For people."""
        if self.distance_bytes is None:
            return self.way.name
        shift = self.distance_bytes % DISTANCES[0]
        return f"{self.way.name} at {format_size(self.distance_bytes - shift)}+{shift}"


def variants_of(operation: str, *, wide: bool) -> list[Variant]:
    """What is tried beside the plain loop."""
    found = find_operation(operation)
    ways = list(ways_of(found)[1:])
    variants = [Variant(way) for way in ways]
    if wide:
        widths = [bits for bits in VECTOR_BITS if 64 < bits <= vector_bits()]
        every = [
            Way(shape, bits) for bits in widths for shape in SHAPES.values() if shape.able(operation, bits)
        ]
        variants += [Variant(way) for way in every if way not in ways and way.name != ways_of(found)[0].name]
        variants += [
            Variant(way, distance + -(-shift // way.shape.turn_bytes) * way.shape.turn_bytes)
            for way in every
            if takes_distance(way)
            for distance in DISTANCES
            for shift in SHIFTS
        ]
    return variants


def takes_distance(way: Way) -> bool:
    """Whether it is worth while to try a shape at other distances: near ones are others at one of them."""
    return way.shape.places > 1 and not way.shape.shift_bytes


def rounds_of(
    bench: Bench, plain: Variant, variants: Sequence[Variant], rounds: int
) -> dict[str, list[float]]:
    """Ratios to the plain loop, or to another one that is given, round by round."""
    found: dict[str, list[float]] = {variant.name: [] for variant in variants}
    for turn in range(rounds):
        # Begun elsewhere each time: whoever comes right after the plain loop is another one.
        start = turn * len(variants) // rounds
        order = [*variants[start:], *variants[:start]]
        before = bench.gbps(plain.way, plain.distance_bytes)
        for first in range(0, len(order), BETWEEN):
            taken = [(one, bench.gbps(one.way, one.distance_bytes)) for one in order[first : first + BETWEEN]]
            after = bench.gbps(plain.way, plain.distance_bytes)
            for variant, gbps in taken:
                found[variant.name].append(2 * gbps / (before + after))
            before = after
    return found


def search(operation: str, page_bytes: int, threads: int, options: argparse.Namespace) -> None:
    """Print a row for each shape of one operation, the best first."""
    found = find_operation(operation)
    plain, cpus = ways_of(found)[0], place_threads(threads)
    pattern = Pattern((near_dram(read_topology()),), page_bytes)
    variants = variants_of(operation, wide=options.wide)
    with benches_on(found, pattern, cpus, options.size) as benches:
        for bench in benches:
            bench.warm(plain)
        taken = [rounds_of(bench, Variant(plain), variants, options.rounds) for bench in benches]
        speeds = [statistics.median(bench.gbps(plain) for _ in range(ROUNDS_AGAIN)) for bench in benches]
    head = f"{operation}, {format_size(page_bytes)} pages, {threads} thread{'s'[: threads > 1]}"
    print(f"{head}: {plain.name} {' and '.join(f'{gbps:.2f}' for gbps in speeds)} GB/s")
    ranked = sorted(_medians(taken), key=lambda row: -row[1])
    for name, ratio in ranked[: options.most]:
        print(f"  {name:<29}{ratio:>7.3f}  {_spread(taken, name)}", flush=True)
    if options.choice:
        chosen = choose(operation, page_bytes, cpus, pattern.nodes[0])
        way = Way(SHAPES[chosen.shape], chosen.vector_bits)
        best = next(one for one in [*variants, Variant(plain)] if one.name == ranked[0][0])
        with benches_on(found, pattern, cpus, options.size) as benches:
            for bench in benches:
                bench.warm(plain)
            again = [rounds_of(bench, best, [Variant(way)], ROUNDS_AGAIN) for bench in benches]
        every = statistics.median(value for region in again for value in region[way.name])
        print(f"  tuning chooses {way.name}, {chosen.ratio:.3f} of {PLAIN}")
        print(f"  on fresh pages {every:.3f} of {best.name}: {_spread(again, way.name)}", flush=True)


@contextmanager
def benches_on(
    operation: Operation, pattern: Pattern, cpus: tuple[int, ...], size: str
) -> Iterator[list[Bench]]:
    """Fresh regions, to be walked in any shape."""
    with ExitStack() as stack:
        huge = require_page_size(pattern, pattern.granule_bytes)
        regions = [stack.enter_context(allocate(size, pattern, huge=huge)) for _ in range(REGIONS)]
        yield [Bench(region, operation, cpus) for region in regions]


def _spread(taken: Sequence[dict[str, list[float]]], name: str) -> str:
    """The medians of both regions, and the range of single rounds."""
    every = [value for region in taken for value in region[name]]
    each = " ".join(f"{statistics.median(region[name]):.3f}" for region in taken)
    return f"regions {each}  rounds {min(every):.3f}..{max(every):.3f}"


def _medians(taken: Sequence[dict[str, list[float]]]) -> Iterator[tuple[str, float]]:
    """The worse region's median for each shape: tuning goes by it, too."""
    for name in taken[0]:
        yield name, min(statistics.median(region[name]) for region in taken)


def main() -> None:
    """Search on every row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    able = [threads for threads in (1, 2) if threads <= len(allowed_cpus())]
    parser.add_argument("--operations", nargs="+", choices=OPERATIONS, default=list(OPERATIONS))
    parser.add_argument("--pages", nargs="+", default=["4KiB", "2MiB"], choices=["4KiB", "2MiB"])
    parser.add_argument("--threads", nargs="+", type=int, default=able)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--size", default="256MiB")
    parser.add_argument("--most", type=int, default=20, help="rows that are printed of each search")
    parser.add_argument("--wide", action="store_true", help="also every width, and other distances")
    parser.add_argument("--choice", action="store_true", help="also what tuning chooses, beside the best")
    options = parser.parse_args()
    print(f"CPU: {collect().cpu_model}; {describe_machine()}")
    say_load("before")
    for page in options.pages:
        for operation in options.operations:
            for threads in options.threads:
                search(operation, parse_size(page), threads, options)
    say_load("after")


if __name__ == "__main__":
    main()
