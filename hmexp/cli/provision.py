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
    _add_choices(parser)
    _add_optane(parser)
    add_json(parser, "the steps, what was done and the nodes")


def _add_choices(parser: argparse.ArgumentParser) -> None:
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


def _add_optane(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--app-direct", action="store_true",
        help="make Optane modules in Memory Mode or unconfigured persistent regions, by ipmctl and a reboot: "
        "what persistent regions hold is destroyed",
    )  # fmt: skip
    parser.add_argument(
        "--memory-mode", action="store_true",
        help="with --undo: also bring the Optane modules back to Memory Mode, by ipmctl and a reboot",
    )  # fmt: skip


def _run(options: argparse.Namespace) -> int:
    from hmexp.machine.provision.execution import Workshop

    if options.dry_run and options.apply:
        raise ParameterError("--dry-run and --apply contradict each other", "leave one out")
    if options.app_direct and options.undo:
        raise ParameterError("--app-direct and --undo contradict each other", "leave one out")
    if options.memory_mode and not options.undo:
        raise ParameterError("--memory-mode is a part of --undo", "add --undo, or leave it out")
    wish = _wish(options)
    workshop = Workshop(tell=lambda text: say(f"running: {text}"))
    _say_interrupted(workshop)
    if options.dry_run or not (options.apply or options.undo):
        return _show(options, workshop, wish)
    return (_undo if options.undo else _apply)(options, workshop, wish)


def _apply(options: argparse.Namespace, workshop: Workshop, wish: ProvisionWish) -> int:
    from hmexp.machine.provision.execution import provision, verify_nodes
    from hmexp.machine.provision.goal import carry_out_goal, plan_goal, read_situation
    from hmexp.machine.provision.plan import find_refused, require_known

    require_known(workshop.read(), wish)
    goal = plan_goal(read_situation(workshop), wish, app_direct=options.app_direct)
    done, refused, nodes = list(goal.steps), goal.refused, list[str]()
    carry_out_goal(workshop, goal)
    if not goal.waits:
        done = provision(workshop, wish)
        refused, nodes = find_refused(workshop.read(), wish), verify_nodes(workshop, wish)
    if options.json:
        print_json(
            {"done": list(map(_record, done)), "nodes": nodes, "refused": refused, "notes": goal.notes}
        )
        return ExitStatus.OK if nodes else ExitStatus.FAILED
    _print_steps(done, "done")
    _print_lines((*goal.notes, *nodes, *refused))
    if not (done or nodes or goal.waits):
        print("No node was made: this machine shows no memory that could become one.")
    elif not done:
        print("Nothing was changed: " + ("a reboot is missing." if goal.waits else "no step is missing."))
    return ExitStatus.OK if nodes else ExitStatus.FAILED


def _undo(options: argparse.Namespace, workshop: Workshop, wish: ProvisionWish) -> int:
    from hmexp.machine.provision.execution import unprovision
    from hmexp.machine.provision.goal import carry_out_goal, plan_goal_undo, read_situation

    done = unprovision(workshop)
    goal = plan_goal_undo(read_situation(workshop), wish, memory_mode=options.memory_mode)
    carry_out_goal(workshop, goal)
    done += goal.steps
    if options.json:
        print_json({"done": list(map(_record, done)), "nodes": [], "refused": (), "notes": goal.notes})
        return ExitStatus.OK
    _print_steps(done, "done")
    _print_lines(goal.notes)
    if not done:
        print("Nothing was changed: hmexp has no node to take back.")
    return ExitStatus.OK


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
    from hmexp.machine.provision.goal import describe_rest, plan_goal, plan_goal_undo, read_situation
    from hmexp.machine.provision.plan import make_provision_plan, make_undo_plan, require_known

    here = read_situation(workshop)
    if options.undo:
        plan = make_undo_plan(here.state, frozenset(here.log.devices))
        goal = plan_goal_undo(here.after(plan.end), wish, memory_mode=options.memory_mode)
        steps, refused = (*plan.steps, *goal.steps), goal.refused
    else:
        require_known(here.state, wish)
        goal = plan_goal(here, wish, app_direct=options.app_direct)
        plan = make_provision_plan(here.state, wish)
        # What a reboot destroys or changes needs no steps before it.
        steps = goal.steps if goal.waits else plan.steps
        refused = goal.refused or (() if goal.waits else plan.refused)
    notes = (*goal.notes, *describe_rest(here, workshop.tools, workshop.sys_root))
    if options.json:
        print_json({"steps": list(map(_record, steps)), "refused": refused, "missing": here.state.missing,
                    "notes": notes})  # fmt: skip
        return ExitStatus.OK
    _print_steps(steps, "step")
    _print_lines((*refused, *notes))
    if here.state.missing:
        print(f"missing programs: {', '.join(here.state.missing)}; install the packages of these names")
    if steps:
        how = "--undo without --dry-run" if options.undo else "--apply"
        print(f"Nothing was changed. `hmexp provision {how}` carries the steps out.")
    elif not refused and not here.state.missing and not goal.waits:
        print("No step is missing." if here.is_anything else
              "This machine shows no persistent memory, DAX device or CXL memory.")  # fmt: skip
    return ExitStatus.OK


def _print_lines(lines: Sequence[str]) -> None:
    for line in lines:
        print(line)


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
    "/var/lib/hmexp: after an interruption the same command resumes, and twice changes nothing. Optane "
    "modules in Memory Mode or unconfigured are planned with --app-direct; after the reboot --apply goes on.",
    "Examples:\n\n"
    "  hmexp provision\n"
    "  sudo hmexp provision --apply --region 0\n"
    "  sudo hmexp provision --undo\n\n"
    "JSON: an object with steps, refused, missing and notes; with --apply or --undo an object with done, "
    "nodes, refused and notes.\n\n"
    + describe_statuses(
        "if --apply ended without a node: there is no such memory, it may hold data, or waits for a reboot"
    ),
    _add_options,
    _run,
)
