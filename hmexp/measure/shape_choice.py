"""Which shape a CPU likes best, by measurement on all-DRAM memory.

The plain loop is kept unless another shape is better by `BETTER` in each of two fresh regions, and in so many
rounds of each that it cannot be luck: on a busy host more rounds are taken until that is decided. All are
measured in turns within milliseconds, beside the plain loop before and after: hosts have slow and fast
states.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import geometric_mean, median, quantiles
from typing import Final

import msgspec

from hmexp.decoding import decode
from hmexp.errors import HmexpError, MeasurementError
from hmexp.measure.operation import find_operation
from hmexp.measure.shape_bench import Bench, Rounds, compare
from hmexp.measure.shape_cache import keep, read_kept
from hmexp.measure.shapes import AUTO, Way, find_way, require_shape, ways_of
from hmexp.memory.page_sizes import require_page_size
from hmexp.memory.region import allocate
from hmexp.native import PLAIN
from hmexp.pattern import Pattern
from hmexp.process import Child, ChildError, answer_once
from hmexp.store.shapes import ShapeRecord, ShapeTrial
from hmexp.system.caches import FAR_OVER, last_level_cache_bytes
from hmexp.system.provenance import timing_validity
from hmexp.system.settings import without_numa_balancing
from hmexp.system.topology import read_topology
from hmexp.units import MIB

#: A machine whose plain loop varies more is too busy for a choice to be kept.
STEADY: Final = 0.1
#: Where a sample is shorter than this a choice would take longer than what it is for [s].
LEAST_SECONDS: Final = 0.05
#: A choice takes a few seconds; what takes longer hangs [s].
TIMEOUT_SECONDS: Final = 120.0
REGIONS: Final = 2
#: A region is at least as large, for all threads and for each; but no more than this part of what is free.
LEAST_BYTES: Final = 256 * MIB
_THREAD_BYTES: Final = 64 * MIB
_PART_OF_FREE: Final = 16


@dataclass(frozen=True)
class ShapeQuestion:
    """What a process is asked to choose a shape for; see `choose`."""

    operation: str
    page_bytes: int
    cpus: tuple[int, ...]
    node: int


class ShapeAnswer(msgspec.Struct, frozen=True):
    """What that process answers: a record, or why there is none."""

    record: ShapeRecord | None = None
    reason: str = ""


def find_shape(operation: str, page_bytes: int, cpus: Sequence[int], node: int) -> ShapeRecord:
    """The shape that this CPU likes best: as it was found before, or measured now, in a process of its own.

    Parameters
    ----------
    operation, page_bytes, cpus, node
        As for `choose`.

    Raises
    ------
    MeasurementError
        If it could not be measured.
    """
    known = read_kept(operation, page_bytes, len(cpus))
    if known is not None:
        return known
    question = ShapeQuestion(operation, page_bytes, tuple(cpus), node)
    try:
        answer = Child("hmexp.measure.shape_choice", TIMEOUT_SECONDS).ask(msgspec.json.encode(question))
    except ChildError as error:
        last = error.last_words.strip().rpartition("\n")[2]
        words = f": {last}" if last else ""
        raise MeasurementError(f"the process that compares shapes {error.reason}{words}") from error
    found = decode(answer, ShapeAnswer)
    if found.record is None:
        raise MeasurementError(f"shapes cannot be compared: {found.reason}")
    if is_kept(found.record):
        keep(found.record)
    return found.record


def is_kept(record: ShapeRecord) -> bool:
    """Whether a choice is for later runs, too: a shape was surely better, or the machine was not busy."""
    return record.name != record.trials[0].name or (record.spread or 0) <= STEADY


def is_worth_it() -> bool:
    """Whether times say anything of this CPU: not where it, or what it waits for, is emulated."""
    return timing_validity()[0]


def shape_of(
    asked: str, operation: str, page_bytes: int, cpus: Sequence[int], node: int, seconds: float
) -> str:
    """The shape for a single measurement on real nodes, by name.

    Parameters
    ----------
    asked : str
        ``plain``, ``auto`` or a name.
    operation, page_bytes, cpus, node
        As for `choose`.
    seconds : float
        Shortest time of a sample: of shorter ones than `LEAST_SECONDS` the loop is plain [s].

    Raises
    ------
    ParameterError
        If there is no such shape.
    MeasurementError
        If shapes could not be compared.
    """
    if require_shape(asked) != AUTO:
        return asked
    if seconds < LEAST_SECONDS or not is_worth_it():
        return PLAIN
    return find_shape(find_operation(operation).name, page_bytes, cpus, node).name


def named(shape: str, operation: str, page_bytes: int, threads: int) -> ShapeRecord:
    """A shape that a person has named; with what is known of it on this CPU, if anything is.

    Raises
    ------
    ParameterError
        If there is no such shape.
    """
    way = find_way(shape, find_operation(operation))
    known = read_kept(operation, page_bytes, threads)
    trials = () if known is None else known.trials
    same = [one for one in trials if (one.shape, one.vector_bits) == (way.shape.name, way.vector_bits)]
    return ShapeRecord(
        operation=operation,
        page_bytes=page_bytes,
        threads=threads,
        shape=way.shape.name,
        vector_bits=way.vector_bits,
        ratio=_mean(same[0].ratios) if same else None,
        source="named",
        trials=trials,
    )


def choose(
    operation: str, page_bytes: int, cpus: Sequence[int], node: int, size_bytes: int | None = None
) -> ShapeRecord:
    """Measure every shape of an operation, and choose.

    Parameters
    ----------
    operation : str
        A bandwidth's name.
    page_bytes : int
        Of the pages [bytes].
    cpus : sequence of int
        One for each thread.
    node : int
        DRAM that the regions are on.
    size_bytes : int, optional
        Of each of the `REGIONS` regions; far over the last-level cache if not given [bytes].

    Returns
    -------
    ShapeRecord
        The chosen shape, and what each of them gave.
    """
    found, ways = find_operation(operation), ways_of(find_operation(operation))
    pattern = Pattern((node,), page_bytes)
    size_bytes = size_bytes or _size_bytes(len(cpus), node)
    with ExitStack() as stack:
        benches = [
            Bench(
                stack.enter_context(
                    allocate(size_bytes, pattern, huge=require_page_size(pattern, page_bytes))
                ),
                found,
                tuple(cpus),
            )
            for _ in range(REGIONS)
        ]
        for bench in benches:
            bench.warm(ways[0])
        taken, better = compare(benches, ways)
    trials = tuple(_trial(way, taken) for way in ways)
    chosen = _trial((*better, ways[0])[0], taken)
    return ShapeRecord(
        operation=found.name,
        page_bytes=page_bytes,
        threads=len(cpus),
        shape=chosen.shape,
        vector_bits=chosen.vector_bits,
        ratio=_mean(chosen.ratios),
        source="measured",
        trials=trials,
        spread=round(max(_spread([gbps for gbps, _ in region[ways[0].name]]) for region in taken), 4),
    )


def _size_bytes(threads: int, node: int) -> int:
    """How large a region must be to show memory on this machine, and may be [bytes]."""
    free = read_topology(idle=False).node(node).free_bytes
    wanted = max(threads * _THREAD_BYTES, FAR_OVER * (last_level_cache_bytes() or 0))
    return max(LEAST_BYTES, min(wanted, free // _PART_OF_FREE) // LEAST_BYTES * LEAST_BYTES)


def _spread(gbps: Sequence[float]) -> float:
    """The middle half of them, as a part of the median."""
    low, middle, high = quantiles(gbps)
    return (high - low) / middle


def _mean(ratios: Sequence[float]) -> float:
    return round(geometric_mean(ratios), 4)


def _trial(way: Way, taken: Sequence[Rounds]) -> ShapeTrial:
    return ShapeTrial(
        shape=way.shape.name,
        vector_bits=way.vector_bits,
        ratios=tuple(round(median(ratio for _, ratio in region[way.name]), 4) for region in taken),
        gbps=tuple(round(median(gbps for gbps, _ in region[way.name]), 3) for region in taken),
        rounds=len(taken[0][way.name]),
    )


def answer(question: bytes) -> bytes:
    """Choose a shape as an encoded question asks."""
    asked = decode(question, ShapeQuestion)
    try:
        with without_numa_balancing():
            found = choose(asked.operation, asked.page_bytes, asked.cpus, asked.node)
    except HmexpError as error:
        return msgspec.json.encode(ShapeAnswer(reason=error.message))
    return msgspec.json.encode(ShapeAnswer(found))


if __name__ == "__main__":
    answer_once(answer)
