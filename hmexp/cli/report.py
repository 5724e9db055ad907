"""The command ``hmexp report``: the report, the tables and the figures of a run, made again."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hmexp.cli.options import DIRECTORY, Command, add_json, completed, kept_percent, price, run_directory
from hmexp.cli.output import print_json
from hmexp.cli.runs import require_complete, require_measured, require_numbers
from hmexp.cli.status import ExitStatus, describe_statuses
from hmexp.errors import ParameterError

if TYPE_CHECKING:
    from hmexp.report.run.results import Results


def _add_options(parser: argparse.ArgumentParser) -> None:
    run = parser.add_argument(
        "run_directory", type=run_directory, metavar="RUN", help="run directory, such as results/latest"
    )
    completed(run, DIRECTORY)
    add_json(parser, "what was measured and which files were written")
    parser.add_argument(
        "--price-dram", type=price, metavar="PRICE",
        help="price of DRAM per GiB: the report then says what each ratio costs",
    )  # fmt: skip
    parser.add_argument("--price-slow", type=price, metavar="PRICE", help="price of the slow memory per GiB")
    parser.add_argument(
        "--keep", type=kept_percent, default=0.9, metavar="PERCENT",
        help="find the cheapest ratio that keeps this much of all DRAM's bandwidth (default: 90)",
    )  # fmt: skip


def _run(options: argparse.Namespace) -> int:
    from hmexp.store.reader import collector_paused, read_run

    given = (options.price_dram, options.price_slow)
    if given.count(None) == 1:
        raise ParameterError("one price is missing", "give both --price-dram and --price-slow, per GiB")
    require_measured(options.run_directory)
    study = read_run(options.run_directory).study
    if study is not None and None not in given:
        raise ParameterError(
            f"{options.run_directory} is a study of {study}, which has no ratios to put a price on",
            "leave --price-dram and --price-slow out, or name the run of a sweep",
        )
    from hmexp.report.run.results import Results

    # Read once: of a large run that is most of what its tables take.
    with collector_paused():
        results = Results.load(options.run_directory)
        return _sweep(options, results) if study is None else _study(options, results)


def _sweep(options: argparse.Namespace, results: Results) -> int:
    from hmexp.report.model.cost import Prices
    from hmexp.report.page.earlier import require_no_loss
    from hmexp.report.page.html import write_report_of

    prices = None if options.price_dram is None else Prices(options.price_dram, options.price_slow)
    require_no_loss(options.run_directory / "report.html", len(results.ok))
    written = write_report_of(results, options.run_directory, prices, options.keep)
    names = ("report.html", "points.csv", "samples.csv", "cost.csv")
    files = [file for name in names if (file := options.run_directory / name).exists()]
    if options.json:
        print_json(_describe(options, results, files, str(written)))
    else:
        print(f"Report: {written}")
    require_numbers(options.run_directory, results.points)
    require_complete(options.run_directory, results.points, results.unfinished)
    return ExitStatus.OK


def _study(options: argparse.Namespace, results: Results) -> int:
    """A study has tables and figures of its own, and no page."""
    from hmexp.report.model.tables import write_points
    from hmexp.report.study.files import write_study

    folder = options.run_directory
    files = [write_points(results, folder / "points.csv"), *write_study(folder)]
    if options.json:
        print_json(_describe(options, results, files, None))
    else:
        for file in files:
            print(f"Written: {file}")
    require_numbers(folder, results.points)
    require_complete(folder, results.points, results.unfinished)
    return ExitStatus.OK


def _describe(
    options: argparse.Namespace, results: Results, files: Sequence[Path], report: str | None
) -> dict[str, Any]:
    """The run and its points, JSON-able."""
    from hmexp.report.model.tables import frame_of

    frame = frame_of(results)
    points = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return {
        "run": results.run.name or options.run_directory.name,
        "report": report,
        "files": [str(file) for file in files],
        "labels": list(results.labels),
        "counts": {
            status: sum(point.status == status for point in results.points)
            for status in ("ok", "failed", "skipped")
        },
        "points": points,
    }


COMMAND = Command(
    "report",
    "write report.html, the tables and the figures of a run again",
    "Write report.html, points.csv, samples.csv and the figures of a run again, from its points.jsonl and "
    "run.json alone. With prices, also say what each ratio costs. Of a study, write points.csv, "
    "its own tables and its figures.",
    "JSON: an object with run, report (null for a study), files, labels, counts (points by status) and "
    "points (the rows of points.csv).\n\n"
    + describe_statuses("if points of the run are missing or failed, or none was measured"),
    _add_options,
    _run,
)
