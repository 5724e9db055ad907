"""The command ``hmexp provision``: NUMA nodes of persistent or CXL memory, and back."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from hmexp.cli.options import Command, add_json, whole
from hmexp.cli.output import print_json, say
from hmexp.cli.status import ExitStatus, describe_statuses
from hmexp.errors import ParameterError
from hmexp.units import parse_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hmexp.machine.provision.execution import Workshop
    from hmexp.machine.provision.state import ProvisionWish
    from hmexp.machine.provision.steps import ProvisionStep


def _add_options(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--apply", action="store_true", help="carry out the steps, and verify the nodes (default: show them)"
    )
    what.add_argument(
        "--undo", action="store_true",
        help="take back the memory that hmexp made nodes of: it becomes DAX devices again",
    )  # fmt: skip
    parser.add_argument(
        "--dry-run", action="store_true", help="show the steps and change nothing; with --undo too"
    )
    parser.add_argument(
        "--movable", action=argparse.BooleanOptionalAction, default=True,
        help="put the memory in ZONE_MOVABLE, from where it can be taken back (default: --movable)",
    )  # fmt: skip
    parser.add_argument(
        "--region", type=whole, action="append", default=[], metavar="N", help="only this region; repeatable"
    )
    parser.add_argument(
        "--node", type=whole, action="append", default=[], metavar="N",
        help="only memory that belongs to this node; repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--device", action="append", default=[], metavar="NAME",
        help="only this device, such as dax0.0, namespace0.0 or mem0; repeatable",
    )  # fmt: skip
    parser.add_argument("--size", help="size of new namespaces and regions (default: all there is)")
    parser.add_argument(
        "--destroy", action="append", default=[], metavar="NAMESPACE",
        help="give up this namespace with all the data that it holds; repeatable",
    )  # fmt: skip
    add_json(parser, "the steps, what was done and the nodes")


def _run(options: argparse.Namespace) -> int:
    from hmexp.machine.provision.execution import Workshop, provision, unprovision, verify_nodes
    from hmexp.machine.provision.plan import require_known

    if options.dry_run and options.apply:
        raise ParameterError("--dry-run and --apply contradict each other", "leave one out")
    wish = _wish(options)
    workshop = Workshop(tell=lambda text: say(f"running: {text}"))
    _say_interrupted(workshop)
    if options.dry_run or not (options.apply or options.undo):
        return _show(options, workshop, wish)
    refused: tuple[str, ...]
    nodes: list[str]
    if not options.undo:
        require_known(workshop.read(), wish)
    if options.undo:
        done, refused, nodes = unprovision(workshop), (), []
    else:
        done, refused = provision(workshop, wish), _refused(workshop, wish)
        nodes = verify_nodes(workshop, wish)
    if options.json:
        print_json({"done": list(map(_record, done)), "nodes": nodes, "refused": refused})
    else:
        _print_steps(done, "done")
        for line in (*nodes, *refused):
            print(line)
        if not (done or nodes or options.undo):
            print("No node was made: this machine shows no memory that could become one.")
        elif not done:
            print(
                "Nothing was changed: "
                + ("hmexp has no node to take back." if options.undo else "no step is missing.")
            )
    return ExitStatus.OK if nodes or options.undo else ExitStatus.FAILED


def _wish(options: argparse.Namespace) -> ProvisionWish:
    from hmexp.machine.provision.state import ProvisionWish

    size_bytes = None if options.size is None else parse_size(options.size)
    return ProvisionWish(
        movable=options.movable, regions=tuple(options.region), nodes=tuple(options.node),
        devices=tuple(options.device), size_bytes=size_bytes, destroy=tuple(options.destroy),
    )  # fmt: skip


def _say_interrupted(workshop: Workshop) -> None:
    doing = workshop.journal.read().doing
    if doing is not None:
        say(f"an earlier run was interrupted in: {doing}. The plan starts from the machine as it is now.")


def _show(options: argparse.Namespace, workshop: Workshop, wish: ProvisionWish) -> int:
    from hmexp.machine.provision.plan import make_provision_plan, make_undo_plan, require_known

    state = workshop.read()
    if options.undo:
        plan = make_undo_plan(state, frozenset(workshop.journal.read().devices))
    else:
        require_known(state, wish)
        plan = make_provision_plan(state, wish)
    if options.json:
        print_json(
            {"steps": list(map(_record, plan.steps)), "refused": plan.refused, "missing": state.missing}
        )
        return ExitStatus.OK
    _print_steps(plan.steps, "step")
    for line in plan.refused:
        print(line)
    if state.missing:
        print(f"missing programs: {', '.join(state.missing)}; install the packages of these names")
    if plan.steps:
        how = "--undo without --dry-run" if options.undo else "--apply"
        print(f"Nothing was changed. `hmexp provision {how}` carries the steps out.")
    elif not plan.refused and not state.missing:
        there = any((state.areas, state.dax, state.cxl))
        print(
            "No step is missing."
            if there
            else "This machine shows no persistent memory, DAX device or CXL memory."
        )
    return ExitStatus.OK


def _refused(workshop: Workshop, wish: ProvisionWish) -> tuple[str, ...]:
    from hmexp.machine.provision.plan import find_refused

    return find_refused(workshop.read(), wish)


def _print_steps(steps: Sequence[ProvisionStep], word: str) -> None:
    for number, step in enumerate(steps, 1):
        for action in step.actions:
            print(f"{word} {number}: {action}")
        print(f"    why: {step.why}\n    changes: {step.changes}")


def _record(step: ProvisionStep) -> dict[str, object]:
    return {"commands": list(map(str, step.actions)), "why": step.why, "changes": step.changes}


COMMAND = Command(
    "provision",
    "make NUMA nodes of persistent or CXL memory, and take them back",
    "Find out which steps are missing between the persistent memory (Optane in App Direct mode, NVDIMMs), "
    "DAX devices and CXL memory of this machine and NUMA nodes. They are shown, with why and what each "
    "changes; --apply carries them out and verifies the nodes, --undo takes the memory back. A namespace "
    "that may hold data is left alone unless --destroy names it. What was done is written down in "
    "/var/lib/hmexp: after an interruption the same command resumes, and twice changes nothing.",
    "Examples:\n\n"
    "  hmexp provision\n"
    "  sudo hmexp provision --apply --region 0\n"
    "  sudo hmexp provision --undo\n\n"
    "JSON: an object with steps, refused and missing; with --apply or --undo an object with done, nodes and "
    "refused.\n\n"
    + describe_statuses("if --apply ended without a node: there is no such memory, or it may hold data"),
    _add_options,
    _run,
)
