"""The command ``hmexp report``: the report, the tables and the figures of a run, made again."""

from __future__ import annotations

import argparse
from typing import Any

from hmexp.cli.options import DIRECTORY, Command, add_json, completed, percent, price, run_directory
from hmexp.cli.output import print_json
from hmexp.cli.status import ExitStatus, describe_statuses
from hmexp.errors import ParameterError


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
        "--keep", type=percent, default=0.9, metavar="PERCENT",
        help="find the cheapest ratio that keeps this much of all DRAM's bandwidth (default: 90)",
    )  # fmt: skip


def _run(options: argparse.Namespace) -> int:
    from hmexp.cli.runs import require_measured
    from hmexp.report.model.cost import Prices
    from hmexp.report.page.html import write_report

    given = (options.price_dram, options.price_slow)
    if given.count(None) == 1:
        raise ParameterError("one price is missing", "give both --price-dram and --price-slow, per GiB")
    if not options.keep:
        raise ParameterError("--keep 0 keeps nothing", "give a percentage above 0, such as 90")
    require_measured(options.run_directory)
    prices = None if None in given else Prices(*given)
    written = write_report(options.run_directory, prices, options.keep)
    if options.json:
        print_json(_describe(options, str(written)))
    else:
        print(f"Report: {written}")
    return ExitStatus.OK


def _describe(options: argparse.Namespace, report: str) -> dict[str, Any]:
    """The run and its points, JSON-able."""
    from hmexp.report.model.tables import frame_of
    from hmexp.report.run.results import Results

    results = Results.load(options.run_directory)
    frame = frame_of(results)
    points = frame.astype(object).where(frame.notna(), None).to_dict("records")
    folder = options.run_directory
    names = ("report.html", "points.csv", "samples.csv", "cost.csv")
    return {
        "run": results.run.name or folder.name,
        "report": report,
        "files": [str(folder / name) for name in names if (folder / name).exists()],
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
    "run.json alone. With prices, also say what each ratio costs.",
    "JSON: an object with run, report, files, labels, counts (points by status) and points (the rows of "
    "points.csv).\n\n" + describe_statuses(),
    _add_options,
    _run,
)
