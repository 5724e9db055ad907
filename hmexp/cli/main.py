"""The command ``hmexp``: a face over the layers below, for those who do not open Jupyter."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import hmexp
from hmexp.cli import campaign as cli_campaign
from hmexp.cli import compare as cli_compare
from hmexp.cli.latency import add_latency
from hmexp.cli.measure import add_measure
from hmexp.cli.placers import add_placers
from hmexp.cli.study import add_commands as add_study_commands
from hmexp.cli.sweep import add_sweep
from hmexp.errors import HmexpError, ParameterError, SweepError
from hmexp.lab import cli as lab
from hmexp.system.libnuma import LibNuma
from hmexp.system.settings import repair
from hmexp.system.topology import Topology, read_topology
from hmexp.units import format_size

#: Exit statuses: a bad request, and a sweep of which a point failed.
EXIT_USAGE, EXIT_FAILED = 2, 1


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit: 0 if all is well, 1 if something failed, 2 if the request was bad."""
    options = _parser().parse_args(arguments)
    for told in repair():
        print(f"hmexp: {told}", file=sys.stderr)
    try:
        status = options.run(options)
        sys.stdout.flush()
    except SweepError as error:
        print(f"hmexp: {error}", file=sys.stderr)
        status = EXIT_FAILED
    except HmexpError as error:
        print(f"hmexp: {error}", file=sys.stderr)
        status = EXIT_USAGE
    except KeyboardInterrupt:
        print("hmexp: interrupted; the same command again goes on from here", file=sys.stderr)
        status = 130
    except BrokenPipeError:
        # The reader of a pipe has gone (`hmexp nodes | head`): nothing to tell, and nobody to tell it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        status = 0
    sys.exit(status)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hmexp", description="Experiments on hybrid memory.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"hmexp {hmexp.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    doctor = commands.add_parser("doctor", help="what is this machine, what can it do, what is missing")
    doctor.set_defaults(run=_doctor)

    nodes = commands.add_parser("nodes", help="the nodes, their kinds, sizes, distances and HMAT speeds")
    nodes.set_defaults(run=_nodes)

    add_placers(commands)

    add_sweep(commands)
    add_measure(commands)
    add_latency(commands)
    add_study_commands(commands)

    report = commands.add_parser(
        "report", help="write report.html, the tables and the figures of a run again"
    )
    report.add_argument(
        "run_directory", type=Path, metavar="RUN", help="run directory, such as results/latest"
    )
    report.add_argument(
        "--price-dram", type=float, metavar="PRICE", help="of DRAM, per GiB: what does a ratio cost"
    )
    report.add_argument("--price-slow", type=float, metavar="PRICE", help="of the slow memory, per GiB")
    report.add_argument(
        "--keep", type=float, default=90.0, metavar="PERCENT",
        help="of all DRAM's bandwidth, for the cheapest ratio that keeps it (default: 90)",
    )  # fmt: skip
    report.set_defaults(run=_report)

    cli_compare.add_command(commands)
    cli_campaign.add_command(commands)

    lab.add_parser(commands)
    return parser


def _doctor(_options: argparse.Namespace) -> int:
    from hmexp.machine.doctor import Verdict, examine

    failed = False
    for check in examine():
        failed |= check.verdict is Verdict.FAILED
        seen = check.seen.replace("\n", "\n" + " " * 28)
        print(f"{check.verdict:>6}  {check.what:<18}  {seen}", flush=True)
    return EXIT_FAILED if failed else 0


def _topology() -> Topology:
    return read_topology(libnuma=LibNuma.load())


def _nodes(_options: argparse.Namespace) -> int:
    topology = _topology()
    print("node  kind     CPUs   memory     free       read GB/s  write GB/s  latency ns  distances")
    for node in topology.nodes:
        figures = (node.read_gbps, node.write_gbps, node.read_latency_ns)
        hmat = [f"{value:g}" if value is not None else "-" for value in figures]
        distances = " ".join(f"{other}:{distance}" for other, distance in sorted(node.distances.items()))
        print(
            f"{node.id:<5} {node.kind:<8} {len(node.cpus):<6} {format_size(node.total_bytes):<10} "
            f"{format_size(node.free_bytes):<10} {hmat[0]:<10} {hmat[1]:<11} {hmat[2]:<11} {distances}"
        )
    for note in topology.notes:
        print(f"note: {note}")
    return 0


def _report(options: argparse.Namespace) -> int:
    from hmexp.report.model.cost import Prices
    from hmexp.report.page.html import write_report

    given = (options.price_dram, options.price_slow)
    if given.count(None) == 1:
        raise ParameterError("one price is not enough", "give both --price-dram and --price-slow, per GiB")
    prices = None if None in given else Prices(*given)
    print(f"Report: {write_report(options.run_directory, prices, options.keep / 100)}")
    return 0
