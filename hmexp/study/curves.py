"""Families of curves: latency against bandwidth, one curve for each share of reads, for each pattern."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from hmexp.errors import ParameterError
from hmexp.measure.injection import DELAYS_NS, check_delays
from hmexp.measure.launches import require_launches
from hmexp.measure.mix import LEAST_REGULAR_PERCENT, STORES, Mix, Stores
from hmexp.measure.point import provide_emulation, read_pattern, require_room
from hmexp.measure.sampling import Sampling
from hmexp.memory.emulated_node import find_request
from hmexp.memory.emulation import Emulation
from hmexp.memory.placers import find_placer
from hmexp.native import PAGE_BYTES
from hmexp.pattern import Pattern
from hmexp.store.parameters import CurvePoint
from hmexp.study.experiment import Study, StudyFacts, StudyParameters, StudyPoint
from hmexp.study.placers import whole_pages
from hmexp.system.cpus import allowed_cpus
from hmexp.system.limits import note_quota
from hmexp.system.near import near_dram
from hmexp.system.topology import Topology
from hmexp.units import format_size

CURVES: Final = "curves"
#: Fewer tell neither knee nor saturation.
LEAST_LOADS: Final = 19
AUTO: Final = ("auto",)


@dataclass(frozen=True)
class CurveParameters(StudyParameters):
    """Parameters of a family of curves, under the names they have in the notebook.

    Parameters
    ----------
    patterns : tuple of str
        Nodes in order or DRAM:slow ratios; ``auto`` is DRAM, the slow node, and both in turn.
    reads : tuple of str
        Shares of reads in the traffic [%].
    stores : tuple of str
        ``nt`` (non-temporal) and ``regular``. Regular stores read their line first, so that their curves
        are from 50 % reads on.
    size : str
        Of each region; half of it is the chase's.
    threads : int
        That load; 0 is all CPUs but the one of the chase.
    delays : tuple of str
        Pauses of a thread after each burst, 19 at least [ns]; ``auto`` is from 20000 to 0.
    placer : str
        How the pages get to their nodes.
    launches, samples : int
        Fresh processes for each curve, and samples at each load.
    sample_seconds : float
        Shortest time of a sample [s].
    emulate : str
        ``auto`` (only if there is no real slow node), ``none``, or ``NODE=PROFILE``.
    """

    patterns: tuple[str, ...] = AUTO
    reads: tuple[str, ...] = tuple(str(percent) for percent in range(0, 101, 10))
    stores: tuple[str, ...] = STORES
    size: str = "256MiB"
    threads: int = 0
    delays: tuple[str, ...] = AUTO
    placer: str = "first_touch"
    launches: int = 3
    samples: int = 5
    sample_seconds: float = 0.02
    emulate: str = "auto"


def make_curves(parameters: CurveParameters, topology: Topology) -> Study:
    """Turn parameters into the points of a study: one for each curve.

    Raises
    ------
    HmexpError
        If a parameter cannot be used on this machine; nothing is written then.
    """
    find_placer(parameters.placer)
    require_launches(parameters.launches)
    Sampling(parameters.samples, parameters.sample_seconds).rule()
    delays = _delays(parameters.delays)
    if len(delays) < LEAST_LOADS:
        raise ParameterError(
            f"{len(delays)} different pauses make too few loads for a curve", f"give {LEAST_LOADS} or more"
        )
    threads, size = _threads(parameters.threads), whole_pages(parameters.size)
    patterns, emulate = _patterns(parameters, topology)
    require_room(patterns, size, emulate, topology)
    points = [
        CurvePoint(
            pattern=str(pattern),
            granule_bytes=pattern.granule_bytes,
            size_bytes=size,
            placer=parameters.placer,
            read_percent=mix.read_percent,
            stores=mix.stores,
            threads=threads,
            samples=parameters.samples,
            sample_seconds=parameters.sample_seconds,
            delays_ns=delays,
        )
        for pattern in patterns
        for mix in _mixes(parameters)
    ]
    named = {node for pattern in patterns for node in pattern.distinct_nodes}
    request = find_request(emulate, topology, named)

    def make_emulation() -> Emulation | None:
        return provide_emulation(patterns, emulate, threads, topology, ("write_nt",))

    head = "real nodes" if request is None else f"node {request.node} EMULATED ({request})"
    return Study(
        name=CURVES,
        parameters=parameters,
        points=tuple(StudyPoint(point, parameters.launches) for point in points),
        topology=topology,
        notes=tuple(filter(None, [note_quota(topology.limits, threads + 1)])),
        headline=(
            f"{len(points)} curves of {len(patterns)} patterns, {len(delays)} loads by {threads} "
            f"thread{'s'[: threads > 1]}, {format_size(size)}, {head}."
        ),
        facts=StudyFacts(dram_node=near_dram(topology)),
        emulate=make_emulation,
    )


def _mixes(parameters: CurveParameters) -> Iterator[Mix]:
    """Every mix that there is; of reads alone, the two kinds of stores are the same."""
    chosen: list[Stores] = []
    for stores in dict.fromkeys(parameters.stores):
        if stores not in STORES:
            raise ParameterError(f"stores {stores!r} is unknown", f"use {' or '.join(STORES)}")
        chosen.append(stores)
    found = 0
    for stores in chosen:
        for percent in sorted({_percent(text) for text in parameters.reads}):
            if stores == "regular" and percent < LEAST_REGULAR_PERCENT:
                continue
            if percent == 100 and stores != chosen[0]:
                continue
            found += 1
            yield Mix(percent, stores)
    if not found:
        raise ParameterError(
            "there is no such mix: regular stores read each line that they write",
            f"ask for shares of {LEAST_REGULAR_PERCENT:g} % reads and more, or for stores nt",
        )


def _percent(text: str) -> float:
    """A share of reads, with or without its sign [%]."""
    try:
        found = float(text.strip().removesuffix("%"))
    except ValueError:
        found = math.nan
    if not 0 <= found <= 100:
        raise ParameterError(f"reads {text!r} is not a share from 0 to 100 %", "write for example 70")
    return found


def _delays(texts: tuple[str, ...]) -> tuple[int, ...]:
    if texts == AUTO:
        return DELAYS_NS
    for text in texts:
        if not (text.isascii() and text.isdigit() and len(text) <= 8):
            raise ParameterError(f"delays {text!r} is not a whole number of ns from 0 to 10000000")
    return check_delays([int(text) for text in texts])


def _threads(asked: int) -> int:
    cpus = len(allowed_cpus())
    if cpus < 2:
        raise ParameterError("a curve takes two CPUs, and this process may use one", "allow more CPUs")
    if not 0 <= asked < cpus:
        raise ParameterError(
            f"threads {asked} and the chase are more than the {cpus} CPUs that this process may use",
            f"use 1 to {cpus - 1}, or auto (0 in a notebook) for all CPUs but the chase's",
        )
    return asked or cpus - 1


def _patterns(parameters: CurveParameters, topology: Topology) -> tuple[list[Pattern], str]:
    if parameters.patterns != AUTO:
        texts = dict.fromkeys(parameters.patterns)
        found = [read_pattern(text, PAGE_BYTES, parameters.emulate, topology) for text in texts]
        return list(dict.fromkeys(found)), parameters.emulate
    request = find_request(parameters.emulate, topology)
    if request is None and len(topology.usable_nodes) < 2:
        return [Pattern((near_dram(topology),))], "none"
    emulate = parameters.emulate if request is None else str(request)
    return [read_pattern(text, PAGE_BYTES, emulate, topology) for text in ("1:0", "1:1", "0:1")], emulate
