"""The study of a Redis: ratios by sizes of values and shares of reads, and a dump under writes for each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Final

from hmexp.errors import ParameterError
from hmexp.measure.launches import require_launches
from hmexp.memory.capacity import check_capacity
from hmexp.pattern import Pattern
from hmexp.program.client.build import build_client
from hmexp.program.experiment import BASELINE_WAY, ProgramStudy, ProgramStudyPoint
from hmexp.program.redis import count_keys
from hmexp.program.ways import AUTO as BEST
from hmexp.program.ways import WAYS
from hmexp.program.workload import Workload, find_workload
from hmexp.store.program_points import ProgramPoint
from hmexp.store.redis_records import DUMP, REQUESTS
from hmexp.study.experiment import StudyFacts, StudyParameters
from hmexp.system.caches import last_level_cache_bytes
from hmexp.system.near import find_ratio, near_node
from hmexp.system.topology import Topology
from hmexp.units import MIB, format_size, parse_size

#: Name of the study in `run.json`.
REDIS: Final = "redis"
_LEAST_VALUE_BYTES: Final = 24


@dataclass(frozen=True)
class RedisParameters(StudyParameters):
    """Parameters of the study of a Redis, under the names they have in its notebook.

    Parameters
    ----------
    ratios : tuple of str
        DRAM:slow; ``1:0`` is all DRAM, with which the others are compared.
    reads : tuple of str
        Shares of GET among the requests [%].
    values : tuple of str
        Sizes of the values.
    data : str
        Size of the server's memory; far over the last-level cache.
    keys : str
        Which keys are asked for: ``uniform``, or the exponent of Zipf's law.
    rate : int
        Requests per second at which latency is measured.
    connections, threads : int
        Of the client.
    seconds : float
        How long throughput, and then latency, are measured in each launch [s].
    dump : str
        ``yes`` or ``no``: whether BGSAVE is measured, too.
    way : str
        How the pages get there; ``auto`` is the most exact way that works here.
    launches : int
        Fresh servers for each point.
    settle_seconds : float
        How long the pages may take to be in place after the load [s].
    dram, slow : str
        Nodes, by number; ``auto`` is the DRAM nearest to the CPUs, and the slow node near it.
    """

    ratios: tuple[str, ...] = ("1:0", "3:1", "1:1", "1:2", "1:3", "0:1")
    reads: tuple[str, ...] = ("100", "95", "50", "0")
    values: tuple[str, ...] = ("100B", "1KiB")
    data: str = "1GiB"
    keys: str = "0.99"
    rate: int = 20000
    connections: int = 16
    threads: int = 1
    seconds: float = 5.0
    dump: str = "yes"
    way: str = BEST
    launches: int = 3
    settle_seconds: float = 120.0
    dram: str = "auto"
    slow: str = "auto"
    timeout_seconds: float = 3600.0

    @property
    def zipf(self) -> float:
        """The exponent of Zipf's law; 0 for uniform keys.

        Raises
        ------
        ParameterError
            If it is none.
        """
        if self.keys == "uniform":
            return 0.0
        try:
            found = float(self.keys)
        except ValueError:
            found = math.nan
        if not 0 < found <= 10:
            raise ParameterError(
                f"keys {self.keys!r} is neither uniform nor an exponent of Zipf's law",
                "use uniform, or a number such as 0.99",
            )
        return found


def make_redis_study(parameters: RedisParameters, topology: Topology) -> ProgramStudy:
    """Turn parameters into the points of the study.

    Raises
    ------
    HmexpError
        If a parameter cannot be used on this machine, or Redis is missing; nothing is written then.
    """
    require_launches(parameters.launches)
    if parameters.dump not in ("yes", "no"):
        raise ParameterError(f"dump {parameters.dump!r} is unknown", "use yes or no")
    if parameters.way not in (BEST, *WAYS):
        raise ParameterError(f"way {parameters.way!r} is unknown", f"use one of: {', '.join((BEST, *WAYS))}")
    dram = near_node(topology, dram=parameters.dram).id
    nodes = find_ratio(topology, dram=parameters.dram, slow=parameters.slow, far_dram=True)
    patterns = _patterns(parameters.ratios, nodes)
    data = parse_size(parameters.data)
    for pattern in patterns:
        # A dump forks: in the worst case every page is copied.
        check_capacity(pattern, data * (2 if parameters.dump == "yes" else 1), topology, total=True)
    points, baselines = _points(parameters, patterns, data)
    one = len(nodes) < 2
    return ProgramStudy(
        name=REDIS,
        parameters=parameters,
        points=points,
        topology=topology,
        headline=(
            f"A Redis of {format_size(data)} on {', '.join(map(str, patterns))}; "
            f"{', '.join(parameters.reads)} % reads; values of {', '.join(parameters.values)}; "
            f"{parameters.launches} fresh server{'s'[: parameters.launches > 1]} each."
        ),
        facts=StudyFacts(one_node=one, dram_node=dram),
        notes=_notes(parameters, data, one_node=one),
        baselines=baselines,
        dram_nodes=(dram,),
        slow_nodes=tuple(nodes[1:]),
    )


def _patterns(ratios: tuple[str, ...], nodes: tuple[int, ...]) -> tuple[Pattern, ...]:
    """The patterns of the ratios, all DRAM first; with one node there is only that."""
    alone = Pattern((nodes[0],))
    if len(nodes) < 2:
        return (alone,)
    found = [Pattern.parse_any(text, nodes) for text in ratios]
    return tuple(dict.fromkeys([alone, *found]))


def _notes(parameters: RedisParameters, data: int, *, one_node: bool) -> tuple[str, ...]:
    notes = []
    if one_node:
        notes.append(
            "This machine has one node with memory: only a Redis in DRAM is measured; there is no verdict."
        )
    cache = last_level_cache_bytes()
    if cache is not None and data < 4 * cache:
        notes.append(
            f"data {parameters.data} is not far over the last-level cache ({format_size(cache)}): much of "
            "what is asked for does not come from memory."
        )
    return tuple(notes)


def _points(
    parameters: RedisParameters, patterns: tuple[Pattern, ...], data: int
) -> tuple[tuple[ProgramStudyPoint, ...], Mapping[str, str]]:
    requests, dump = find_workload(REQUESTS), find_workload(DUMP)
    requests.require_installed()
    build_client()
    points: list[ProgramStudyPoint] = []
    baselines: dict[str, str] = {}
    kinds = [
        _requests(requests, parameters, data, *pair) for pair in product(parameters.values, parameters.reads)
    ]
    if parameters.dump == "yes":
        kinds += [_dump(dump, parameters, data, value) for value in parameters.values]
    for workload in kinds:
        base = None
        for pattern in patterns:
            point = _point(workload, parameters, pattern)
            points.append(point)
            if base is None:
                base = point.id
            else:
                baselines[point.id] = base
    return tuple(points), baselines


def _point(workload: Workload, parameters: RedisParameters, pattern: Pattern) -> ProgramStudyPoint:
    values = workload.record.parameters
    if "pattern" in values:
        workload = workload.with_values({"pattern": str(pattern)})
    one = len(pattern.distinct_nodes) == 1
    return ProgramStudyPoint(
        ProgramPoint(
            workload=workload.name,
            pattern=str(pattern),
            granule_bytes=pattern.granule_bytes,
            way=BASELINE_WAY if one else parameters.way,
            settle_seconds=parameters.settle_seconds,
            definition=workload.record,
        ),
        parameters.launches,
    )


def _requests(workload: Workload, parameters: RedisParameters, data: int, value: str, reads: str) -> Workload:
    percent = int(reads) if reads.isascii() and reads.isdecimal() else -1
    if not 0 <= percent <= 100:
        raise ParameterError(f"reads {reads!r} is not a whole number from 0 to 100")
    return workload.with_values(
        {**_common(parameters, data, value), "read_percent": str(percent), "zipf": str(parameters.zipf),
         "threads": str(parameters.threads)}
    )  # fmt: skip


def _dump(workload: Workload, parameters: RedisParameters, data: int, value: str) -> Workload:
    return workload.with_values(_common(parameters, data, value))


def _common(parameters: RedisParameters, data: int, value: str) -> dict[str, str]:
    size = parse_size(value)
    if not _LEAST_VALUE_BYTES <= size <= 64 * MIB:
        raise ParameterError(f"values {value!r} is not from {_LEAST_VALUE_BYTES}B to 64MiB")
    if not 1 <= parameters.threads <= parameters.connections <= 10_000:
        raise ParameterError(
            f"threads {parameters.threads} with connections {parameters.connections}: each needs one"
        )
    return {
        "keys": str(count_keys(data, size)),
        "value_bytes": str(size),
        "rate": str(parameters.rate),
        "connections": str(parameters.connections),
        "seconds": str(parameters.seconds),
    }
