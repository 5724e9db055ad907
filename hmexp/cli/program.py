"""The command ``hmexp program``: a program on each ratio of hybrid memory, beside DRAM alone."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hmexp.cli.machine import this_machine
from hmexp.cli.measuring import measured, say_plan
from hmexp.cli.options import FILE, Command, add_json, completed
from hmexp.cli.output import print_json
from hmexp.cli.parameters import add_parameters, take_parameters
from hmexp.cli.status import ExitStatus, describe_statuses

if TYPE_CHECKING:
    from hmexp.program.experiment import ProgramStudy

#: What each parameter is; a notebook has the same names.
HELP: Final = {
    "results": "folder of the run directories",
    "run": "name of the run directory; auto resumes an unfinished one",
    "timeout_seconds": "longest time of a launch, all its steps together [s]",
    "seed": "seed of the order in which the launches are made",
    "workload": "workload: a name of `hmexp workloads`, or a .toml file",
    "values": "values of the workload's parameters, as NAME=VALUE",
    "patterns": "patterns (0,2,2) and DRAM:slow ratios (1:2); auto is five ratios, or DRAM alone",
    "ways": "how the memory gets there: preload, policy, follow, auto, node, numactl; default, tiering",
    "granule": "bytes in a row on one node; page is the machine's",
    "launches": "fresh processes for each point",
    "repeat": "launches more of each point, of finished ones too",
    "budget": "time for everything, such as 2h; none is as long as it takes",
    "settle_seconds": "how long the pages may take to be in place before the window [s]",
    "dram": "node of the ratios that counts as DRAM; auto is the nearest",
    "slow": "node of the ratios that counts as slow; auto is the nearest",
}


def _add_options(parser: argparse.ArgumentParser) -> None:
    from hmexp.program.parameters import ProgramParameters

    named = parser.add_argument(
        "given_workload", nargs="?", metavar="WORKLOAD",
        help="a name of `hmexp workloads`, or a .toml file (default: sort)",
    )  # fmt: skip
    completed(named, FILE)
    add_json(parser, "what was measured and the verdict")
    parser.add_argument("--explain", action="store_true", help="list the points; measure nothing")
    add_parameters(parser, ProgramParameters, HELP, leave=("workload",))


def _run(options: argparse.Namespace) -> int:
    from hmexp.program.experiment import make_program_study
    from hmexp.program.parameters import ProgramParameters

    study = make_program_study(take_parameters(options, ProgramParameters), this_machine())
    if options.explain:
        return _explain(study, options)
    say_plan(study, options)
    with measured(study, options) as run:
        show_program(run, options)
    return ExitStatus.OK


def _explain(study: ProgramStudy, options: argparse.Namespace) -> int:
    launches = sum(point.launches for point in study.points)
    if options.json:
        points = [{"point": str(point), "added": point.id in study.added} for point in study.points]
        print_json({"headline": study.headline, "notes": study.notes, "points": points, "launches": launches})
        return ExitStatus.OK
    say_plan(study, options)
    for point in study.points:
        print(f"  {point}{' (added, to compare with)' if point.id in study.added else ''}")
    print(f"{len(study.points)} points, {launches} launches.")
    return ExitStatus.OK


def show_program(run: Path, options: argparse.Namespace) -> None:
    """Print the metrics of a run, and its verdict."""
    from hmexp.report.study.program import programs_frame, readings_of, say_pattern
    from hmexp.report.study.program_verdict import verdicts
    from hmexp.report.study.results import StudyResults

    study = StudyResults.load(run, "program")
    if options.json:
        frame = programs_frame(study).reset_index()
        rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
        print_json({"run": str(run), "labels": study.labels, "rows": rows, "verdict": verdicts(study)})
        return
    for label in study.labels:
        print(label)
    for reading in readings_of(study):
        metric, of_dram = reading.metric, reading.of_dram
        multiple = ""
        if of_dram is not None and not reading.is_baseline:
            multiple = f"  {of_dram.median:.3f} of all DRAM"
            if reading.has_interval:
                multiple += f" [{of_dram.low:.3f}, {of_dram.high:.3f}]"
        where = f"{say_pattern(reading.point)} by {reading.way}"
        print(f"{metric.name:<12} {where:<28} {metric.median:>10.4g} {metric.unit}{multiple}")
    for record in study.not_ok:
        print(f"{record.status}: {' '.join((record.reason or '').split())}")
    for sentence in verdicts(study):
        print(sentence)


COMMAND = Command(
    "program",
    "measure a program on each ratio of hybrid memory, beside DRAM alone",
    "Run a program on each pattern, in each way, in rounds of fresh processes, and say how fast it is beside "
    "the same program on DRAM alone. How it is started, loaded, measured and stopped is in a workload "
    "file: `hmexp workloads` lists those there are. Safe to interrupt: run it again to resume.",
    "JSON: an object with run, labels, rows (those of program.csv) and verdict (sentences); with --explain "
    "headline, notes, points and launches.\n\n" + describe_statuses("if a point failed"),
    _add_options,
    _run,
)
