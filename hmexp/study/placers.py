"""The study of placers: what each costs at the same layout, and what its placement survives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hmexp.errors import ParameterError
from hmexp.measure.behaviour import BEHAVIOURS
from hmexp.memory.capacity import check_capacity, check_regions
from hmexp.memory.page_sizes import read_page_size
from hmexp.memory.placers import PLACERS, find_placer
from hmexp.native import PAGE_BYTES
from hmexp.pattern import Pattern
from hmexp.store.parameters import BehaviourPoint, CostPoint, MappingsPoint
from hmexp.study.experiment import Study, StudyFacts, StudyParameters, StudyPoint
from hmexp.system.near import find_ratio
from hmexp.system.topology import Topology
from hmexp.units import format_size, parse_size

#: What a machine with one node cannot show.
ONE_NODE: Final = (
    "This machine has one node with memory: no page can be on a wrong one, and neighbours of equal policy "
    "are one mapping. Times, page tables and refusals are real; misplaced pages and mappings per region are "
    "not to be seen here. `hmexp lab run -- hmexp study placers` shows them on three nodes."
)

#: Granules of the regions whose mappings are counted; the last is one more than Linux's own limit of
#: mappings leaves room for (65530, mm/util.c).
_GROWING: Final = (1024, 2048, 4096, 8192, 16384, 32768, 49152, 60000, 65000, 65536)


@dataclass(frozen=True)
class PlacerParameters(StudyParameters):
    """Parameters of the study of placers, under the names they have in the notebook.

    Parameters
    ----------
    pattern : str
        Of real nodes; ``auto`` is ``a,b,b`` of the first and the last node, or the only one.
    size : str
        Of each region.
    granule : str
        Bytes in a row from one entry.
    placers : tuple of str
        Which; ``all`` is every one there is.
    launches, pairs : int
        Fresh processes for each placer, and how often each populates, beside a plain mapping.
    behaviour_size : str
        Of the regions that are forked, dropped, and given huge pages.
    limit_granules : tuple of str
        Granules at which regions are grown until the kernel refuses to have more mappings.
    """

    pattern: str = "auto"
    size: str = "64MiB"
    granule: str = "page"
    placers: tuple[str, ...] = ("all",)
    launches: int = 5
    pairs: int = 3
    behaviour_size: str = "16MiB"
    limit_granules: tuple[str, ...] = ("page", "64KiB", "2MiB")


def make_placer_study(parameters: PlacerParameters, topology: Topology) -> Study:
    """Turn parameters into the points of a study.

    Raises
    ------
    HmexpError
        If a parameter cannot be used on this machine; nothing is written then.
    """
    nodes = topology.usable_nodes
    granule = read_page_size(parameters.granule)
    text = _auto_pattern(topology) if parameters.pattern == "auto" else parameters.pattern
    pattern = Pattern.parse(text, granule)
    size = whole_pages(parameters.size)
    behaviour_size = whole_pages(parameters.behaviour_size)
    check_capacity(pattern, size, topology, total=True)
    # After a fork the child writes to every page, and gets a copy of its own.
    check_regions([(pattern, behaviour_size)] * 2, topology, total=True)
    if not 1 <= parameters.launches <= 1000 or not 1 <= parameters.pairs <= 1000:
        raise ParameterError("launches and pairs are from 1 to 1000")
    named = tuple(PLACERS) if "all" in parameters.placers else parameters.placers
    for name in named:
        find_placer(name)
    points: list[StudyPoint] = []
    for name in named:
        points += [
            StudyPoint(
                CostPoint(
                    placer=name, pattern=text, granule_bytes=granule, size_bytes=size,
                    pairs=parameters.pairs, launch=launch,
                )
            )
            for launch in range(parameters.launches)
        ]  # fmt: skip
        points += [
            StudyPoint(
                BehaviourPoint(
                    placer=name, pattern=text, granule_bytes=granule, size_bytes=behaviour_size,
                    behaviour=behaviour,
                )
            )
            for behaviour in BEHAVIOURS
        ]  # fmt: skip
    points += _limit_points(parameters, topology)
    headline = (
        f"{len(named)} placers, pattern {text} with a granule of {format_size(granule)}, regions of "
        f"{format_size(size)}: {parameters.launches} fresh processes each."
    )
    return Study(
        name="placers",
        parameters=parameters,
        points=tuple(points),
        topology=topology,
        headline=headline,
        notes=(ONE_NODE,) if len(nodes) == 1 else (),
        facts=StudyFacts(text, one_node=len(nodes) == 1),
    )


def whole_pages(text: str) -> int:
    """A size, rounded up to whole pages [bytes]."""
    return -(-parse_size(text) // PAGE_BYTES) * PAGE_BYTES


def _auto_pattern(topology: Topology) -> str:
    first, *others = find_ratio(topology, far_dram=True)
    return f"{first},{others[0]},{others[0]}" if others else str(first)


def _limit_points(parameters: PlacerParameters, topology: Topology) -> list[StudyPoint]:
    """Regions of two nodes in turn: the most mappings that a region of a size can take."""
    text = ",".join(str(node.id) for node in topology.usable_nodes[:2])
    points = []
    for granule_text in parameters.limit_granules:
        granule = read_page_size(granule_text)
        Pattern.parse(text, granule)
        sizes = tuple(count * granule for count in _GROWING)
        points.append(StudyPoint(MappingsPoint(pattern=text, granule_bytes=granule, sizes_bytes=sizes)))
    return points
