"""The commands ``hmexp study placers``, ``hmexp study granularity`` and ``hmexp study redis``."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hmexp.cli.machine import this_machine
from hmexp.cli.measuring import measured, say_plan
from hmexp.cli.options import Command, Commands
from hmexp.cli.parameters import add_parameters, take_parameters
from hmexp.cli.status import ExitStatus, describe_statuses

if TYPE_CHECKING:
    from hmexp.study.experiment import Study
    from hmexp.system.topology import Topology

#: What each parameter of a study is; the notebooks have the same names.
_HELP: Final = {
    "results": "folder of the run directories",
    "run": "name of the run directory; auto resumes an unfinished one",
    "timeout_seconds": "longest time of a process [s]",
    "seed": "seed of the order in which the processes are started",
    "pattern": "pattern, such as 0,2; auto takes nodes of this machine",
    "size": "size of each region",
    "granule": "bytes in a row on one node; page is the machine's",
    "granules": "granules; auto is from a page up to half the region, times eight",
    "placers": "ways of placing the pages; all is every one of `hmexp placers`",
    "placer": "how the pages get to their nodes",
    "launches": "fresh processes for each placer",
    "pairs": "how often each process populates, beside a plain mapping",
    "behaviour_size": "size of the regions that are forked, dropped, and given huge pages",
    "limit_granules": "granules at which regions grow until the kernel refuses more mappings",
    "window": "size of the windows along the region that are compared",
    "operation": "operation whose bandwidth is measured",
    "threads": "threads for bandwidth; auto (or 0) is all CPUs but one",
    "huge": "auto: each granule that allows it also with pages of 2MiB; none",
    "samples": "samples of each launch",
    "sample_seconds": "shortest time of a sample [s]",
    "emulate": "auto (only without a real slow node), none, or NODE=PROFILE",
}
#: Those of the study of a Redis that the others do not have, or mean otherwise.
_REDIS_HELP: Final = {
    "ratios": "DRAM:slow ratios; 1:0, all DRAM, is always measured",
    "reads": "shares of GET among the requests [%%]",
    "values": "sizes of the values",
    "data": "memory of the server; far over the last-level cache",
    "keys": "keys that are asked for: uniform, or the exponent of Zipf's law",
    "rate": "requests per second at which latency is measured",
    "connections": "connections of the client",
    "threads": "threads of the client",
    "seconds": "time for throughput, and then for latency, in each launch [s]",
    "dump": "yes or no: BGSAVE under writes, too",
    "way": "how the pages get to their nodes; auto is the most exact way that works here",
    "launches": "fresh servers for each point",
    "settle_seconds": "how long the pages may take to be in place after the load [s]",
    "dram": "DRAM node; auto is the one nearest to the CPUs",
    "slow": "slow node; auto is the one nearest to the CPUs",
}


def _kinds() -> tuple[tuple[str, str, type[Any]], ...]:
    from hmexp.program.redis.parameters import RedisParameters
    from hmexp.study.granularity import GranuleParameters
    from hmexp.study.placers import PlacerParameters

    return (
        ("placers", "measure what each placer costs, and what its placement survives", PlacerParameters),
        ("granularity", "measure bandwidth and latency against the granule", GranuleParameters),
        (
            "redis",
            "measure what each ratio does to a Redis that is loaded, asked and dumped",
            RedisParameters,
        ),
    )


def _add_options(parser: argparse.ArgumentParser) -> None:
    kinds: Commands = parser.add_subparsers(required=True, metavar="STUDY")
    for name, text, parameters in _kinds():
        command = Command(
            name,
            text,
            f"{text[:1].upper()}{text[1:]}. Safe to interrupt: run it again to resume.",
            describe_statuses("if a point failed"),
            partial(
                add_parameters, parameters=parameters, texts=_HELP | (_REDIS_HELP if name == "redis" else {})
            ),
            _run,
        )
        command.add_to(kinds).set_defaults(study=name)


def _run(options: argparse.Namespace) -> int:
    study = _make(options, this_machine())
    say_plan(study, options)
    with measured(study, options) as run:
        if study.name == "redis":
            _say_verdict(run)
    return ExitStatus.OK


def _say_verdict(run: Path) -> None:
    from hmexp.report.study.redis_verdict import redis_verdicts
    from hmexp.report.study.results import StudyResults

    for line in redis_verdicts(StudyResults.load(run)):
        print(line)


def _make(options: argparse.Namespace, topology: Topology) -> Study:
    from hmexp.study.granularity import make_granule_study
    from hmexp.study.placers import PlacerParameters, make_placer_study

    kind = next(parameters for name, _, parameters in _kinds() if name == options.study)
    parameters = take_parameters(options, kind)
    if isinstance(parameters, PlacerParameters):
        return make_placer_study(parameters, topology)
    if options.study == "redis":
        from hmexp.program.redis.study import make_redis_study

        return make_redis_study(parameters, topology)
    return make_granule_study(parameters, topology)


COMMAND = Command(
    "study",
    "measure placers, granularity or a Redis, as the notebooks of these names do",
    "Answer one question with a set of measurements and figures of its own. `hmexp study STUDY --help` lists "
    "the options of each.",
    describe_statuses("if a point failed"),
    _add_options,
    _run,
)
