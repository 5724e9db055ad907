"""The command ``hmexp predict``: a program's slowdown at every ratio, from a few runs of it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from hmexp.cli.machine import this_machine
from hmexp.cli.measuring import measured, say_plan
from hmexp.cli.options import Command, add_json
from hmexp.cli.output import print_json
from hmexp.cli.parameters import add_parameters, take_parameters
from hmexp.cli.program import HELP as PROGRAM_HELP
from hmexp.cli.status import ExitStatus, describe_statuses
from hmexp.errors import ParameterError

HELP: Final = PROGRAM_HELP | {
    "workload": "workload instead of a command: a name of `hmexp workloads`, or a .toml file",
    "patterns": "the ratios that the prediction is made of; auto is 1:0 3:1 1:1 0:1",
    "check": "ratio that is left out, and measured to check the prediction; none checks nothing",
    "way": "how the memory gets there: preload, policy, follow, or auto",
}


def _add_options(parser: argparse.ArgumentParser) -> None:
    from hmexp.program.predict import PredictParameters

    parser.add_argument(
        "command", nargs="*", metavar="CMD", help="after --: a program that ends by itself, and its arguments"
    )
    add_json(parser, "the prediction")
    add_parameters(parser, PredictParameters, HELP, leave=("ways", "command"))
    parser.set_defaults(given_ways=None, given_command=None)


def _run(options: argparse.Namespace) -> int:
    from hmexp.program.predict import PredictParameters, make_prediction
    from hmexp.report.study.prediction import say_prediction
    from hmexp.report.study.results import StudyResults

    if bool(options.command) == (options.given_workload is not None):
        raise ParameterError(
            "predict takes a program, or a workload" + (", and both were given" if options.command else ""),
            "write hmexp predict -- CMD ARGUMENTS, or hmexp predict --workload redis",
        )
    study = make_prediction(take_parameters(options, PredictParameters), this_machine(), options.command)
    say_plan(study, options)
    with measured(study, options) as run:
        found = StudyResults.load(run, study.name)
        if options.json:
            print_json(_describe(found, run))
        else:
            _print(found)
            for sentence in say_prediction(found):
                print(sentence)
    return ExitStatus.OK


def _print(study: object) -> None:
    from hmexp.errors import MeasurementError
    from hmexp.report.study.prediction import predict_slowdown
    from hmexp.report.study.results import StudyResults

    assert isinstance(study, StudyResults)
    try:
        found = predict_slowdown(study)
    except MeasurementError:
        return
    for label in study.labels:
        print(label)
    print("slow memory  slowdown  95 % interval")
    for each in found.table[::2]:
        print(f"{each.share:>10.0%}  {each.factor:>8.3f}  [{each.low:.3f}, {each.high:.3f}]")


def _describe(study: object, run: Path) -> dict[str, object]:
    from hmexp.report.study.prediction import prediction_frame, say_prediction
    from hmexp.report.study.results import StudyResults

    assert isinstance(study, StudyResults)
    rows = prediction_frame(study).reset_index().to_dict("records")
    return {"run": str(run), "labels": study.labels, "rows": rows, "said": say_prediction(study)}


COMMAND = Command(
    "predict",
    "predict a program's slowdown at every ratio from a few runs, and check it",
    "Run a program with a few ratios of hybrid memory, and say how much longer it takes at every other "
    "ratio, with an interval. One more ratio is left out of that and measured, to check: its error is "
    "printed, and a poor prediction is called poor. Safe to interrupt: run it again to resume.",
    "JSON: an object with run, labels, rows (those of predict.csv) and said (sentences).\n\n"
    "  hmexp predict --patterns 1:0 3:1 1:1 0:1 --check 1:2 -- ./simulation input.txt\n\n"
    + describe_statuses("if a point failed"),
    _add_options,
    _run,
)
