"""The command ``hmexp fleet``: the same measurement on many machines."""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from hmexp.cli.options import FILE, Command, completed, number, whole
from hmexp.cli.output import say, shown_display
from hmexp.cli.parameters import take_parameters
from hmexp.cli.parser import Parser
from hmexp.cli.status import ExitStatus, describe_statuses
from hmexp.errors import ParameterError

if TYPE_CHECKING:
    from hmexp.store.schema import Remark
    from hmexp.study.experiment import StudyParameters

_PATIENCE_SECONDS: Final = 300.0
_REPORT: Final = "report"
#: Of a measuring command, what a fleet has no use for.
_NOT_HERE: Final = ("explain", "json", "read", "at", "figure")


def _add_options(parser: argparse.ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="a scheduler of Dask that is there, such as tcp://10.0.0.1:8786",
    )
    hosts = where.add_argument(
        "--hosts", type=Path, metavar="FILE", help="a file with a host on each line, reached by SSH"
    )
    completed(hosts, FILE)
    where.add_argument(
        "--local", type=whole, metavar="N", help="N processes of this machine as hosts: to try a fleet out"
    )
    parser.add_argument(
        "--expect", type=whole, metavar="N", default=1, help="wait for at least N hosts (default: 1)"
    )
    parser.add_argument(
        "--patience", type=number, metavar="SECONDS", default=_PATIENCE_SECONDS,
        help=f"how long a host or the scheduler may be gone [s] (default: {_PATIENCE_SECONDS:g})",
    )  # fmt: skip
    parser.add_argument(
        "--workers-are-hosts", action="store_true",
        help="with --scheduler: take each worker for a host by its name, though they share machines; to try "
        "a fleet out",
    )  # fmt: skip
    parser.add_argument(
        "words", nargs="*", metavar="COMMAND",
        help="after --: sweep, matrix, curves or program with its options; or without it: report DIR",
    )  # fmt: skip


def _run(options: argparse.Namespace) -> int:
    words: list[str] = options.words
    if not words:
        raise ParameterError(
            "hmexp fleet has nothing to measure",
            "for example: hmexp fleet --local 2 -- sweep --preset quick",
        )
    if words[0] == _REPORT:
        return _show(words[1:])
    if importlib.util.find_spec("distributed") is None:
        raise ParameterError(
            "hmexp fleet needs the package distributed, which is not installed here",
            "pip install 'hmexp[fleet]', here and on every host",
        )
    return _measure(options, words)


def _measure(options: argparse.Namespace, words: Sequence[str]) -> int:
    from hmexp.fleet.folder import FleetPlan, open_fleet
    from hmexp.fleet.link import FleetLink
    from hmexp.fleet.measurements import files_of
    from hmexp.fleet.roster import Roster
    from hmexp.fleet.run import run_fleet
    from hmexp.store.run import resolve_results

    given = _parameters(words)
    shared = options.local is not None or options.workers_are_hosts
    plan = FleetPlan(words[0], given, shared, files_of(given))
    cluster, expected = _cluster(options)
    results, name = resolve_results(str(given["results"])), str(given["run"])
    with open_fleet(results, name, plan, say) as folder:
        print(f"Fleet: {folder.path}")
        with cluster as address, FleetLink(address, Roster(shared, say), options.patience, say) as link:
            outcome = run_fleet(folder, link, shown_display(), say, max(expected, options.expect))
        for host in outcome.hosts:
            print(f"  {host.name}: {host.state}" + (f" ({host.reason})" if host.reason else ""))
        # The hosts are let go first.
        _report(folder.path)
        folder.note_report()
    outcome.require_complete()
    return ExitStatus.OK


def _cluster(options: argparse.Namespace) -> tuple[AbstractContextManager[str], int]:
    """Where the hosts are, and how many there will be at least."""
    from hmexp.fleet.clusters import local_cluster, read_hosts, ssh_cluster

    if options.scheduler is not None:
        return nullcontext(options.scheduler), 1
    if options.hosts is not None:
        return ssh_cluster(options.hosts), len(read_hosts(options.hosts))
    if options.local is None or options.local < 1:
        raise ParameterError(
            "hmexp fleet does not know where its hosts are",
            "give --scheduler ADDRESS, --hosts FILE, or --local N with N from 1",
        )
    return local_cluster(options.local), options.local


def _parameters(words: Sequence[str]) -> dict[str, Remark]:
    """The parameters of the command after ``--``, read as that command reads them."""
    from hmexp.fleet.measurements import find_measurement

    name = words[0]
    measurement = find_measurement(name)
    command: Command = importlib.import_module(f"hmexp.cli.{name}").COMMAND
    parser = Parser(prog=f"hmexp {name}", allow_abbrev=False)
    command.add_options(parser)
    options = parser.parse_args(list(words[1:]))
    asked = next((each for each in _NOT_HERE if getattr(options, each, None)), None)
    if asked is not None:
        raise ParameterError(
            f"a fleet takes no --{'from' if asked == 'read' else asked}", f"run hmexp {name} on one machine"
        )
    if name == "sweep":
        return _sweep(options)
    # All but a sweep's are those of a study.
    return take_parameters(options, cast("type[StudyParameters]", measurement.parameters)).to_record()


def _sweep(options: argparse.Namespace) -> dict[str, Remark]:
    from hmexp.cli.sweep import take_sweep
    from hmexp.sweep.parameters import SweepParameters
    from hmexp.sweep.preset import STANDARD

    found = SweepParameters.from_mapping(take_sweep(options)).to_record()
    # A file is on this machine alone; what it says is written out.
    return found | ({"preset": STANDARD} if str(found["preset"]).endswith(".toml") else {})


def _show(words: Sequence[str]) -> int:
    if len(words) != 1:
        raise ParameterError("hmexp fleet report takes the folder of one fleet", "hmexp fleet report DIR")
    _report(Path(words[0]))
    return ExitStatus.OK


def _report(folder: Path) -> None:
    from hmexp.report.fleet.page import write_fleet_report

    page, found = write_fleet_report(folder)
    print(found.verdict.say)
    print(found.verdict.why)
    print(f"Report: {page}")


COMMAND = Command(
    "fleet",
    "measure the same on many machines through Dask, and compare them",
    "Measure the same on many machines through Dask's distributed: each host plans for itself, has one slot, "
    "so that nothing shares it with a measurement, and sends every finished launch, which is stored here at "
    "once. Safe to interrupt, and to lose hosts, the scheduler or this process: run it again to resume.",
    "Examples:\n\n"
    "  hmexp fleet --local 2 -- sweep --preset quick\n"
    "  hmexp fleet --scheduler tls://10.0.0.1:8786 --expect 40 -- sweep --patterns 1:0 3:1 1:1\n"
    "  hmexp fleet report results/fleet-20260101-120000-abcdef\n\n"
    + describe_statuses("if a host is not measured"),
    _add_options,
    _run,
)
