"""One point from beginning to end: emulation if need be, region, measurement, and all DRAM for comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from hmexp.markup import number
from hmexp.measure.host import emulate as emulate_node
from hmexp.measure.launch import LaunchRequest, launch
from hmexp.measure.launches import require_launches
from hmexp.measure.measurement import Measurement
from hmexp.measure.operation import find_operation
from hmexp.measure.portrait import draw_beside
from hmexp.measure.sampling import Sampling
from hmexp.measure.statistics import say_interval
from hmexp.measure.walk import Walk
from hmexp.memory.capacity import check_regions
from hmexp.memory.emulated_node import find_request
from hmexp.memory.emulation import Emulation
from hmexp.memory.page_sizes import find_page_bytes, require_page_size
from hmexp.memory.speed import Quantity
from hmexp.native import PAGE_BYTES
from hmexp.pattern import Pattern
from hmexp.system.near import AUTO, find_ratio, near_dram, near_node
from hmexp.system.topology import Topology, read_topology
from hmexp.units import parse_size

SIZE: Final = "256MiB"


@dataclass(frozen=True)
class MeasuredPoint:
    """A measurement, and the same on DRAM alone.

    Parameters
    ----------
    measurement : Measurement
        Of the pattern.
    baseline : Measurement or None
        Of a region of the same size and pages, all on one DRAM node; None if the pattern is that.
    emulation : Emulation or None
        The emulated nodes.
    model : float or None
        What the emulated nodes must show [the measurement's unit]; None on real nodes, and where the
        host is slower than they are.
    parameters : mapping
        What was asked for, JSON-able.
    """

    measurement: Measurement
    baseline: Measurement | None
    emulation: Emulation | None
    model: float | None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def of_dram(self) -> float | None:
        """The measurement as a multiple of the baseline."""
        return None if self.baseline is None else self.measurement.median / self.baseline.median

    def _repr_html_(self) -> str:
        rows = []
        if self.baseline is not None:
            s, unit = self.baseline.summary, self.baseline.unit
            wording = f"{number(s.median)} {unit} ({say_interval(s, number)})"
            rows.append(("all DRAM", wording, f"{self.of_dram:.1%} of it"))
        if self.model is not None:
            error = self.measurement.median / self.model - 1
            rows.append(("model", f"{number(self.model)} {self.measurement.unit}", f"{error:+.1%} from it"))
        return draw_beside(self.measurement._repr_html_(), rows)

    def to_record(self) -> dict[str, Any]:
        """The point as JSON-able values."""
        found = self.measurement
        return {
            "operation": found.operation,
            "parameters": dict(self.parameters),
            "result": found.to_record(),
            "proof": found.proof_record(),
            "launches": [{"proof": launch.proof_record()} for launch in found.launches or (found,)],
            "baseline": None if self.baseline is None else self.baseline.to_record(),
            "of_dram": self.of_dram,
            "model": self.model,
            "emulated": found.emulated,
            "profile": found.profile,
            "emulation": None if self.emulation is None else self.emulation.to_record(),
        }


def measure_point(
    pattern: str | Pattern,
    operation: str = "read",
    threads: int = 1,
    *,
    size: str | int = SIZE,
    placer: str = "first_touch",
    page_bytes: str | int = "page",
    launches: int = 1,
    emulate: str | Emulation = "auto",
    baseline: bool = True,
    pinning: str | Sequence[int] = "near",
    walk: Walk = Walk(),
    sampling: Sampling = Sampling(),
    topology: Topology | None = None,
    show: Callable[[str], None] = lambda _: None,
) -> MeasuredPoint:
    """Measure the bandwidth of a pattern, and of DRAM alone for comparison.

    Parameters
    ----------
    pattern : str or Pattern
        Which node each granule is on; or a ratio such as ``1:2`` over DRAM and the slow node.
    operation, threads, pinning, walk, sampling
        As for `measure_bandwidth`.
    size : str or int
        Of the region [bytes].
    placer : str
        How the pages get to their nodes.
    page_bytes : str or int
        Size of its pages: ``page`` is the machine's own; ``2MiB`` needs granules of as much [bytes].
    launches : int
        More than one: so many fresh processes, each with fresh pages; one is measured in this process.
    emulate : str or Emulation
        ``auto``: a node of the pattern that is not there is emulated, unless the machine has real slow
        nodes; ``none``; ``NODE=PROFILE``; or what `hmexp.emulate` has made.
    baseline : bool
        Whether to measure DRAM alone, too.
    topology, show
        The machine, if it was read already; a callable that receives what is being done.

    Raises
    ------
    HmexpError
        If a parameter cannot be used, or the pages are not where they should be.
    """
    machine, asked = topology or read_topology(), "none" if isinstance(emulate, Emulation) else emulate
    parsed = read_pattern(pattern, PAGE_BYTES, asked, machine) if isinstance(pattern, str) else pattern
    huge = require_page_size(parsed, find_page_bytes(str(page_bytes)))
    require_room((parsed,), size, emulate, machine)
    emulation = _emulation_of(emulate, parsed, operation, threads, machine, show)
    request = LaunchRequest(
        size, parsed, placer, emulation, huge, operation, threads, pinning, walk, sampling
    )
    found, beside = _take(request, require_launches(launches), machine, show, baseline=baseline)
    parameters = {
        **request.to_record(), "page_bytes": page_bytes, "launches": launches, "emulate": str(asked),
        "baseline": baseline,
    }  # fmt: skip
    return MeasuredPoint(found, beside, emulation, _model(request, found), parameters)


def _emulation_of(
    emulate: str | Emulation,
    pattern: Pattern,
    operation: str,
    threads: int,
    machine: Topology,
    show: Callable[[str], None],
) -> Emulation | None:
    needed = quantities_of(operation)
    if isinstance(emulate, Emulation):
        return emulate
    return provide_emulation((pattern,), emulate, threads, machine, needed, show)


def _take(
    request: LaunchRequest, launches: int, machine: Topology, show: Callable[[str], None], *, baseline: bool
) -> tuple[Measurement, Measurement | None]:
    """Measure a pattern, and all DRAM for comparison if the pattern is not all DRAM itself."""

    def take(pattern: Pattern) -> Measurement:
        one = replace(request, pattern=pattern)
        taken = []
        for done in range(launches):
            which = f", launch {done + 1} of {launches}" if launches > 1 else ""
            show(f"{request.operation} on {pattern}{which}")
            # Several launches show how much processes differ: each is a fresh one.
            taken.append(one.run(machine) if launches == 1 else launch(one))
        return Measurement.join(taken)

    pattern = request.pattern
    dram = Pattern((near_dram(machine),), pattern.granule_bytes)
    same = len(pattern.distinct_nodes) == 1 and pattern.distinct_nodes == dram.distinct_nodes
    return take(pattern), take(dram) if baseline and not same else None


def _model(request: LaunchRequest, found: Measurement) -> float | None:
    """What the emulated nodes must show; None where the host was slower than they are."""
    if request.emulation is None or (found.noise is not None and found.noise.host_bound):
        return None
    shares = _shares(request.pattern, found)
    return request.emulation.predict(shares, found.operation, request.threads)


def read_pattern(
    text: str, granule: str | int, emulate: str, machine: Topology, dram: str = AUTO, slow: str = AUTO
) -> Pattern:
    """The pattern, or the ratio over the near DRAM node and the slow one, real or emulated.

    Parameters
    ----------
    text : str
        Such as ``0,2,2``, or ``1:2``.
    granule : str or int
        Its granule [bytes].
    emulate : str
        As for `measure_point`.
    machine : Topology
        The machine.
    dram, slow : str
        The nodes of a ratio, by number, or ``auto``: see `hmexp.system.near.find_ratio`.

    Raises
    ------
    ParameterError
        If it cannot be read, or is a ratio and there is no second node.
    """
    if ":" not in text:
        return Pattern.parse(text, granule)
    # A slow node that is named makes it needless to emulate one.
    needless = slow != AUTO and emulate.strip() == AUTO
    request = None if needless else find_request(emulate, machine)
    nodes = find_ratio(
        machine, dram=dram, slow=slow, emulated=None if request is None else request.node, far_dram=True
    )
    return Pattern.parse(text, granule, ratio_nodes=nodes)


def quantities_of(operation: str) -> tuple[Quantity, ...]:
    """What an emulation must know of the host for an operation, besides what it always does."""
    return ("write_nt",) if find_operation(operation).nontemporal else ()


def provide_emulation(
    patterns: Sequence[Pattern],
    emulate: str,
    threads: int,
    machine: Topology,
    quantities: tuple[Quantity, ...] = (),
    show: Callable[[str], None] = lambda _: None,
) -> Emulation | None:
    """Emulate what patterns name and the machine has not, as `measure_point` says.

    Raises
    ------
    ParameterError
        If `emulate` cannot be understood, or several nodes would have to be emulated.
    """
    named = {node for pattern in patterns for node in pattern.distinct_nodes}
    request = find_request(emulate, machine, named)
    if request is None:
        return None  # a node that does not exist is refused when the region is allocated
    return emulate_node(request, threads, quantities=quantities, topology=machine, show=show)


def require_room(
    patterns: Sequence[Pattern], size: str | int, emulate: str | Emulation, machine: Topology
) -> None:
    """Refuse regions that this process may not have, all at once, before anything is measured.

    Parameters
    ----------
    patterns : sequence of Pattern
        One for each region.
    size : str or int
        Of each region [bytes].
    emulate : str or Emulation
        As for `measure_point`.
    machine : Topology
        The machine, with the limits of this process.

    Raises
    ------
    TopologyError
        If a node is neither real nor emulated.
    PatternError
        If this process may not use a node.
    CapacityError
        If a node or a limit of this process leaves too little memory.
    """
    if isinstance(emulate, Emulation):
        real = [emulate.real_pattern(pattern) for pattern in patterns]
    else:
        named = {node for pattern in patterns for node in pattern.distinct_nodes}
        request = find_request(emulate, machine, named)
        backing = {} if request is None else {request.node: near_node(machine).id}
        real = [pattern.replace_nodes(backing) for pattern in patterns]
    check_regions([(pattern, parse_size(size)) for pattern in real], machine, asked=patterns)


def _shares(pattern: Pattern, found: Measurement) -> dict[int, int]:
    counts = pattern.pages_per_node(found.after.pages, PAGE_BYTES)
    return {node: count for node, count in counts.items() if count}
