"""The command ``hmexp weights``: weights for weighted interleave, set for good, verified by measuring."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hmexp.cli.machine import this_machine
from hmexp.cli.options import (
    DIRECTORY,
    FILE,
    Command,
    add_json,
    completed,
    number,
    percent,
    run_directory,
    share,
    size,
    threads,
    whole,
)
from hmexp.cli.output import print_json, say, shown_display
from hmexp.cli.status import ExitStatus, describe_statuses
from hmexp.errors import ParameterError, PlacerUnavailableError

if TYPE_CHECKING:
    from hmexp.machine.weights.advice import WeightAdvice
    from hmexp.machine.weights.runs import MeasuredReaches
    from hmexp.machine.weights.verification import Verification
    from hmexp.sweep.plan import SweepPlan
    from hmexp.system.topology import Topology


def _add_options(parser: argparse.ArgumentParser) -> None:
    run = parser.add_argument(
        "run_directory", nargs="?", metavar="RUN", type=run_directory,
        help="run of `hmexp matrix`, or of a sweep with points on one node (default: results/latest-matrix)",
    )  # fmt: skip
    completed(run, DIRECTORY)
    profile = parser.add_argument(
        "--profile", help="take the bandwidths from a profile, by name or .toml file, instead of a run"
    )
    completed(profile, FILE)
    parser.add_argument(
        "--initiator", type=whole, metavar="NODE",
        help="weights for the CPUs of this node (default: a compromise for all that were measured)",
    )  # fmt: skip
    parser.add_argument(
        "--nodes", metavar="LIST",
        help="nodes to interleave over, such as 0,2; with --profile its DRAM, then its slow node "
        "(default: all that may be used)",
    )  # fmt: skip
    parser.add_argument(
        "--reads", type=share, default=1.0, metavar="SHARE",
        help="share of the bytes that is read, such as 0.75 or 75%% (default: 1)",
    )  # fmt: skip
    parser.add_argument(
        "--tolerance", type=percent, default=0.01, metavar="PERCENT",
        help="bandwidth that smaller weights may cost (default: 1%%)",
    )  # fmt: skip
    parser.add_argument(
        "--draw", type=number, metavar="GBPS",
        help="what the CPUs of one node can draw from all nodes at once (default: all that the nodes have)",
    )  # fmt: skip
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--apply", action="store_true",
        help="set the weights for good, and verify them by measuring them and their neighbours",
    )  # fmt: skip
    what.add_argument(
        "--undo", action="store_true", help="bring back the weights, or the automatic mode, from before"
    )
    what.add_argument(
        "--measure", action="store_true", help="measure the weights and their neighbours without setting them"
    )
    parser.add_argument("--no-verify", action="store_true", help="with --apply: set them and measure nothing")
    parser.add_argument(
        "--size", type=size, default="256MiB", help="size of the regions that verify (default: 256MiB)"
    )
    parser.add_argument(
        "--threads", type=threads, default=0,
        help="threads that verify; auto is all CPUs of a node but one (default: auto)",
    )  # fmt: skip
    parser.add_argument("--launches", type=whole, default=3, help="fresh processes each (default: 3)")
    parser.add_argument("--samples", type=whole, default=5, help="samples of each launch (default: 5)")
    completed(parser.add_argument("--results", default="auto", help="folder of the runs"), DIRECTORY)
    add_json(parser, "the weights and what was measured")


def _run(options: argparse.Namespace) -> int:
    if options.no_verify and not options.apply:
        raise ParameterError("--no-verify needs --apply", "leave it out, or add --apply")
    if options.undo:
        return _undo(options)
    advice = _advise(options)
    if not options.json:
        print(advice)
    if not (options.apply or options.measure):
        if options.json:
            print_json(advice.to_record())
        return ExitStatus.OK
    found = _carry_out(options, advice)
    if options.json:
        verified = None if found is None else found.to_record()
        print_json(advice.to_record() | {"applied": options.apply, "verification": verified})
    elif found is not None:
        print(found)
    if not options.json and options.apply:
        print("The weights are set, until the next boot or `hmexp weights --undo`.")
    return ExitStatus.FAILED if found is not None and found.better else ExitStatus.OK


def _undo(options: argparse.Namespace) -> int:
    from hmexp.system.lasting import undo_weights

    said = undo_weights()
    if options.json:
        print_json({"undone": said})
        return ExitStatus.OK
    for line in said or ["Nothing to undo: hmexp has set no weights since the machine was booted."]:
        print(line)
    return ExitStatus.OK


def _advise(options: argparse.Namespace) -> WeightAdvice:
    from hmexp.machine.weights.advice import advise
    from hmexp.machine.weights.source import choose_initiators, choose_nodes

    topology = this_machine()
    named = None if options.nodes is None else _nodes(options.nodes)
    measured = _measured(options, topology, named)
    measured = replace(measured, reaches=choose_initiators(measured.reaches, options.initiator))
    nodes = choose_nodes(measured.reaches, topology, named)
    return advise(measured, nodes, options.reads, tolerance=options.tolerance, draw_gbps=options.draw)


def _measured(
    options: argparse.Namespace, topology: Topology, named: tuple[int, ...] | None
) -> MeasuredReaches:
    from hmexp.machine.weights.runs import MeasuredReaches, reaches_of_run
    from hmexp.machine.weights.source import nodes_of_profile, reaches_of_profile
    from hmexp.memory.profile import Profile

    if options.profile is None:
        return reaches_of_run(options.run_directory or _latest(options))
    if options.run_directory is not None:
        raise ParameterError(
            f"--profile {options.profile} and {options.run_directory} are two sources of bandwidths",
            "leave one out",
        )
    profile = Profile.load(options.profile)
    nodes = nodes_of_profile(topology) if named is None else named
    if len(nodes) != 2:
        raise ParameterError(
            f"--nodes {options.nodes} does not name two nodes",
            "a profile has DRAM and one slow memory: name the node of each, such as 0,2",
        )
    source = f"the profile {profile.name} ({profile.title})"
    return MeasuredReaches(source, reaches_of_profile(profile, (nodes[0], nodes[1])), {})


def _latest(options: argparse.Namespace) -> Path:
    from hmexp.store.run import resolve_results

    folder = resolve_results(options.results) / "latest-matrix"
    if not folder.exists():
        raise ParameterError(
            f"there is no {folder}: this machine was not measured yet",
            "run `hmexp matrix`; or name a sweep with points on one node each, or a --profile",
        )
    return folder


def _nodes(text: str) -> tuple[int, ...]:
    from hmexp.errors import ParseError
    from hmexp.system.sysfs import parse_id_list

    try:
        # In the order given: of a profile, DRAM comes first.
        found = [node for part in text.split(",") for node in parse_id_list(part, "--nodes")]
    except ParseError as error:
        raise ParameterError(error.message, error.remedy) from error
    return tuple(dict.fromkeys(found))


def _carry_out(options: argparse.Namespace, advice: WeightAdvice) -> Verification | None:
    from hmexp.machine.weights.verification import verify
    from hmexp.memory.placers import PLACERS
    from hmexp.system.lasting import lasting_weights

    obstacle = PLACERS["weighted"].unavailable()
    if obstacle is not None:
        raise PlacerUnavailableError(f"weights cannot be set here: {obstacle.reason}", obstacle.remedy)
    # Everything that can be refused is refused before the machine is changed.
    plan = None if options.no_verify else _plan(options, advice)
    if not options.apply:
        return None if plan is None else verify(plan, advice.weights, shown_display(), say)
    with lasting_weights(advice.weights):
        return None if plan is None else verify(plan, advice.weights, shown_display(), say)


def _plan(options: argparse.Namespace, advice: WeightAdvice) -> SweepPlan:
    from hmexp.machine.weights.verification import plan_verification

    given: dict[str, Any] = {
        "size": options.size, "threads": options.threads, "launches": options.launches,
        "samples": options.samples, "precision": 0.0, "results": options.results,
    }  # fmt: skip
    beside = [weights for name, weights in advice.rivals.items() if name.startswith("plain")]
    return plan_verification(advice.weights, advice.initiators, advice.reads, this_machine(), given, beside)


COMMAND = Command(
    "weights",
    "find the weights for weighted interleave, set them for good, verify them, undo them",
    "From measured bandwidths (a run of `hmexp matrix`, or a profile), the smallest whole numbers for the "
    "kernel's weighted interleave whose bandwidth is within a tolerance of the best: for the CPUs of one "
    "node, or the compromise that minimises the worst loss of all. --apply sets them for good and measures "
    "them and their neighbours. If it is interrupted or killed before that has ended, the former weights "
    "come back, at once or by the next command of hmexp.",
    "Examples:\n\n"
    "  hmexp weights --initiator 0 --reads 75%\n"
    "  sudo hmexp weights --apply\n"
    "  sudo hmexp weights --undo\n\n"
    "JSON: an object with source, reads, initiators, weights, worst_loss, by_initiator, rivals, commands and "
    "numactl; with --apply or --measure also applied and verification; of --undo an object with undone.\n\n"
    + describe_statuses(
        "if a neighbour of the weights is better beyond the interval, or could not be measured"
    ),
    _add_options,
    _run,
)
