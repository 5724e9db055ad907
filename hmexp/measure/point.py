"""One point from beginning to end: emulation if need be, region, measurement, and all DRAM beside it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hmexp.errors import ParameterError
from hmexp.markup import number
from hmexp.measure.bandwidth import find_operation
from hmexp.measure.host import emulate as emulate_node
from hmexp.measure.launch import LaunchRequest, launch
from hmexp.measure.launches import require_launches
from hmexp.measure.measurement import Measurement
from hmexp.measure.portrait import draw_beside
from hmexp.memory.emulation import Emulation, EmulationRequest
from hmexp.memory.page_sizes import find_page_bytes, require_page_size
from hmexp.memory.profile import Quantity
from hmexp.native import PAGE_BYTES
from hmexp.pattern import Pattern
from hmexp.system.cpus import allowed_cpus
from hmexp.system.topology import Topology, read_topology

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
            told = f"{number(s.median)} {unit} ({number(s.ci_low)} to {number(s.ci_high)})"
            rows.append(("all DRAM", told, f"{self.of_dram:.1%} of it"))
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
    op: str = "read",
    threads: int = 1,
    *,
    size: str | int = SIZE,
    placer: str = "first_touch",
    pages: str = "page",
    launches: int = 1,
    emulate: str = "auto",
    emulation: Emulation | None = None,
    baseline: bool = True,
    topology: Topology | None = None,
    show: Callable[[str], None] = lambda _: None,
    **options: Any,
) -> MeasuredPoint:
    """Measure the bandwidth of a pattern, and of DRAM alone beside it.

    Parameters
    ----------
    pattern : str or Pattern
        Which node each granule is on; or a ratio such as ``1:2`` over DRAM and the slow node.
    op, threads
        As for `measure_bandwidth`; so are all `options`.
    size : str or int
        Of the region [bytes].
    placer : str
        How the pages get to their nodes.
    pages : str
        Size of its pages: ``page`` is the machine's own; ``2MiB`` needs granules of as much.
    launches : int
        More than one: so many fresh processes, each with fresh pages, and an interval over them. One
        is measured in this process.
    emulate : str
        ``auto``: a node of the pattern that is not there is emulated, unless the machine has real slow
        nodes; ``none``; or ``NODE=PROFILE``.
    emulation : Emulation, optional
        Emulated nodes that are there already (`hmexp.emulate`), instead of `emulate`.
    baseline : bool
        Whether to measure DRAM alone, too.
    topology : Topology, optional
        The machine, if it was read already.
    show : callable
        Told what is being done.

    Raises
    ------
    HmexpError
        If a parameter cannot be used, or the pages are not where they should be.
    """
    machine = topology or read_topology()
    parsed = read_pattern(pattern, PAGE_BYTES, emulate, machine) if isinstance(pattern, str) else pattern
    huge = require_page_size(parsed, find_page_bytes(pages))
    require_launches(launches)
    quantity = quantities_of(op)
    if emulation is None:
        emulation = provide_emulation((parsed,), emulate, threads, machine, quantity, show)

    def take(what: Pattern) -> Measurement:
        request = LaunchRequest(size, what, placer, emulation, huge, op, threads, options)
        taken = []
        for done in range(launches):
            show(f"{op} on {what}" + (f", launch {done + 1} of {launches}" if launches > 1 else ""))
            # A fresh process, where several are to tell how much processes differ.
            taken.append(request.run(machine) if launches == 1 else launch(request))
        return Measurement.join(taken)

    found = take(parsed)
    dram = Pattern((near_dram(machine),), parsed.granule_bytes)
    same = len(parsed.distinct_nodes) == 1 and parsed.distinct_nodes == dram.distinct_nodes
    beside = take(dram) if baseline and not same else None
    model = None
    if emulation is not None and not (found.noise is not None and found.noise.host_bound):
        model = emulation.predict(_shares(parsed, found), find_operation(op).name, threads)
    parameters = {
        "pattern": str(parsed), "granule_bytes": parsed.granule_bytes, "size": str(size), "placer": placer,
        "pages": pages, "launches": launches, "operation": find_operation(op).name, "threads": threads,
        "emulate": emulate, "baseline": baseline, **{k: v for k, v in options.items() if v is not None},
    }  # fmt: skip
    return MeasuredPoint(found, beside, emulation, model, parameters)


def read_pattern(text: str, granule: str | int, emulate: str, machine: Topology) -> Pattern:
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

    Raises
    ------
    ParameterError
        If it cannot be read, or is a ratio and there is no second node.
    """
    if ":" not in text:
        return Pattern.parse(text, granule)
    near = near_dram(machine)
    others = [node.id for node in (*machine.slow_nodes, *machine.memory_nodes) if node.id != near]
    if emulate == "auto" and not machine.slow_nodes:
        # A free id: the original design's slow node is 2.
        others = [next(node for node in itertools.count(2) if node not in {n.id for n in machine.nodes})]
    elif emulate not in ("auto", "none"):
        others = [EmulationRequest.parse(emulate).node]
    return Pattern.parse(text, granule, ratio_nodes=(near, *others[:1]))


def quantities_of(op: str) -> tuple[Quantity, ...]:
    """What an emulation must know of the host for an operation, besides what it always does."""
    return ("write_nt",) if find_operation(op).nontemporal else ()


def near_dram(machine: Topology) -> int:
    """The DRAM node that is nearest to the CPUs: the first that has some."""
    allowed = set(allowed_cpus())
    nodes = machine.dram_nodes or machine.memory_nodes
    return next((node.id for node in nodes if allowed & set(node.cpus)), nodes[0].id)


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
    real = {node.id for node in machine.nodes}
    named = {node for pattern in patterns for node in pattern.distinct_nodes}
    missing = sorted(named - real)
    if emulate == "none" or (emulate == "auto" and (not missing or machine.slow_nodes)):
        return None  # a node that is not there is refused when the region is allocated
    if emulate == "auto":
        if len(missing) > 1:
            raise ParameterError(
                f"nodes {', '.join(map(str, missing))} are not there, and one node can be emulated",
                "see `hmexp nodes` for the nodes that are",
            )
        request = EmulationRequest.parse(f"{missing[0]}={EmulationRequest.default_profile()}")
    else:
        request = EmulationRequest.parse(emulate)
    return emulate_node(request, threads, quantities=quantities, topology=machine, show=show)


def _shares(pattern: Pattern, found: Measurement) -> dict[int, int]:
    counts = pattern.pages_per_node(found.after.pages, PAGE_BYTES)
    return {node: count for node, count in counts.items() if count}
