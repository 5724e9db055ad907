"""Bandwidth of a region: what threads that go over it get, in payload and on the bus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from hmexp import native
from hmexp.errors import ParameterError
from hmexp.measure.measurement import Measurement, proof, require_samples
from hmexp.measure.noise import Noise
from hmexp.measure.statistics import median_of
from hmexp.measure.threads import make_slices, place_threads, shared_slices
from hmexp.memory.region import Region
from hmexp.native import BandwidthRun, Job, Operation, Order, Slice
from hmexp.store.details import BandwidthDetails, Stragglers
from hmexp.units import format_size

Share = Literal["slices", "granules"]

OPERATIONS: Final[tuple[str, ...]] = tuple(native.OPERATIONS)
SHARES: Final[tuple[Share, ...]] = get_args(Share)
#: Read:write ratios, as other tools write them.
_ALIASES: Final = {
    "1:0": "read", "3:1": "mix_3_1", "2:1": "mix_2_1", "1:1": "mix_1_1", "0:1": "write",
    "3:1nt": "mix_3_1_nt", "2:1nt": "mix_2_1_nt", "1:1nt": "mix_1_1_nt", "0:1nt": "write_nt",
}  # fmt: skip


def find_operation(name: str) -> Operation:
    """The operation of that name, or of that read:write ratio (``3:1``, ``3:1nt``).

    Raises
    ------
    ParameterError
        If there is none, with the names there are.
    """
    found = native.OPERATIONS.get(_ALIASES.get(name, name))
    if found is None:
        raise ParameterError(
            f"operation {name!r} is unknown",
            f"use one of: {', '.join(OPERATIONS)}, or a read:write ratio: {', '.join(_ALIASES)}",
        )
    return found


def measure_bandwidth(
    region: Region,
    op: str = "read",
    threads: int = 1,
    *,
    cpus: Sequence[int] | None = None,
    placement: str = "near",
    order: Order = "sequential",
    stride_bytes: int = 4096,
    vector_bits: int | None = None,
    share: Share = "slices",
    window_bytes: int = 0,
    samples: int = 10,
    sample_seconds: float = 0.05,
    precision: float = 0.0,
    most_samples: int | None = None,
) -> Measurement:
    """Measure how fast threads go over a region.

    All threads start a sample together. A sample lasts from the first thread's start to the last
    one's end. Payload bytes are counted; the bytes that the bus is estimated to carry stand beside
    them.

    Parameters
    ----------
    region : Region
        Its contents are overwritten by operations that store.
    op : str
        Of `OPERATIONS`, or a read:write ratio: ``3:1`` (regular stores), ``3:1nt`` (non-temporal).
    threads : int
        Threads, each pinned to a CPU of its own.
    cpus : sequence of int, optional
        The CPUs, one per thread; chosen by `placement` if not given.
    placement : str
        ``near``, ``compact``, ``spread`` or ``node:N``; see `hmexp.measure.threads.place_threads`.
    order : str
        ``sequential``, ``random_line``, ``random_granule`` or ``strided``: every line once a pass.
    stride_bytes : int
        From one line to the next, if `order` is ``strided`` [bytes].
    vector_bits : int, optional
        Width of the vectors; the widest of this CPU if not given. 64 is plain C [bits].
    share : str
        ``slices``: each thread has a part of its own; ``granules``: all take granules in turn.
    window_bytes : int
        If not 0, the bandwidth of each window of that length along the region is taken, too [bytes].
    samples : int
        How many samples, at least.
    sample_seconds : float
        How long one should last, at least; rounded up to whole passes [s].
    precision, most_samples
        More samples are taken until the interval is so narrow, or there are so many: see `StopRule`.

    Returns
    -------
    Measurement
        In GB/s.

    Raises
    ------
    ParameterError
        If a parameter cannot be used.
    EmulationError
        If the emulated nodes do not have the figure that the operation takes.
    PlacementError
        If the pages are not where they should be, before or after.
    """
    operation = find_operation(op)
    rule = require_samples(samples, sample_seconds, precision, most_samples)
    bits = require_vectors(vector_bits, operation)
    _require_order(region, order, stride_bytes, share, window_bytes)
    chosen = place_threads(threads, placement if cpus is None else cpus)
    slices = (make_slices if share == "slices" else shared_slices)(region, chosen, operation)
    if order == "strided" and stride_bytes > slices[0].part_bytes:
        raise ParameterError(
            f"a stride of {format_size(stride_bytes)} is more than the {format_size(slices[0].part_bytes)} "
            f"that a thread goes over",
            "use a shorter stride, fewer threads or a larger region",
        )
    if region.emulation is not None:
        region.emulation.predict(region.pages_per_node(), operation.name, threads)
    model = region.model_for(threads)

    def job(passes: int, count: int, window: int = 0, warm: bool = True) -> Job:
        return Job(
            operation.name, passes, count, order, bits, share == "granules", region.pattern.granule_bytes,
            stride_bytes, window, warm=warm,
        )  # fmt: skip

    before = proof(region, "before")
    trial = native.bandwidth(region.mapping, slices, job(1, 1, warm=False), model)
    passes = max(1, int(np.ceil(sample_seconds * 1e9 / _elapsed_ns(trial.samples).min())))
    taken, stopped = rule.take(
        lambda count: native.bandwidth(region.mapping, slices, job(passes, count), model).samples,
        lambda found: found["payload_bytes"].sum(axis=1) / _elapsed_ns(found),
    )
    windows = None
    if window_bytes:
        along = native.bandwidth(region.mapping, slices, job(passes, samples, window_bytes), model)
        windows = _window_gbps(along, slices, operation, window_bytes, passes * samples)
    after = proof(region, "after")
    elapsed_ns = _elapsed_ns(taken)
    payload_bytes = int(taken["payload_bytes"][0].sum())
    return Measurement(
        operation=operation.name,
        unit="GB/s",
        samples=payload_bytes / elapsed_ns,  # bytes per ns
        sample_seconds=elapsed_ns / 1e9,
        payload_bytes=payload_bytes,
        before=before,
        after=after,
        profile=None if region.emulation is None else region.emulation.profile.name,
        details=BandwidthDetails(
            threads=threads,
            cpus=tuple(chosen),
            passes=passes,
            vector_bits=bits,
            access=order,
            stride_bytes=stride_bytes if order == "strided" else None,
            share=share,
            per_payload=operation.to_record(),
            page_bytes=after.page_bytes,
            stragglers=_stragglers(taken),
            stop=rule.to_record(stopped),
            window_bytes=None if windows is None else window_bytes,
            window_gbps=() if windows is None else tuple(map(tuple, windows)),
        ),
        bus_bytes=operation.bus_bytes(payload_bytes),
        noise=Noise.of(taken, modelled=region.emulation is not None),
    )


def require_vectors(bits: int | None, operation: Operation) -> int:
    """The vector width to use [bits].

    Raises
    ------
    ParameterError
        If this CPU does not have it, or the operation cannot be done at that width.
    """
    widest = native.vector_bits()
    widths = [width for width in native.VECTOR_BITS if width <= widest]
    usable = [width for width in widths if width > 64 or not operation.nontemporal]
    if not usable:
        raise ParameterError(
            f"operation {operation.name} needs non-temporal stores, which hmexp does not have for this CPU",
            "use a regular operation",
        )
    if bits is None:
        return usable[-1]
    if bits not in usable:
        why = (
            "has no non-temporal stores"
            if bits == 64
            else f"is too wide: the vectors of this CPU have {widest} bits"
        )
        raise ParameterError(
            f"vector width {bits} {why}", f"use one of: {', '.join(map(str, usable))} for {operation.name}"
        )
    return bits


def _require_order(region: Region, order: str, stride_bytes: int, share: str, window_bytes: int) -> None:
    if order not in native.ORDERS:
        raise ParameterError(f"order {order!r} is unknown", f"use one of: {', '.join(native.ORDERS)}")
    if share not in SHARES:
        raise ParameterError(f"share {share!r} is unknown", f"use one of: {', '.join(SHARES)}")
    if order == "strided" and (stride_bytes < native.LINE_BYTES or stride_bytes % native.LINE_BYTES):
        raise ParameterError(f"stride {stride_bytes} is not a multiple of {native.LINE_BYTES} bytes")
    if share == "granules" and order in ("random_line", "strided"):
        raise ParameterError(
            f"threads that share granules cannot go in the order {order}",
            "use share='slices', or the order sequential or random_granule",
        )
    if window_bytes % native.PAGE_BYTES or not 0 <= window_bytes <= region.size_bytes:
        raise ParameterError(f"window {window_bytes} is not a number of whole pages within the region")
    if window_bytes and (order != "sequential" or share != "slices"):
        raise ParameterError(
            "bandwidth per window needs the order sequential and share='slices'",
            "otherwise there is no moment at which a window ends",
        )


def _window_gbps(
    run: BandwidthRun, slices: Sequence[Slice], operation: Operation, window_bytes: int, passes: int
) -> list[list[float]]:
    """Payload bandwidth of each thread in each window of its slice [GB/s]."""
    found = []
    for times, part in zip(run.window_ns, slices, strict=True):
        lengths = [
            min(window_bytes, part.part_bytes - at) * operation.streams
            for at in range(0, part.part_bytes, window_bytes)
        ]
        found.append(
            [
                round(n * passes / max(int(t), 1), 4)
                for n, t in zip(lengths, times[: len(lengths)], strict=True)
            ]
        )
    return found


def _stragglers(taken: npt.NDArray[np.void]) -> Stragglers:
    """How unequal the threads were: what each got while it ran, and how long the last one ran alone."""
    start_ns, end_ns = taken["start_ns"], taken["end_ns"]
    rates = median_of(taken["payload_bytes"] / np.maximum(end_ns - start_ns, 1), axis=0)
    alone = (end_ns.max(axis=1) - end_ns.min(axis=1)) / _elapsed_ns(taken)
    return Stragglers(
        late_start_ns=float(median_of(start_ns.max(axis=1) - start_ns.min(axis=1))),
        alone_at_the_end=round(float(median_of(alone)), 4),
        thread_gbps=tuple(round(float(rate), 4) for rate in rates),
    )


def _elapsed_ns(taken: npt.NDArray[np.void]) -> npt.NDArray[np.int64]:
    return np.asarray(taken["end_ns"].max(axis=1) - taken["start_ns"].min(axis=1))
