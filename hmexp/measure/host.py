"""What this host can do inside the emulating loops, measured in this process: the scale of an emulation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from hmexp.errors import ParameterError
from hmexp.measure.bandwidth import measure_bandwidth
from hmexp.measure.latency import measure_latency, measure_store_latency
from hmexp.measure.sampling import Sampling
from hmexp.memory.emulation import Emulation, EmulationRequest
from hmexp.memory.region import Region, allocate
from hmexp.memory.speed import FIGURES, NodeSpeed, Quantity
from hmexp.pattern import Pattern
from hmexp.system.near import near_node
from hmexp.system.topology import Topology, read_topology

#: Launches with fresh pages. The least favourable one counts: the modelled speeds must fit in what the
#: host can do at its worst.
LAUNCHES: Final = 3
SAMPLING: Final = Sampling(5, 0.03)
QUANTITIES: Final[tuple[Quantity, ...]] = tuple(FIGURES)


def measure_quantity(region: Region, quantity: Quantity, threads: int, sampling: Sampling) -> float:
    """Measure one quantity of a host in a calibrating region, the median [GB/s or ns]."""
    match quantity:
        case "latency":
            return measure_latency(region, sampling=sampling).median
        case "store_nt":
            return measure_store_latency(region, "nt", sampling=sampling).median
        case "store_flush":
            return measure_store_latency(region, "flush", sampling=sampling).median
        case _:
            return measure_bandwidth(region, quantity, threads, sampling=sampling).median


def emulate(
    request: str | EmulationRequest,
    threads: int = 1,
    *,
    size: str | int = "128MiB",
    quantities: Iterable[Quantity] = QUANTITIES,
    launches: int = LAUNCHES,
    topology: Topology | None = None,
    show: Callable[[str], None] = lambda _: None,
) -> Emulation:
    """Measure this host and scale an emulation profile to it.

    Parameters
    ----------
    request : str or EmulationRequest
        ``NODE=PROFILE``, such as ``2=optane-dcpmm``; with ``@absolute`` the published speeds.
    threads : int
        The fewest that will work on emulated nodes: the modelled speeds must fit in what they can do.
    size : str or int
        Of the regions that the host is measured with [bytes].
    quantities : iterable of str
        What is to be measured on emulated nodes; less is faster.
    launches : int
        How often each is measured, each time on fresh pages; the least favourable counts.
    topology : Topology, optional
        The machine, if it was read already.
    show : callable
        Receives what is being measured.

    Raises
    ------
    ParameterError
        If the node is a real one.
    EmulationError
        If the profile cannot be used, or not at absolute speed on this host.
    """
    asked = EmulationRequest.parse(request) if isinstance(request, str) else request
    machine = topology or read_topology()
    if asked.node in {node.id for node in machine.nodes}:
        raise ParameterError(
            f"node {asked.node} is a real node of this machine", "emulate a node with an id of its own"
        )
    backing = near_node(machine).id
    found: dict[str, Any] = {}  # figures of a NodeSpeed by name: numbers, all of them
    needed: tuple[Quantity, ...] = ("read", "write", "latency", *quantities)
    for quantity in dict.fromkeys(needed):
        values = []
        for number in range(launches):
            show(f"{quantity} of this host, launch {number + 1} of {launches}")
            with allocate(size, Pattern((backing,)), calibrating=True, topology=machine) as region:
                values.append(measure_quantity(region, quantity, threads, SAMPLING))
        figure = FIGURES[quantity]
        found[figure] = max(values) if figure.endswith("_ns") else min(values)
    dram = [node.id for node in machine.dram_nodes] or [backing]
    return Emulation.scale_to_host(asked, NodeSpeed(**found), dram, backing)
