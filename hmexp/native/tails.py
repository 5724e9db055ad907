"""Single accesses of a pointer chase, each timed by itself and counted by node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hmexp.native.core import check, ffi, lib
from hmexp.native.emulation import NodeModel, model_to_c
from hmexp.native.loops import sample_buffer
from hmexp.native.pages import PageMapping

TAIL_BUCKETS: Final = int(lib.HM_TAIL_BUCKETS)


@dataclass(frozen=True, eq=False)
class TailCounts:
    """How many accesses took how long.

    Parameters
    ----------
    samples : numpy.ndarray
        Of `SAMPLE`, shape ``(samples,)``.
    counts : numpy.ndarray
        Accesses, shape ``(samples, nodes, TAIL_BUCKETS)``.
    edges_ns : numpy.ndarray
        Least time of each bucket, shape ``(TAIL_BUCKETS + 1,)``; the last has all that took longer [ns].
    cost_ns : float
        What a turn without an access takes; it is taken off [ns].
    offset : int
        Where the chase stopped, to resume from [bytes].
    """

    samples: npt.NDArray[np.void]
    counts: npt.NDArray[np.uint64]
    edges_ns: npt.NDArray[np.float64]
    cost_ns: float
    offset: int


def chase_tail(
    mapping: PageMapping,
    cpu: int,
    turns: int,
    samples: int,
    nodes: Sequence[int],
    model: NodeModel | None = None,
    start: int = 0,
) -> TailCounts:
    """Follow the ring, and time each of its loads.

    Parameters
    ----------
    mapping : PageMapping
        With a ring in it.
    cpu : int
        The CPU to chase on.
    turns : int
        Loads of a sample.
    samples : int
        How many samples.
    nodes : sequence of int
        Nodes of the ring's pattern, in the order in which the ring has numbered them.
    model : NodeModel, optional
        Of emulated nodes.
    start : int
        Where on the ring to begin [bytes].
    """
    taken, pointer = sample_buffer((samples,))
    counts = np.zeros((samples, len(nodes), TAIL_BUCKETS), dtype=np.uint64)
    offset, cost = ffi.new("uint64_t *", start), ffi.new("uint64_t *")
    c_model, _held = model_to_c(model)
    held = ffi.from_buffer("uint64_t[]", counts, require_writable=True)
    check(
        lib.hm_chase_tail(
            mapping.base, cpu, offset, turns, samples, len(nodes), c_model, held, pointer, cost
        ),
        f"timing single loads on CPU {cpu}",
    )
    return tail_counts(taken, counts, int(cost[0]), int(offset[0]))


def tail_counts(
    taken: npt.NDArray[np.void], counts: npt.NDArray[np.uint64], cost_ticks: int, offset: int
) -> TailCounts:
    """The counts with their times in ns, which the core counts in ticks."""
    per_ns = float(lib.hm_ticks_per_ns())
    edges = np.array([lib.hm_tail_edge(bucket) for bucket in range(TAIL_BUCKETS + 1)], dtype=np.float64)
    return TailCounts(taken, counts, edges / per_ns, cost_ticks / per_ns, offset)
