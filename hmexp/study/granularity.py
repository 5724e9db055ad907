"""The study of granularity: one ratio at granules from a page up, and how even its parts are."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from hmexp.errors import ParameterError
from hmexp.measure.operation import find_operation
from hmexp.measure.point import provide_emulation, quantities_of
from hmexp.measure.sampling import Sampling
from hmexp.memory.capacity import check_capacity
from hmexp.memory.emulated_node import find_request
from hmexp.memory.emulation import Emulation, EmulationRequest
from hmexp.memory.page_sizes import HUGE_PAGE_BYTES, read_page_size
from hmexp.memory.placers import find_placer
from hmexp.native import PAGE_BYTES
from hmexp.pattern import Pattern
from hmexp.store.parameters import GranulePoint
from hmexp.study.experiment import Study, StudyFacts, StudyParameters, StudyPoint
from hmexp.study.placers import whole_pages
from hmexp.system.cpus import allowed_cpus
from hmexp.system.limits import note_quota
from hmexp.system.near import find_ratio, near_dram
from hmexp.system.topology import Topology
from hmexp.units import format_size


@dataclass(frozen=True)
class GranuleParameters(StudyParameters):
    """Parameters of the study of granularity, under the names they have in the notebook.

    Parameters
    ----------
    pattern : str
        The ratio, as nodes (``0,2``); ``auto`` is DRAM and a slow node, in turn.
    granules : tuple of str
        Which; each a multiple of the page that the region holds twice at least. ``auto`` is from a page
        up to half the region, times eight.
    size, window : str
        Of the region, and of the windows along it that are compared.
    operation : str
        What bandwidth is measured.
    threads : int
        For bandwidth; 0 is all CPUs but one.
    huge : str
        ``auto``: each granule that allows it also in pages of 2 MiB; ``none``.
    placer : str
        How the pages get there.
    samples, sample_seconds
        As for a sweep.
    emulate : str
        ``auto`` (only if there is no real slow node), ``none``, or ``NODE=PROFILE``.
    """

    pattern: str = "auto"
    granules: tuple[str, ...] = ("auto",)
    size: str = "256MiB"
    window: str = "4MiB"
    operation: str = "read"
    threads: int = 1
    huge: str = "auto"
    placer: str = "first_touch"
    samples: int = 10
    sample_seconds: float = 0.05
    emulate: str = "auto"


def make_granule_study(parameters: GranuleParameters, topology: Topology) -> Study:
    """Turn parameters into the points of a study.

    Raises
    ------
    HmexpError
        If a parameter cannot be used on this machine; nothing is written then.
    """
    find_placer(parameters.placer)
    find_operation(parameters.operation)
    Sampling(parameters.samples, parameters.sample_seconds).rule()
    if parameters.huge not in ("auto", "none"):
        raise ParameterError(f"huge {parameters.huge!r} is unknown", "use auto or none")
    size, window = whole_pages(parameters.size), whole_pages(parameters.window)
    if 2 * window > size:
        raise ParameterError(
            f"window {parameters.window} is more than half of the region ({parameters.size})",
            "use a smaller window, or a larger region",
        )
    text, request = _pattern_of(parameters, topology)
    dram = near_dram(topology)
    granules = _granules(parameters.granules, Pattern.parse(text), size)
    real = Pattern.parse(text).replace_nodes({request.node: dram} if request is not None else {})
    check_capacity(real, size, topology, total=True, asked=Pattern.parse(text))
    shape = GranulePoint(
        placer=parameters.placer,
        pattern=text,
        granule_bytes=PAGE_BYTES,
        size_bytes=size,
        window_bytes=window,
        operation=parameters.operation,
        threads=_threads(parameters.threads),
        samples=parameters.samples,
        sample_seconds=parameters.sample_seconds,
        emulated=request is not None,
    )

    def emulate() -> Emulation | None:
        if request is None:
            return None
        quantities = quantities_of(parameters.operation)
        return provide_emulation((Pattern.parse(text),), str(request), shape.threads, topology, quantities)

    head = f"node {request.node} EMULATED ({request})" if request is not None else "real nodes"
    return Study(
        name="granularity",
        parameters=parameters,
        points=_points(shape, granules, str(dram), huge=parameters.huge == "auto"),
        topology=topology,
        notes=tuple(filter(None, [note_quota(topology.limits, shape.threads)])),
        headline=f"Pattern {text}, {len(granules)} granules in {format_size(size)}, {head}.",
        facts=StudyFacts(text, dram_node=dram),
        emulate=emulate,
    )


def _points(shape: GranulePoint, granules: list[int], dram: str, *, huge: bool) -> tuple[StudyPoint, ...]:
    """Each granule; with `huge`, those that allow it also in pages of 2 MiB, and both pages on DRAM."""
    points = [replace(shape, granule_bytes=granule) for granule in granules]
    if huge:
        points += [
            replace(shape, granule_bytes=granule, huge=True)
            for granule in granules
            if granule % HUGE_PAGE_BYTES == 0
        ]
        # What pages of 2 MiB save is a matter of the CPU: it is measured on memory as it is.
        points += [replace(shape, pattern=dram, huge=pages, emulated=False) for pages in (False, True)]
    return tuple(map(StudyPoint, points))


def _threads(asked: int) -> int:
    cpus = len(allowed_cpus())
    if not 0 <= asked <= cpus:
        raise ParameterError(
            f"threads {asked} is not a number of threads here: this process may use {cpus} CPUs",
            f"use 1 to {cpus}, or auto (0 in a notebook) for all CPUs but one",
        )
    return asked or max(1, cpus - 1)


def _pattern_of(parameters: GranuleParameters, topology: Topology) -> tuple[str, EmulationRequest | None]:
    named = None if parameters.pattern == "auto" else Pattern.parse(parameters.pattern).distinct_nodes
    request = find_request(parameters.emulate, topology, named)
    if parameters.pattern != "auto":
        return parameters.pattern, request
    nodes = find_ratio(topology, emulated=None if request is None else request.node, far_dram=True)
    if len(nodes) < 2:
        raise ParameterError(
            "there is one node with memory, and none is emulated: no pattern has two nodes",
            "use emulate: auto, or NODE=PROFILE",
        )
    return ",".join(map(str, nodes)), request


def _granules(asked: tuple[str, ...], pattern: Pattern, size_bytes: int) -> list[int]:
    most = size_bytes // len(pattern.nodes)
    if asked == ("auto",):
        found, granule = [], PAGE_BYTES
        while granule <= min(most, 1 << 30):
            found.append(granule)
            granule *= 8
        return found
    found = [read_page_size(text) for text in asked]
    for granule, text in zip(found, asked, strict=True):
        Pattern(pattern.nodes, granule).granule_pages(PAGE_BYTES)
        if granule > most:
            raise ParameterError(
                f"granule {text} is too large: a region of {format_size(size_bytes)} does not hold the "
                f"pattern {pattern} once",
                f"use granules of {format_size(most)} or less, or a larger size",
            )
    return sorted(set(found))
