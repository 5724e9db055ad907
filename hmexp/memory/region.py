"""Regions: mappings in memory whose granules follow a pattern."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from hmexp import native
from hmexp.closing import Closing
from hmexp.errors import PlacerUnavailableError, PlacerUnsuitableError, TopologyError, UnitError
from hmexp.memory.capacity import check_capacity
from hmexp.memory.emulation import Emulation, unhindered
from hmexp.memory.page_sizes import HUGE_PAGE_BYTES
from hmexp.memory.placement import Placement, check_placement
from hmexp.memory.placers import Placer, find_placer
from hmexp.memory.portrait import draw_region
from hmexp.native import NodeModel
from hmexp.pattern import Pattern
from hmexp.store.evidence import SetupRecord
from hmexp.store.parts import SettingRecord
from hmexp.store.schema import Remark
from hmexp.system.topology import Topology, read_topology
from hmexp.units import format_size, parse_size


@dataclass(frozen=True)
class SetupCost:
    """What it took to put the pages in place.

    Parameters
    ----------
    seconds : float
        Wall time of the placer [s].
    pages : int
        Pages placed [pages].
    details : mapping of str to remark
        What the placer has to say.
    settings : mapping of str to SettingRecord
        Settings of the machine that were changed meanwhile.
    """

    seconds: float
    pages: int
    details: Mapping[str, Remark]
    settings: Mapping[str, SettingRecord] = field(default_factory=dict)

    @property
    def ns_per_page(self) -> float:
        """Wall time per page [ns]."""
        return self.seconds * 1e9 / self.pages

    def to_record(self) -> SetupRecord:
        """The cost as it is stored."""
        return SetupRecord(
            seconds=self.seconds,
            ns_per_page=self.ns_per_page,
            page_bytes=native.PAGE_BYTES,
            details=dict(self.details),
        )


class Region(Closing):
    """Memory laid out by a pattern. Made by `allocate`; a context manager.

    Attributes
    ----------
    pattern : Pattern
        As asked for; may name emulated nodes.
    real_pattern : Pattern
        The same with real nodes only: what the pages are checked against.
    size_bytes : int
        A whole number of pages [bytes].
    setup : SetupCost
        What placing the pages took.
    huge : bool
        Whether huge pages were asked for; the placement says what the kernel gave.
    model : NodeModel or None
        How loops over this region are slowed; None on real nodes.
    """

    def __init__(
        self,
        size_bytes: int,
        pattern: Pattern,
        placer: Placer,
        emulation: Emulation | None,
        calibrating: bool,
        huge: bool = False,
    ) -> None:
        self.pattern = pattern
        self.real_pattern = pattern if emulation is None else emulation.real_pattern(pattern)
        self.placer = placer
        self.emulation = emulation
        self.model = unhindered(pattern) if calibrating else None
        if emulation is not None:
            self.model = emulation.node_model(pattern)
        self.size_bytes = size_bytes
        self.huge = huge
        # Aligned as huge pages are, so that the same layout can be had with them.
        self.mapping = placer.map(
            size_bytes, max(HUGE_PAGE_BYTES, native.PAGE_BYTES), self.real_pattern, huge
        )
        started = time.perf_counter()
        try:
            placed = placer.place(self.mapping, self.real_pattern)
        except BaseException:
            self.mapping.close()
            raise
        self.setup = SetupCost(time.perf_counter() - started, self.pages, placed.remarks, placed.settings)

    @property
    def pages(self) -> int:
        """How many pages there are [pages]."""
        return self.size_bytes // native.PAGE_BYTES

    @property
    def knows_order(self) -> bool:
        """Whether each page is on the node that the pattern says, not only as many pages as it says.

        Emulated nodes are so by definition: the model goes by the pattern.
        """
        return self.placer.exact_order or self.emulation is not None

    def pages_per_node(self) -> dict[int, int]:
        """Pages on each node of the pattern, emulated ones by their own id [pages]."""
        counts = self.pattern.pages_per_node(self.pages, native.PAGE_BYTES)
        return {node: count for node, count in counts.items() if count}

    def model_for(
        self, writers: int, *, beside: Pattern | None = None, fine: bool = False
    ) -> NodeModel | None:
        """How loops over this region are slowed when `writers` threads write; None on real nodes.

        `beside` and `fine` as in `Emulation.node_model`.
        """
        if self.emulation is None:
            return self.model
        return self.emulation.node_model(self.pattern, writers, beside=beside, fine=fine)

    def placement(self) -> Placement:
        """Ask the kernel where every page is now."""
        return check_placement(
            self.mapping,
            self.real_pattern,
            self.pattern,
            self.placer.count(self.mapping),
            exact_order=self.placer.exact_order,
        )

    def close(self) -> None:
        """Give the memory back; closing twice is allowed."""
        self.mapping.close()

    def __repr__(self) -> str:
        emulated = "" if self.emulation is None else f", EMULATED {self.emulation.profile.name}"
        return f"<Region {format_size(self.size_bytes)} of {self.pattern} by {self.placer.name}{emulated}>"

    def _repr_html_(self) -> str:
        profile = None if self.emulation is None else self.emulation.profile.name
        facts = {
            "size": f"{format_size(self.size_bytes)}, {self.pages:,} pages",
            "placer": f"{self.placer.name}, {self.setup.ns_per_page:,.0f} ns per page",
        }
        backing = {} if self.emulation is None else self.emulation.backing
        return draw_region(self.pattern, self.pages_per_node(), facts, profile, backing)


def allocate(
    size: str | int,
    pattern: str | Pattern,
    placer: str | Placer = "first_touch",
    *,
    emulation: Emulation | None = None,
    calibrating: bool = False,
    topology: Topology | None = None,
    huge: bool = False,
) -> Region:
    """Allocate a region and put every page of it on its node.

    Parameters
    ----------
    size : str or int
        Size of the region; rounded up to whole pages [bytes].
    pattern : str or Pattern
        Which node each granule is on.
    placer : str or Placer
        How the pages get there; `hmexp.memory.placers.PLACERS` has the names.
    emulation : Emulation, optional
        Emulated nodes that the pattern may name.
    calibrating : bool
        Run the emulating loops with nodes that cost nothing.
    topology : Topology, optional
        The machine, if it was read already.
    huge : bool
        Ask for pages of 2 MiB, which need granules of as much, or one node alone.

    Raises
    ------
    ParameterError
        If the size, the pattern or the placer cannot be understood.
    TopologyError
        If a node of the pattern is neither real nor emulated, or has no memory.
    PatternError, CapacityError
        As for `hmexp.memory.capacity.check_capacity`.
    PlacerUnavailableError, PlacerUnsuitableError
        If the placer cannot work here, or not with this pattern, granule or kind of page.
    """
    if isinstance(pattern, str):
        pattern = Pattern.parse(pattern)
    size_bytes = -(-parse_size(size) // native.PAGE_BYTES) * native.PAGE_BYTES
    if size_bytes >= 1 << 62:
        raise UnitError(f"size {size!r} is more than any machine can address")
    chosen = find_placer(placer) if isinstance(placer, str) else placer
    obstacle = chosen.unavailable()
    if obstacle is not None:
        raise PlacerUnavailableError(
            f"placer {chosen.name} cannot work here: {obstacle.reason}", obstacle.remedy
        )
    # Of the pattern as asked: emulated nodes on one real node must not make it look like one node's.
    obstacle = chosen.unsuitable(pattern, huge and pattern.granule_bytes >= HUGE_PAGE_BYTES)
    if obstacle is not None:
        raise PlacerUnsuitableError(obstacle.reason, obstacle.remedy)
    real_pattern = pattern if emulation is None else emulation.real_pattern(pattern)
    _check_room(real_pattern, size_bytes, topology, pattern)
    return Region(size_bytes, pattern, chosen, emulation, calibrating, huge)


def _check_room(pattern: Pattern, size_bytes: int, topology: Topology | None, asked: Pattern) -> None:
    try:
        check_capacity(pattern, size_bytes, topology or read_topology(idle=False), asked=asked)
    except TopologyError:
        # Memory that is there and not usable may be what was meant: looking for it takes a while.
        check_capacity(pattern, size_bytes, topology or read_topology(), asked=asked)
        raise
