"""Bandwidth loops: pinned threads that go over a mapping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from hmexp.native.core import check, ffi, lib
from hmexp.native.emulation import NodeModel, map_to_c, model_to_c
from hmexp.native.operations import OPERATIONS, vector_bits
from hmexp.native.pages import PageMapping
from hmexp.native.shapes import PLAIN, SHAPES

Access = Literal["sequential", "random_line", "random_granule", "strided"]

ACCESSES: Final[tuple[Access, ...]] = get_args(Access)
_ACCESS: Final = {
    "sequential": lib.HM_SEQUENTIAL,
    "random_line": lib.HM_RANDOM_LINES,
    "random_granule": lib.HM_RANDOM_GRANULES,
    "strided": lib.HM_STRIDED,
}

#: One thread in one sample: `struct hm_sample`.
SAMPLE: Final = np.dtype(
    [
        (name, np.int64)
        for name in (
            "start_ns", "end_ns", "off_cpu_ns", "preempted", "migrated", "stolen_ns", "waited_ns",
            "payload_bytes",
        )
    ]
)  # fmt: skip


@dataclass(frozen=True)
class Slice:
    """The part of a mapping that one thread works on, and the CPU that it is pinned to.

    Parameters
    ----------
    offset_bytes : int
        Where it begins [bytes].
    part_bytes : int
        How long each of the operation's streams is; they lie one behind the other [bytes].
    cpu : int
        The thread's CPU.
    gap_bytes : int
        What lies between one stream and the next, and is not touched [bytes].
    """

    offset_bytes: int
    part_bytes: int
    cpu: int
    gap_bytes: int = 0


@dataclass(frozen=True)
class Job:
    """What the threads are to do.

    Parameters
    ----------
    operation : str
        Name of an operation.
    passes : int
        Passes over the slices in a sample.
    samples : int
        Samples.
    access : str
        In which the lines or granules of a stream come; each comes once a pass.
    bits : int or None
        Vector width; the widest if None [bits].
    shared : bool
        All threads take granules of the first slice in turn.
    granule_bytes : int
        Of random granules, and of shared ones [bytes].
    stride_bytes : int
        From one line to the next, if `access` is ``strided`` [bytes].
    window_bytes : int
        Length of the windows whose time is taken along each slice; 0 for none [bytes].
    seed : int
        Of random orders.
    warm : bool
        The same was gone over just before: no pass to warm up.
    shape : str
        How the loop walks, a name of `SHAPES`.
    distance_bytes : int
        Of the shape's places [bytes].
    """

    operation: str
    passes: int
    samples: int
    access: Access = "sequential"
    bits: int | None = None
    shared: bool = False
    granule_bytes: int = 0
    stride_bytes: int = 0
    window_bytes: int = 0
    seed: int = 1
    warm: bool = False
    shape: str = PLAIN
    distance_bytes: int = 0

    def to_c(self, threads: int) -> Any:
        """The C structure."""
        return ffi.new(
            "struct hm_job *",
            {
                "operation": OPERATIONS[self.operation].number,
                "vector_bits": self.bits or vector_bits(),
                "access": _ACCESS[self.access],
                "shared": int(self.shared),
                "threads": threads,
                "samples": self.samples,
                "warm": int(self.warm),
                "shape": SHAPES[self.shape].number,
                "distance_bytes": self.distance_bytes,
                "passes": self.passes,
                "granule_bytes": self.granule_bytes,
                "stride_bytes": self.stride_bytes,
                "window_bytes": self.window_bytes,
                "seed": self.seed,
            },
        )


@dataclass(frozen=True)
class BandwidthRun:
    """What each thread did in each sample, shape ``(samples, threads)`` of `SAMPLE`, and the checksum.

    `window_ns` has the time of each window over all samples and passes, shape ``(threads, windows)``
    [ns]; 0 where a slice has no such window.
    """

    samples: npt.NDArray[np.void]
    window_ns: npt.NDArray[np.int64]
    checksum: int

    @property
    def start_ns(self) -> npt.NDArray[np.int64]:
        """When each thread began each sample [ns]."""
        return np.asarray(self.samples["start_ns"])

    @property
    def end_ns(self) -> npt.NDArray[np.int64]:
        """When each thread ended each sample [ns]."""
        return np.asarray(self.samples["end_ns"])


def slices_to_c(slices: Sequence[Slice]) -> Any:
    """The C array."""
    return ffi.new(
        "struct hm_slice[]",
        [(s.offset_bytes, s.part_bytes, s.part_bytes + s.gap_bytes, s.cpu) for s in slices],
    )


def sample_buffer(shape: tuple[int, ...]) -> tuple[npt.NDArray[np.void], Any]:
    """Room for samples, as an array and as the core's pointer to it."""
    samples = np.zeros(shape, dtype=SAMPLE)
    pointer = ffi.cast("struct hm_sample *", ffi.from_buffer(samples, require_writable=True))
    return samples, pointer


def bandwidth(
    mapping: PageMapping, slices: Sequence[Slice], job: Job, model: NodeModel | None = None
) -> BandwidthRun:
    """Go over the slices, all threads starting each sample together.

    Returns
    -------
    BandwidthRun
        The checksum is the exclusive or of every 64-bit word read in every pass, that of a
        warm-up included, so that tests can prove which bytes were read. Copies and triads have none.
    """
    samples, pointer = sample_buffer((job.samples, len(slices)))
    longest = max((s.part_bytes for s in slices), default=0)
    windows = -(-longest // job.window_bytes) if job.window_bytes else 0
    window_ns = np.zeros((len(slices), max(1, windows)), dtype=np.int64)
    checksum = ffi.new("uint64_t *")
    c_model, _held = model_to_c(model)
    c_map, _held_map = map_to_c(model)
    check(
        lib.hm_bandwidth(
            mapping.base, slices_to_c(slices), job.to_c(len(slices)), c_model, c_map, pointer,
            ffi.from_buffer("int64_t[]", window_ns, require_writable=True), checksum,
        ),
        f"{job.operation} loop with {len(slices)} threads",
    )  # fmt: skip
    return BandwidthRun(samples, window_ns, int(checksum[0]))
