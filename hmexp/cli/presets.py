"""The command ``hmexp presets``: the presets of sweeps, and how long each takes here."""

from __future__ import annotations

import argparse
from typing import Any

from hmexp.cli.machine import this_machine
from hmexp.cli.options import Command, add_json
from hmexp.cli.output import print_json
from hmexp.cli.status import ExitStatus, describe_statuses


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_json(parser, "the presets")


def _run(options: argparse.Namespace) -> int:
    records = _describe_all()
    if options.json:
        print_json(records)
        return ExitStatus.OK
    print("preset     points  launches  time here         what for")
    for record in records:
        if record["obstacle"] is not None:
            print(f"{record['name']:<9}  not here: {record['obstacle']}")
            continue
        print(
            f"{record['name']:<9}  {record['points']:<6}  {record['launches']:<8}  {record['time']:<16}  "
            f"{record['about']}"
        )
    print("Times are estimates from tiny launches. `hmexp sweep --preset NAME --explain` gives the details.")
    return ExitStatus.OK


def _describe_all() -> list[dict[str, Any]]:
    from hmexp.errors import HmexpError
    from hmexp.sweep.explanation import estimate
    from hmexp.sweep.pace import find_pace
    from hmexp.sweep.parameters import SweepParameters
    from hmexp.sweep.plan import make_plan
    from hmexp.sweep.preset import NAMES, find_preset

    topology = this_machine()
    pace, records = None, []
    for name in NAMES:
        record: dict[str, Any] = {"name": name, "about": find_preset(name).about, "obstacle": None}
        records.append(record)
        try:
            plan = make_plan(SweepParameters.from_mapping({"preset": name}), topology)
        except HmexpError as error:
            record["obstacle"] = str(error)
            continue
        pace = pace or find_pace(plan)
        span = estimate(plan, plan.points, pace)
        record |= {
            "points": len(plan.points),
            "launches": plan.launches,
            "seconds_low": span.low,
            "seconds_high": span.high,
            "time": str(span),
        }
    return records


COMMAND = Command(
    "presets",
    "list the presets of sweeps: what each is for, how many points, how long here",
    "List the presets of sweeps: what each is for, how many points and launches it has, and how long it "
    "takes on this machine.",
    "JSON: an array of objects with name, about, obstacle (null if the preset can be measured here), points, "
    "launches, seconds_low, seconds_high [s] and time (the same in words).\n\n" + describe_statuses(),
    _add_options,
    _run,
)
