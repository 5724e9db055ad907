"""The command ``hmexp sweep``: a grid of points, measured or explained."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any, Final

from hmexp.cli.machine import this_machine
from hmexp.cli.measuring import say_plan
from hmexp.cli.options import DIRECTORY, FILE, Command, completed, number, threads, whole
from hmexp.cli.output import say, shown_display
from hmexp.cli.status import ExitStatus, describe_statuses

# The patterns have commas of their own, so lists are words: --patterns 0 0,2 0,2,2 2
_LISTS: Final[tuple[tuple[str, Callable[[str], Any], str], ...]] = (
    ("patterns", str, "patterns (0,2,2) and DRAM:slow ratios (1:2)"),
    ("operations", str, "as for `hmexp measure`; or latency, latency_tail, store_nt, loaded_read ..."),
    ("granules", str, "granules, such as 4KiB; page is the machine's page"),
    ("pages", str, "page sizes: page is the machine's; 2MiB needs granules of at least that size"),
    ("placers", str, "ways of placing the pages; all is every one of `hmexp placers`"),
    ("size", str, "sizes of the regions"),
    ("access", str, "orders of the accesses of bandwidths, such as random_line or strided:8KiB"),
    ("threads", threads, "threads for bandwidth, or that load; auto (or 0) is all CPUs but one"),
    ("cpu-nodes", str, "nodes on whose CPUs the threads run; near is the first with memory and CPUs"),
    ("only", str, "conditions that points must meet, such as operation=read,latency"),
    ("without", str, "conditions that no point may meet, such as threads=1"),
)
_SINGLE: Final[tuple[tuple[str, Callable[[str], Any], str], ...]] = (
    ("preset", str, "what is not given comes from it: quick, standard, full, or a .toml file"),
    ("launches", whole, "fresh processes with fresh pages for each point"),
    ("repeat", whole, "launches of each point beyond --launches, of finished points too"),
    ("retry-unstable", whole, "more launches of points whose interval is wider than --precision"),
    ("budget", str, "time for all, such as 10min, used as well as possible; none: as long as it takes"),
    ("samples", whole, "samples of each launch, at least"),
    ("sample-seconds", number, "shortest time of a sample [s]"),
    ("precision", number, "half width of a launch's interval that is enough; 0: exactly --samples"),
    ("most-samples", whole, "cap on a launch's samples; 0 is twice --samples"),
    ("dram", str, "DRAM node of ratios; auto is the one nearest to the threads"),
    ("slow", str, "slow node of ratios, whatever its kind; auto is the nearest that is known to be slow"),
    ("emulate", str, "auto (only without a real slow node), none, or NODE=PROFILE, such as 2=cxl-expander"),
    ("results", str, "folder of the run directories"),
    ("run", str, "name of the run directory; auto resumes an unfinished one"),
    ("timeout-seconds", number, "longest time of a launch [s]"),
    ("start", str, "how the process of a launch begins: fork of one that has imported everything, or exec"),
    (
        "shapes",
        str,
        "how loops walk: plain; auto: what this CPU likes best, by measurement; or a shape's name",
    ),
    ("seed", whole, "seed of the order of the points"),
)


def add_sweep(parser: argparse.ArgumentParser, leave: Collection[str] = (), **usual: Any) -> None:
    """Add the options of a sweep.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Of the command.
    leave : collection of str
        Options that the command does not have.
    **usual
        What it takes for some that are not given.
    """
    from hmexp.sweep.parameters import SweepParameters

    default = replace(SweepParameters(), **usual)
    for name, read, text in _LISTS:
        if name in leave:
            continue
        values = getattr(default, name.replace("-", "_"))
        shown = " ".join("auto" if name == "threads" and not value else str(value) for value in values)
        parser.add_argument(
            f"--{name}", nargs="+", type=read, metavar=name.upper(), help=f"{text} (default: {shown})"
        )
    for name, read, text in _SINGLE:
        if name in leave:
            continue
        shown = getattr(default, name.replace("-", "_"))
        # `run` is the command's function: the option is kept under a name of its own.
        action = parser.add_argument(
            f"--{name}",
            dest=_target(name),
            type=read,
            metavar=name.upper(),
            help=f"{text} (default: {shown})",
        )
        if name in ("preset", "results"):
            completed(action, FILE if name == "preset" else DIRECTORY)
    parser.add_argument(
        "--explain", action="store_true",
        help="say what would be measured, the memory it needs and how long it takes, and measure nothing",
    )  # fmt: skip


def _target(name: str) -> str:
    return "run_name" if name == "run" else name.replace("-", "_")


def take_sweep(options: argparse.Namespace) -> dict[str, Any]:
    """The parameters of a sweep that were given."""
    from hmexp.sweep.parameters import SweepParameters

    given = {name: getattr(options, _target(name), None) for name in SweepParameters.names()}
    return {name: value for name, value in given.items() if value is not None}


def _run(options: argparse.Namespace) -> int:
    from hmexp.report.page.html import write_report
    from hmexp.sweep.explanation import explain
    from hmexp.sweep.parameters import SweepParameters
    from hmexp.sweep.plan import make_plan
    from hmexp.sweep.run import run_sweep

    plan = make_plan(SweepParameters.from_mapping(take_sweep(options)), this_machine())
    say_plan(plan, options)
    if options.explain:
        print(explain(plan))
        return ExitStatus.OK
    outcome = run_sweep(plan, shown_display(), say, write_report)
    print(f"Report: {outcome.path / 'report.html'}")
    outcome.require_complete()
    return ExitStatus.OK


COMMAND = Command(
    "sweep",
    "measure a grid of points and write a report",
    "Measure a grid of points and write a report. Safe to interrupt: run it again to resume.",
    "Examples:\n\n"
    "  hmexp sweep --preset quick\n"
    "  hmexp sweep --patterns 1:0 3:1 1:1 --operations read latency --explain\n"
    "  hmexp sweep --emulate 2=cxl-expander --budget 10min\n\n" + describe_statuses("if a point failed"),
    add_sweep,
    _run,
)
