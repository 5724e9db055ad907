"""The command ``hmexp curves``: latency against bandwidth, one curve for each share of reads."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hmexp.cli.machine import this_machine
from hmexp.cli.measuring import measured, say_plan
from hmexp.cli.options import FILE, Command, add_json, completed, number
from hmexp.cli.output import print_json, say
from hmexp.cli.parameters import add_parameters, take_parameters
from hmexp.cli.status import ExitStatus, describe_statuses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hmexp.report.study.curves import DrawnFamily

_HELP: Final = {
    "results": "folder of the run directories",
    "run": "name of the run directory; auto resumes an unfinished one",
    "timeout_seconds": "longest time of a process [s]",
    "seed": "seed of the order in which the processes are started",
    "patterns": "nodes in order, or DRAM:slow ratios; auto is DRAM, the slow node, and both in turn",
    "reads": "shares of reads in the traffic [%%]",
    "stores": "nt (non-temporal) and regular, which read their line first: from 50 %% reads on",
    "size": "size of each region; half of it is the chase's",
    "threads": "threads that load; auto (or 0) is all CPUs but the one of the chase",
    "delays": "pauses after each burst, 19 or more [ns]; auto is from 20000 to 0",
    "placer": "how the pages get to their nodes",
    "launches": "fresh processes for each curve",
    "samples": "samples at each load",
    "sample_seconds": "shortest time of a sample [s]",
    "emulate": "auto (only without a real slow node), none, or NODE=PROFILE",
}


def position(text: str) -> tuple[float, float]:
    """Read ``GBPS:READS``: a program's traffic and its share of reads."""
    traffic, colon, share = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"{text!r} is not GBPS:READS; write for example 12.5:70")
    found = number(traffic), number(share.removesuffix("%"))
    if found[0] < 0 or not 0 <= found[1] <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a bandwidth from 0 and a share of reads to 100 %")
    return found


def _add_options(parser: argparse.ArgumentParser) -> None:
    from hmexp.study.curves import CurveParameters

    add_json(parser, "every curve with its knee, and the best pattern of each mix")
    read = parser.add_argument(
        "--from", dest="read", type=Path, metavar="FILE",
        help="curves of an earlier run, or of Mess 2.0's memory_curves.csv; measure nothing",
    )  # fmt: skip
    completed(read, FILE)
    parser.add_argument(
        "--at", type=position, metavar="GBPS:READS",
        help="say where a program with this traffic [GB/s] and share of reads [%%] stands, such as 12.5:70",
    )  # fmt: skip
    figure = parser.add_argument(
        "--figure", type=Path, metavar="FILE.svg", help="with --from FILE.csv: where to draw its curves"
    )
    completed(figure, FILE)
    add_parameters(parser, CurveParameters, _HELP)


def _run(options: argparse.Namespace) -> int:
    if options.read is not None:
        return _show(_read(options.read), options)
    from hmexp.report.study.curves import families_of
    from hmexp.report.study.results import StudyResults
    from hmexp.study.curves import CurveParameters, make_curves

    study = make_curves(take_parameters(options, CurveParameters), this_machine())
    say_plan(study, options)
    with measured(study, options) as run:
        results = StudyResults.load(run)
        return _show(families_of(results), options, results.labels)


def _read(path: Path) -> list[DrawnFamily]:
    from hmexp.report.study.curves import families_of
    from hmexp.report.study.mess import read_mess
    from hmexp.report.study.results import StudyResults
    from hmexp.study.curves import CURVES

    if path.is_dir():
        return families_of(StudyResults.load(path, CURVES))
    return [read_mess(path)]


def _show(families: Sequence[DrawnFamily], options: argparse.Namespace, labels: Sequence[str] = ()) -> int:
    """Print every knee and the best pattern of each mix; it is a failure if there is no curve."""
    from hmexp.report.study.curves import best_patterns, curve_records, say_position

    best = best_patterns(families)
    positions = [] if options.at is None else [say_position(family, *options.at) for family in families]
    if options.json:
        print_json(
            {
                "labels": list(labels),
                "curves": curve_records(families),
                "best": [vars(each) for each in best],
                "position": positions,
            }
        )
    else:
        for label in labels:
            print(label)
        for family in families:
            print(f"{family.pattern}, {family.stores} stores:")
            for curve in family.curves:
                print(
                    f"  {curve.read_percent:5.4g} % reads: {curve.peak_gbps:7.4g} GB/s at most; {curve.knee}"
                )
        for each in best:
            others = f"; as good: {', '.join(each.as_good)}" if each.as_good else ""
            print(
                f"Best with {each.read_percent:g} % reads ({each.stores}): {each.pattern}, "
                f"{each.peak_gbps:.4g} GB/s{others}"
            )
        for text in positions:
            print(text)
    if options.read is not None and options.figure is not None:
        _draw(families, options)
    if not families:
        say("No curve was measured.")
        return ExitStatus.FAILED
    return ExitStatus.OK


def _draw(families: Sequence[DrawnFamily], options: argparse.Namespace) -> None:
    from hmexp.report.figures.gallery import save
    from hmexp.report.study.curves_figures import draw_file

    figure: Path = options.figure
    for path in save(
        draw_file(families, f"Curves of {options.read.name}", options.at), figure.parent, figure.stem
    ):
        say(f"Written: {path}")


COMMAND = Command(
    "curves",
    "measure latency against bandwidth for each share of reads, or show such curves",
    "Measure what a dependent load takes beside loads and stores, from none to all that threads can make: "
    "one curve for each pattern, share of reads and kind of stores. Bandwidth is that of all traffic, the "
    "lines that a regular store reads first included. Curves are also written in the format of Mess 2.0, and "
    "read from it. Safe to interrupt: run it again to resume.",
    "JSON: an object with labels, curves (pattern, stores, read_percent, peak_gbps and its low and high, "
    "idle_ns, saturated, knee_gbps and its low and high, knee_ns, rise), best (stores, read_percent, "
    "pattern, peak_gbps, as_good) and position (sentences).\n\n"
    + describe_statuses("if a curve failed, or there is none"),
    _add_options,
    _run,
)
