"""The study of a Redis: ratios by sizes of values and shares of reads, and a dump under writes for each."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Final

from hmexp.errors import ParameterError
from hmexp.measure.launches import require_launches
from hmexp.memory.capacity import check_capacity
from hmexp.pattern import Pattern
from hmexp.program.client.build import build_client
from hmexp.program.experiment import BASELINE_WAY, ProgramStudy, ProgramStudyPoint
from hmexp.program.launch.ways import WAYS
from hmexp.program.redis.measured import count_keys
from hmexp.program.redis.parameters import AUTO, RedisParameters
from hmexp.program.workload.files import Workload, find_workload
from hmexp.ratio import is_ratio, parse_ratio
from hmexp.store.program_points import ProgramPoint
from hmexp.store.redis_records import DUMP, REQUESTS
from hmexp.study.experiment import StudyFacts
from hmexp.system.caches import FAR_OVER, last_level_cache_bytes
from hmexp.system.near import find_ratio, near_node
from hmexp.system.topology import Topology
from hmexp.units import MIB, format_size, parse_size

#: Name of the study in `run.json`.
REDIS: Final = "redis"
_LEAST_VALUE_BYTES: Final = 24


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
    if parameters.way not in (AUTO, *WAYS):
        raise ParameterError(f"way {parameters.way!r} is unknown", f"use one of: {', '.join((AUTO, *WAYS))}")
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
    return tuple(dict.fromkeys([alone, *(_pattern(text, nodes) for text in ratios)]))


def _pattern(text: str, nodes: tuple[int, ...]) -> Pattern:
    """A ratio with the pages of each node in a row: the form in which weighted interleave is exact, too."""
    if not is_ratio(text):
        return Pattern.parse(text)
    counts = parse_ratio(text, nodes)
    return Pattern(tuple(node for node, count in counts.items() for _ in range(count)))


def _notes(parameters: RedisParameters, data: int, *, one_node: bool) -> tuple[str, ...]:
    notes = []
    if one_node:
        notes.append(
            "This machine has one node with memory: only a Redis in DRAM is measured; there is no verdict."
        )
    cache = last_level_cache_bytes()
    if cache is not None and data < FAR_OVER * cache:
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
         "threads": str(parameters.threads),
         # The report says of which numbers the client was the limit; the others of the launch count.
         "most_busy": "0.0"}
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
