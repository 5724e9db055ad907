"""Rings for pointer chases: made, walked once, and known to be one cycle through every line."""

from __future__ import annotations

import errno
import itertools
from dataclasses import dataclass
from typing import Final

from hmexp import native
from hmexp.errors import MeasurementError, NativeError, ParameterError
from hmexp.memory.region import Region
from hmexp.system.cpus import allowed_cpus
from hmexp.units import format_size

#: A ring of more lines would take minutes to walk; a larger region gets its lines further apart.
MAX_LINES: Final = 1 << 26
#: Threads that link a ring and walk it before it is used, at most, and what is worth another one.
_MOST_THREADS: Final = 4
_OF_A_THREAD_LINES: Final = 1 << 18


@dataclass(frozen=True)
class RingPlan:
    """Which lines a chase visits, and in which order.

    Parameters
    ----------
    spacing_bytes : int or None
        From one line to the next; 64 unless the region is too large for it [bytes].
    window_bytes : int or None
        All lines of a window come before those of the next one, so that a TLB that covers the window
        does not miss; None is the whole region [bytes].
    ordered : bool
        Lines in ascending order: what a prefetcher makes of the chase, not a latency.
    node : int or None
        Only lines on this node of the pattern.
    seed : int
        Of the random order.
    """

    spacing_bytes: int | None = None
    window_bytes: int | None = None
    ordered: bool = False
    node: int | None = None
    seed: int = 1


@dataclass(frozen=True)
class PreparedRing:
    """A ring that is there.

    Parameters
    ----------
    lines : int
        How many lines it has.
    starts : tuple of int
        Places on it, as far apart as can be [bytes].
    spacing_bytes : int
        From line to line in memory [bytes].
    window_bytes : int
        The ring stays in windows of this size; the region's, if it does not [bytes].
    access : str
        ``random`` or ``ordered``.
    node : int or None
        The only node whose lines are in it; None for all.
    """

    lines: int
    starts: tuple[int, ...]
    spacing_bytes: int
    window_bytes: int
    access: str
    node: int | None


def prepare_ring(
    region: Region,
    cpu: int,
    plan: RingPlan,
    *,
    chains: int = 1,
    size_bytes: int | None = None,
    model: native.NodeModel | None = None,
) -> PreparedRing:
    """Write a ring, walk it once, and check its length.

    Parameters
    ----------
    region : Region
        Its contents are overwritten by the ring.
    cpu : int
        Links and walks the ring; other CPUs help if it is long.
    plan : RingPlan
        Which ring.
    chains : int
        How many places to start from.
    size_bytes : int, optional
        Only the beginning of the region [bytes].
    model : NodeModel, optional
        That the chase will use, if it is not the region's own.

    Raises
    ------
    ParameterError
        If there can be no such ring.
    MeasurementError
        If the ring is not one cycle through all lines.
    """
    size = region.size_bytes if size_bytes is None else size_bytes
    spacing = _spacing(plan, size)
    window = size if plan.window_bytes is None else plan.window_bytes
    _check(region, plan, size, spacing, window, chains)
    cpus = _cpus_beside(cpu, size // spacing)
    ring = _build(region, plan, size, spacing, window, model, chains, cpus)
    length = native.walk_ring(region.mapping, cpus[: len(ring.marks)], ring)
    if length != ring.lines:
        what = f"a cycle of {length} lines" if length else "no cycle"
        raise MeasurementError(f"the ring that was to go through {ring.lines} lines once is {what}")
    starts = ring.marks[:: max(1, len(ring.marks) // chains)]
    if len(starts) != chains:
        raise ParameterError(
            f"{chains} chases need {64 * chains} lines, and the ring has {ring.lines}",
            "use a larger region or a smaller spacing",
        )
    access = "ordered" if plan.ordered else "random"
    return PreparedRing(ring.lines, starts, spacing, window, access, plan.node)


def _cpus_beside(cpu: int, lines: int) -> tuple[int, ...]:
    """The CPUs that link and walk a ring: that of the chase, and others if there is enough to do."""
    most = max(1, min(_MOST_THREADS, lines // _OF_A_THREAD_LINES))
    others = (other for other in allowed_cpus() if other != cpu)
    return (cpu, *itertools.islice(others, most - 1))


def _build(
    region: Region,
    plan: RingPlan,
    size: int,
    spacing: int,
    window: int,
    model: native.NodeModel | None,
    chains: int,
    cpus: tuple[int, ...],
) -> native.Ring:
    try:
        return native.build_ring(
            region.mapping,
            plan.seed,
            model or region.model,
            spacing,
            window,
            ordered=plan.ordered,
            pattern=region.pattern,
            node=plan.node,
            size_bytes=size,
            # A multiple of the chains: some of the marks are where they begin.
            marks=native.MAX_MARKS // chains * chains,
            cpus=cpus,
        )
    except NativeError as error:
        if error.errno != errno.ENODATA:
            raise
        raise ParameterError(
            f"a region of {format_size(size)} has fewer than two lines on node {plan.node}",
            "use a larger region or a smaller spacing",
        ) from error


def _spacing(plan: RingPlan, size: int) -> int:
    if plan.spacing_bytes is not None:
        return plan.spacing_bytes
    spacing = native.LINE_BYTES
    while size // spacing > MAX_LINES:
        spacing *= 2
    return spacing


def require_window(window_bytes: int, spacing_bytes: int | None = None) -> None:
    """Refuse a window that is too small.

    Parameters
    ----------
    window_bytes : int
        Of a ring that is random in windows [bytes].
    spacing_bytes : int, optional
        From line to line [bytes]; by default the smallest.

    Raises
    ------
    ParameterError
        With the least window.
    """
    # It is what a TLB covers, a page at least; and one line alone has no order.
    least = max(native.PAGE_BYTES, 2 * (spacing_bytes or native.LINE_BYTES))
    if window_bytes < least:
        raise ParameterError(
            f"a window of {format_size(window_bytes)} is too small: it is what a TLB covers, and holds two "
            "lines or more",
            f"use {format_size(least)} or more",
        )


def _check(region: Region, plan: RingPlan, size: int, spacing: int, window: int, chains: int) -> None:
    if size < 64 * native.LINE_BYTES:
        raise ParameterError(
            f"a region of {format_size(size)} is too small for a pointer chase", "use at least 4KiB"
        )
    if spacing < native.LINE_BYTES or spacing % native.LINE_BYTES:
        raise ParameterError(f"spacing {spacing} is not a multiple of {native.LINE_BYTES} bytes")
    if plan.window_bytes is not None:
        require_window(window, spacing)
    if window > size:
        raise ParameterError(
            f"a window of {format_size(window)} does not fit into the region, {format_size(size)}",
            "use a smaller window, or a larger region",
        )
    if not 1 <= chains <= native.MAX_CHAINS:
        raise ParameterError(
            f"{chains} parallel chases are too many",
            f"use 1 to {native.MAX_CHAINS}: a CPU cannot keep more in flight",
        )
    if size // spacing < 64 * chains:
        raise ParameterError(
            f"{chains} chases need {64 * chains} lines, and a region of {format_size(size)} has "
            f"{size // spacing} at a spacing of {format_size(spacing)}",
            "use a larger region or a smaller spacing",
        )
    if plan.node is not None and plan.node not in region.pattern.distinct_nodes:
        raise ParameterError(
            f"node {plan.node} is not in the pattern {region.pattern}",
            f"use one of: {', '.join(map(str, region.pattern.distinct_nodes))}",
        )
    if plan.node is not None and not region.knows_order:
        raise ParameterError(
            f"which lines are on node {plan.node} is not known: {region.placer.name} promises a ratio only",
            "use a placer of exact order: see `hmexp placers`",
        )
