"""The commands ``hmexp sweep``: a grid of points, measured or explained; and ``hmexp presets``."""

from __future__ import annotations

import argparse
from typing import Any

from tqdm import tqdm

from hmexp.errors import HmexpError
from hmexp.progress import stream_display
from hmexp.sweep.explanation import estimate, explain
from hmexp.sweep.pace import find_pace
from hmexp.sweep.parameters import SweepParameters
from hmexp.sweep.plan import make_plan
from hmexp.sweep.preset import NAMES, find_preset
from hmexp.sweep.run import run_sweep
from hmexp.system.libnuma import LibNuma
from hmexp.system.topology import read_topology


def add_sweep(commands: Any) -> None:
    """Add the command, and `hmexp presets`, to the parser's."""
    sweep = commands.add_parser(
        "sweep", help="measure a grid of points and write a report", allow_abbrev=False,
        description="Measure a grid of points. Killed at any moment, the same command again goes on.",
    )  # fmt: skip
    default = SweepParameters()
    # The patterns have commas of their own, so lists are words: --patterns 0 0,2 0,2,2 2
    lists: tuple[tuple[str, type, str], ...] = (
        ("patterns", str, "patterns (0,2,2) and DRAM:slow ratios (1:2)"),
        ("operations", str, "as for `hmexp measure`; latency, latency_window, store_nt, loaded_read ..."),
        ("granules", str, "granules, such as 4KiB; page is the machine's page"),
        ("pages", str, "sizes of pages: page is the machine's; 2MiB needs granules of as much"),
        ("placers", str, "ways of placing the pages; all is every one there is"),
        ("size", str, "sizes of the regions"),
        (
            "access",
            str,
            "orders of a bandwidth's accesses; or random_line, random_granule, strided:8KiB",
        ),
        ("threads", int, "threads for bandwidth, or that load; 0 is all CPUs but one"),
        ("cpu-nodes", str, "nodes on whose CPUs the threads run; near is the first with memory and CPUs"),
        ("only", str, "conditions that points must meet, such as operation=read,latency"),
        ("without", str, "conditions that no point may meet, such as threads=1"),
    )
    for name, kind, text in lists:
        shown = " ".join(map(str, getattr(default, name.replace("-", "_"))))
        sweep.add_argument(f"--{name}", nargs="+", type=kind, help=f"{text} (default: {shown})")
    single: tuple[tuple[str, type, str], ...] = (
        ("preset", str, "what is not given: quick, standard, full, or a .toml file; see `hmexp presets`"),
        ("launches", int, "fresh processes with fresh pages for each point"),
        ("repeat", int, "launches of each point more than --launches, of finished ones too"),
        ("retry-unstable", int, "launches more of points whose interval is wider than --precision"),
        ("budget", str, "time for all, such as 10min: the best use of it; none is as long as it takes"),
        ("samples", int, "samples of each launch, at least"),
        ("sample-seconds", float, "shortest time of a sample"),
        ("precision", float, "half width of a launch's interval that is enough; 0: just the samples"),
        ("most-samples", int, "cap on a launch's samples; 0 is twice --samples"),
        ("emulate", str, "auto (only without a real slow node), none, or NODE=PROFILE"),
        ("results", str, "folder of the run directories"),
        ("run", str, "name of the run directory; auto goes on with an unfinished one"),
        ("timeout-seconds", float, "longest time of a point"),
        ("seed", int, "of the order of the points"),
    )
    for name, kind, text in single:
        shown = getattr(default, name.replace("-", "_"))
        # `run` is the command's function: the option is kept under a name of its own.
        target = "run_name" if name == "run" else name.replace("-", "_")
        sweep.add_argument(f"--{name}", dest=target, type=kind, help=f"{text} (default: {shown})")
    sweep.add_argument(
        "--explain", action="store_true",
        help="say what would be measured, the memory it needs and how long it takes, and measure nothing",
    )  # fmt: skip
    sweep.set_defaults(run=_sweep)

    presets = commands.add_parser(
        "presets", help="the presets of sweeps: what for, how many points, how long here", allow_abbrev=False
    )
    presets.set_defaults(run=_presets)


def _sweep(options: argparse.Namespace) -> int:
    from hmexp.report.page.html import write_report

    given = {
        name: getattr(options, "run_name" if name == "run" else name) for name in SweepParameters.names()
    }
    parameters = SweepParameters.from_mapping(
        {name: value for name, value in given.items() if value is not None}
    )
    plan = make_plan(parameters, read_topology(libnuma=LibNuma.load()))
    print(plan.headline)
    for note in plan.notes:
        print(f"note: {note}")
    if options.explain:
        print(explain(plan))
        return 0
    outcome = run_sweep(plan, stream_display(), tqdm.write, write_report)
    print(f"Report: {outcome.path / 'report.html'}")
    outcome.require_complete()
    return 0


def _presets(_options: argparse.Namespace) -> int:
    topology = read_topology(libnuma=LibNuma.load())
    pace = None
    print("preset     points  launches  time here         what for")
    for name in NAMES:
        about = find_preset(name).about
        try:
            plan = make_plan(SweepParameters.from_mapping({"preset": name}), topology)
        except HmexpError as error:
            print(f"{name:<9}  not here: {error}")
            continue
        pace = pace or find_pace(plan)
        seconds = estimate(plan, plan.points, pace)
        print(f"{name:<9}  {len(plan.points):<6}  {plan.launches:<8}  {seconds!s:<16}  {about}")
    print("Times are estimates, from tiny launches. `hmexp sweep --preset NAME --explain` tells more.")
    return 0
