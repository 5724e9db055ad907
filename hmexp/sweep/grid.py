"""The grid of a sweep: the values on each axis, and every combination of them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

from hmexp.measure.launches import require_launches
from hmexp.measure.quantity import LATENCIES, is_loaded
from hmexp.measure.sampling import Sampling
from hmexp.measure.stopping import StopRule
from hmexp.memory.emulation import EmulationRequest
from hmexp.memory.page_sizes import find_page_bytes, read_page_size, require_page_size
from hmexp.memory.placers import PLACERS, find_placer
from hmexp.pattern import Pattern
from hmexp.sweep.access import find_access
from hmexp.sweep.axes import (
    check_nodes,
    choose_nodes,
    choose_operations,
    count_threads,
    parse_patterns,
)
from hmexp.sweep.parameters import SweepParameters
from hmexp.sweep.point import SweepPoint
from hmexp.sweep.roles import Roles
from hmexp.system.topology import Topology
from hmexp.units import parse_size


@dataclass(frozen=True)
class Grid:
    """The values on each axis."""

    patterns: tuple[Pattern, ...]
    page_sizes: tuple[int, ...]
    sizes: tuple[int, ...]
    operations: tuple[str, ...]
    placers: tuple[str, ...]
    accesses: tuple[str, ...]
    threads: Mapping[str, tuple[int, ...]]
    rule: StopRule

    def points(self, parameters: SweepParameters, emulate: EmulationRequest | None) -> list[SweepPoint]:
        """Every combination, each once."""
        axes = (
            self.placers, self.page_sizes, self.sizes, self.operations, self.accesses, self.patterns,
            self.threads,
        )  # fmt: skip
        points = [
            SweepPoint(
                pattern=str(pattern),
                granule_bytes=pattern.granule_bytes,
                size_bytes=size_bytes,
                placer=placer,
                operation=operation,
                threads=1 if operation in LATENCIES else threads,
                samples=parameters.samples,
                sample_seconds=parameters.sample_seconds,
                emulate=str(emulate) if emulate else None,
                page_bytes=page_bytes,
                launches=parameters.launches,
                precision=self.rule.precision,
                most_samples=self.rule.most_samples,
                access=access,
                cpu_node=cpu_node,
            )
            for placer, page_bytes, size_bytes, operation, access, pattern, cpu_node in itertools.product(
                *axes
            )
            for threads in self.threads[cpu_node]
        ]
        return list(dict.fromkeys(points))


def make_grid(
    parameters: SweepParameters,
    topology: Topology,
    emulate: EmulationRequest | None,
    roles: Roles,
) -> Grid:
    """Check what was asked for on each axis against the machine.

    Parameters
    ----------
    parameters : SweepParameters
        What was asked for.
    topology : Topology
        The machine.
    emulate : EmulationRequest or None
        The emulated node, if any.
    roles : Roles
        The nodes of patterns that are given as a ratio, and the CPUs of the threads.

    Raises
    ------
    HmexpError
        If a value cannot be used on this machine.
    """
    granules = [read_page_size(text) for text in parameters.granules]
    patterns = parse_patterns(parameters, roles.ratio_nodes, granules)
    pages = tuple(dict.fromkeys(map(find_page_bytes, parameters.pages)))
    for pattern, page_bytes in itertools.product(patterns, pages):
        require_page_size(pattern, page_bytes)
    sizes = tuple(dict.fromkeys(-(-parse_size(text) // max(pages)) * max(pages) for text in parameters.size))
    check_nodes(patterns, topology, emulate, roles.dram.id, max(sizes))
    operations = choose_operations(parameters.operations, emulate)
    placers = tuple(PLACERS) if parameters.placers == ("all",) else parameters.placers
    for placer in placers:
        find_placer(placer)
    require_launches(parameters.launches)
    most_samples = parameters.most_samples or None
    loaded = any(map(is_loaded, operations))
    return Grid(
        patterns=patterns,
        page_sizes=pages,
        sizes=sizes,
        operations=operations,
        placers=placers,
        accesses=tuple(dict.fromkeys(map(find_access, parameters.access))),
        threads={
            node: count_threads(parameters.threads, node, roles.home, topology, loaded=loaded)
            for node in choose_nodes(parameters.cpu_nodes, topology)
        },
        rule=Sampling(
            parameters.samples, parameters.sample_seconds, parameters.precision, most_samples
        ).rule(),
    )
