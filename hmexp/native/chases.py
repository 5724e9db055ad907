"""Pointer chases, latencies of stores, and chases under load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from hmexp.native.core import LINE_BYTES, check, ffi, lib
from hmexp.native.emulation import NodeModel, make_map, map_to_c, model_to_c, number_nodes
from hmexp.native.loops import Job, Slice, sample_buffer, slices_to_c
from hmexp.native.operations import OPERATIONS
from hmexp.native.pages import PageMapping
from hmexp.native.tails import TAIL_BUCKETS, TailCounts, tail_counts
from hmexp.pattern import Pattern

StoreKind = Literal["nt", "flush"]

STORE_KINDS: Final[tuple[StoreKind, ...]] = get_args(StoreKind)
MAX_CHAINS: Final = 16
#: Places of a ring that can be known.
MAX_MARKS: Final = 64
_STORES: Final = {"nt": lib.HM_STORE_NT_FENCE, "flush": lib.HM_STORE_FLUSH_FENCE}


@dataclass(frozen=True)
class Ring:
    """One cycle through lines of a mapping.

    Parameters
    ----------
    lines : int
        How many lines it has.
    marks : tuple of int
        Where some of them are, evenly spaced on the ring [bytes].
    size_bytes : int
        Beginning of the mapping that it is in [bytes].
    spacing_bytes : int
        From line to line in memory; it may leave some out [bytes].
    """

    lines: int
    marks: tuple[int, ...]
    size_bytes: int
    spacing_bytes: int


def build_ring(
    mapping: PageMapping,
    seed: int,
    model: NodeModel | None = None,
    spacing_bytes: int = LINE_BYTES,
    window_bytes: int | None = None,
    *,
    ordered: bool = False,
    pattern: Pattern | None = None,
    node: int | None = None,
    size_bytes: int | None = None,
    marks: int = MAX_MARKS,
    cpus: Sequence[int] = (),
) -> Ring:
    """Write a ring through a mapping, one line every `spacing_bytes`.

    Parameters
    ----------
    window_bytes : int, optional
        All lines of a window in random order, then those of the next, in random order too; by
        default the window is the whole mapping [bytes].
    ordered : bool
        Lines in ascending order.
    pattern : Pattern, optional
        Of the mapping, if there is no model that has it.
    node : int, optional
        Only lines on this node of the pattern.
    size_bytes : int, optional
        Only the beginning of the mapping [bytes].
    marks : int
        How many lines of the ring are to be known by their place; a short ring has fewer.
    cpus : sequence of int
        One for each thread that links lines; the calling thread does if there are fewer than two.
    """
    lines, made = ffi.new("uint64_t *"), ffi.new("int *", marks)
    offsets = ffi.new("uint64_t[]", marks)
    if model is None and pattern is not None:
        index = number_nodes(pattern)
        c_map, _held = make_map(pattern, index)
    else:
        index = {} if model is None else {n: i for i, n in enumerate(model.rates)}
        c_map, _held = map_to_c(model)
    chosen = -1 if node is None else index[node]
    size = mapping.size_bytes if size_bytes is None else size_bytes
    window = size if window_bytes is None else window_bytes
    ring = ffi.new("struct hm_ring *", (size, spacing_bytes, window, seed, int(ordered), chosen))
    check(
        lib.hm_ring_build(mapping.base, ring, c_map, max(1, len(cpus)), list(cpus), made, offsets, lines),
        "building the ring",
    )
    return Ring(int(lines[0]), tuple(int(offset) for offset in offsets[0 : made[0]]), size, spacing_bytes)


def walk_ring(mapping: PageMapping, cpus: Sequence[int], ring: Ring) -> int:
    """Follow the ring from each mark to the next one, side by side, and count the lines.

    What is followed are the pointers as they lie in memory; they are read in its order first.

    Parameters
    ----------
    cpus : sequence of int
        One for each thread that walks, of which there are no more than marks.

    Returns
    -------
    int
        How many lines the cycle has that goes through the marks in their order; 0 if there is none, or
        none within `ring.lines` steps.
    """
    length = ffi.new("uint64_t *")
    where = ffi.new("struct hm_ring *", {"bytes": ring.size_bytes, "spacing_bytes": ring.spacing_bytes})
    check(
        lib.hm_ring_walk(
            mapping.base, where, len(cpus), list(cpus), len(ring.marks), list(ring.marks), ring.lines, length
        ),
        f"walking the ring on CPU {', '.join(map(str, cpus))}",
    )
    return int(length[0])


def chase(
    mapping: PageMapping,
    cpu: int,
    hops: int,
    samples: int,
    model: NodeModel | None = None,
    starts: Sequence[int] = (0,),
) -> tuple[npt.NDArray[np.void], tuple[int, ...]]:
    """Follow the ring, from several places of it at once if there are several starts.

    Returns
    -------
    samples : numpy.ndarray
        Of `SAMPLE`, each of `hops` dependent loads of each chain, shape ``(samples,)``.
    offsets : tuple of int
        Where the chains stopped, to resume from [bytes].
    """
    taken, pointer = sample_buffer((samples,))
    offsets = ffi.new("uint64_t[]", list(starts))
    c_model, _held = model_to_c(model)
    check(
        lib.hm_chase(mapping.base, cpu, len(starts), offsets, hops, samples, c_model, pointer),
        f"chasing on CPU {cpu}",
    )
    return taken, tuple(int(offset) for offset in offsets)


def chase_blocks(
    mapping: PageMapping, cpu: int, hops: int, blocks: int, model: NodeModel | None = None, start: int = 0
) -> npt.NDArray[np.float64]:
    """Time each block of `hops` loads, the reading of the clock included, shape ``(blocks,)`` [ns]."""
    times = np.zeros(blocks, dtype=np.float64)
    offset = ffi.new("uint64_t *", start)
    c_model, _held = model_to_c(model)
    held = ffi.from_buffer("double[]", times, require_writable=True)
    check(
        lib.hm_chase_blocks(mapping.base, cpu, offset, hops, blocks, c_model, held), f"chasing on CPU {cpu}"
    )
    return times


def store_latency(
    mapping: PageMapping,
    cpu: int,
    kind: StoreKind,
    stores: int,
    samples: int,
    model: NodeModel | None = None,
    seed: int = 1,
) -> npt.NDArray[np.void]:
    """Write lines in random order, waiting for each to leave the CPU; samples of `stores` stores."""
    taken, pointer = sample_buffer((samples,))
    c_model, _held = model_to_c(model)
    c_map, _held_map = map_to_c(model)
    check(
        lib.hm_store_latency(
            mapping.base,
            mapping.size_bytes,
            cpu,
            _STORES[kind],
            stores,
            samples,
            seed,
            c_model,
            c_map,
            pointer,
        ),
        f"store latency ({kind}) on CPU {cpu}",
    )
    return taken


@dataclass(frozen=True)
class Blend:
    """Another operation whose bursts come among those of a load; both have one stream.

    Parameters
    ----------
    operation : str
        Name of the other operation.
    of_thousand : int
        So many bursts of a thousand are of it, spread evenly.
    """

    operation: str
    of_thousand: int

    def to_c(self) -> dict[str, int]:
        """The fields of the C structure."""
        return {"operation": OPERATIONS[self.operation].number, "of_thousand": self.of_thousand}


@dataclass(frozen=True)
class LoadedRun:
    """The chase's samples, of `SAMPLE`, and the payload of the load in the time of each [bytes].

    `tail` has its single loads, if they were timed.
    """

    samples: npt.NDArray[np.void]
    load_bytes: npt.NDArray[np.int64]
    offset: int
    tail: TailCounts | None = None


def loaded(
    probe: PageMapping,
    probe_cpu: int,
    start: int,
    hops: int,
    load: PageMapping,
    slices: Sequence[Slice],
    job: Job,
    burst_bytes: int,
    delay_ns: int,
    model: NodeModel | None = None,
    load_pattern: Pattern | None = None,
    blend: Blend | None = None,
    tail_nodes: Sequence[int] = (),
) -> LoadedRun:
    """Chase pointers in `probe` while threads go over slices of `load`, pausing after each burst.

    Parameters
    ----------
    burst_bytes : int
        Of each stream, between two pauses [bytes].
    delay_ns : int
        The pause; 0 is full speed [ns].
    model : NodeModel, optional
        With the nodes of both regions.
    load_pattern : Pattern, optional
        Of `load`; needed with a model.
    blend : Blend, optional
        Another operation among the load's.
    tail_nodes : sequence of int
        Time each load of the chase by itself, by these nodes: see `chase_tail`.
    """
    samples, pointer = sample_buffer((job.samples,))
    load_bytes = np.zeros(job.samples, dtype=np.int64)
    offset = ffi.new("uint64_t *", start)
    c_model, _held = model_to_c(model)
    c_map, _held_map = (ffi.NULL, None) if model is None else model.map_to_c(load_pattern)
    counts = np.zeros((job.samples, len(tail_nodes), TAIL_BUCKETS), dtype=np.uint64)
    held = ffi.from_buffer("uint64_t[]", counts, require_writable=True) if tail_nodes else None
    tally = ffi.new("struct hm_tally *", (len(tail_nodes), held, 0)) if held is not None else ffi.NULL
    check(
        lib.hm_loaded(
            probe.base, probe_cpu, offset, hops, load.base, slices_to_c(slices), job.to_c(len(slices)),
            ffi.NULL if blend is None else ffi.new("struct hm_blend *", blend.to_c()),
            burst_bytes, delay_ns, c_model, c_map, pointer,
            ffi.from_buffer("int64_t[]", load_bytes, require_writable=True), tally,
        ),
        f"chasing on CPU {probe_cpu} under load of {len(slices)} threads",
    )  # fmt: skip
    stopped = int(offset[0])
    tail = tail_counts(samples, counts, int(tally.cost), stopped) if held is not None else None
    return LoadedRun(samples, load_bytes, stopped, tail)
