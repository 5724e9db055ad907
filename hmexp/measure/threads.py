"""Where threads run, and which part of a region each of them works on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from hmexp import native
from hmexp.errors import ParameterError
from hmexp.measure.shapes import Way, gap_bytes
from hmexp.memory.region import Region
from hmexp.native import Operation, Slice
from hmexp.system.cpus import allowed_cpus, choose_cpus, core_of
from hmexp.system.topology import Topology, read_topology
from hmexp.units import format_size

PINNINGS: Final = ("near", "compact", "spread", "node:N")


def place_threads(
    threads: int,
    pinning: str | Sequence[int] = "near",
    topology: Topology | None = None,
    cores: Mapping[int, tuple[int, ...]] | None = None,
) -> tuple[int, ...]:
    """Choose a CPU for each thread.

    Parameters
    ----------
    threads : int
        How many threads.
    pinning : str or sequence of int
        ``near``: a core each while there are cores, on the first node with CPUs, then on the others;
        ``compact``: as few cores and nodes as will do; ``spread``: over the nodes in turn, a core
        each; ``node:2``: on the CPUs of that node alone; or the CPUs themselves.
    topology : Topology, optional
        The machine, if it was read already.
    cores : mapping of int to tuple of int, optional
        The hardware threads of each CPU's core, if they are known.

    Raises
    ------
    ParameterError
        If there are not as many CPUs.
    """
    if not isinstance(pinning, str):
        return _explicit(threads, tuple(pinning))
    machine = topology or read_topology(idle=False)
    allowed = (
        set(allowed_cpus()) if topology is None else {cpu for node in machine.nodes for cpu in node.cpus}
    )
    nodes = [tuple(cpu for cpu in node.cpus if cpu in allowed) for node in machine.nodes]
    near = next((cpus for cpus in nodes if cpus), ())
    word, _, number = pinning.partition(":")
    if word == "node" and number.isascii() and number.isdigit():
        own = tuple(cpu for cpu in machine.node(int(number)).cpus if cpu in allowed)
        if threads > len(own):
            raise ParameterError(
                f"threads {threads} is beyond the CPUs of node {number}, of which this process may use "
                f"{len(own)}",
                "use fewer threads, or another node; see `hmexp nodes`",
            )
        return choose_cpus(threads, own, own)
    if pinning not in PINNINGS or word == "node":
        raise ParameterError(
            f"pinning {pinning!r} is unknown", f"use one of: {', '.join(PINNINGS)}, or a list of CPUs"
        )
    best_first = choose_cpus(threads, near, allowed)  # it also refuses too many
    if pinning == "compact":
        known = {cpu: cores[cpu] if cores else core_of(cpu) for cpus in nodes for cpu in cpus}
        return tuple(sorted((cpu for cpus in nodes for cpu in cpus), key=lambda c: _rank(c, nodes, known)))[
            :threads
        ]
    if pinning == "spread":
        turns = [choose_cpus(len(cpus), cpus, cpus) for cpus in nodes if cpus]
        deep = max(map(len, turns))
        return tuple(cpus[i] for i in range(deep) for cpus in turns if i < len(cpus))[:threads]
    return best_first


def _rank(
    cpu: int, nodes: list[tuple[int, ...]], cores: Mapping[int, tuple[int, ...]]
) -> tuple[int, int, int]:
    node = next(i for i, cpus in enumerate(nodes) if cpu in cpus)
    return node, min(cores[cpu]), cpu


def _explicit(threads: int, cpus: tuple[int, ...]) -> tuple[int, ...]:
    if len(cpus) != threads:
        needed = f"{threads} thread{'s need' if threads > 1 else ' needs'} as many CPUs"
        raise ParameterError(
            f"{needed}, not {len(cpus)} ({', '.join(map(str, cpus))})",
            f"name {threads} of them, or use {len(cpus)} threads",
        )
    strange = [cpu for cpu in cpus if cpu not in allowed_cpus()]
    if strange:
        raise ParameterError(
            f"this process may not run on CPU {strange[0]}",
            f"it may use {', '.join(map(str, allowed_cpus()))}",
        )
    if len(set(cpus)) < len(cpus):
        raise ParameterError(f"a CPU is named twice ({cpus})", "two threads of one CPU would take turns")
    return cpus


def make_slices(
    region: Region,
    cpus: Sequence[int],
    operation: Operation,
    *,
    start_bytes: int = 0,
    way: Way | None = None,
) -> list[Slice]:
    """Divide a region among threads, and each slice into the streams of an operation.

    A stream is whole repetitions of the pattern where there are enough of them, so that every thread
    has the same share of each node for each stream; otherwise whole granules, otherwise whole pages.
    What is left over at the end of a slice is not touched, and not counted. The region is divided from
    `start_bytes` on. Shapes other than the plain one have their streams a little apart.

    Raises
    ------
    ParameterError
        If there are fewer pages than threads and streams.
    """
    streams = operation.streams
    parts = len(cpus) * streams
    size_bytes = region.size_bytes - start_bytes
    for unit_bytes in (region.pattern.period_bytes, region.pattern.granule_bytes, native.PAGE_BYTES):
        units = size_bytes // unit_bytes
        # The last slice also takes what is no whole unit: with eight units for each stream that
        # makes it longer than the others by an eighth at most.
        if units >= 8 * parts or (unit_bytes == native.PAGE_BYTES and units >= parts):
            break
    else:
        raise ParameterError(
            f"a region of {format_size(size_bytes)} is too small for {operation.name} by {len(cpus)} "
            f"threads, which takes {parts} pages",
            f"use at most {size_bytes // native.PAGE_BYTES // streams} threads, or a larger region",
        )
    edges = [units * i // len(cpus) * unit_bytes for i in range(len(cpus))] + [size_bytes]
    slices = []
    for start, end, cpu in zip(edges, edges[1:], cpus, strict=False):
        # A single stream may take the odd rest: it is the slice.
        unit = native.PAGE_BYTES if streams == 1 else unit_bytes
        gap = 0
        if way is not None and streams > 1:
            gap = gap_bytes(way, region.pattern, unit_bytes, (end - start) // streams)
        # Nothing lies behind the last stream: otherwise those of a region of 512 MiB would stand 256 MiB
        # apart with a gap as without one.
        part_bytes = (end - start - gap * (streams - 1)) // streams
        slices.append(Slice(start_bytes + start, part_bytes // unit * unit, cpu, gap))
    return slices


def shared_slices(
    region: Region, cpus: Sequence[int], operation: Operation, *, way: Way | None = None
) -> list[Slice]:
    """The whole region as one slice, for all threads to take granules of in turn.

    Raises
    ------
    ParameterError
        If there are fewer granules than threads.
    """
    whole = make_slices(region, cpus[:1], operation, way=way)[0]
    granule = region.pattern.granule_bytes
    if whole.part_bytes // granule < len(cpus):
        raise ParameterError(
            f"{len(cpus)} threads cannot share the {whole.part_bytes // granule} granules of "
            f"{format_size(granule)} that {operation.name} has in a region of "
            f"{format_size(region.size_bytes)}",
            "use fewer threads, a larger region, or smaller granules",
        )
    return [Slice(whole.offset_bytes, whole.part_bytes, cpu, whole.gap_bytes) for cpu in cpus]
