"""The command ``hmexp report``: the report, the tables and the figures of a run, made again."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hmexp.cli.options import DIRECTORY, Command, add_json, completed, run_directory
from hmexp.cli.output import print_json
from hmexp.cli.question import add_question, read_question
from hmexp.cli.requirements import require_complete, require_measured, require_numbers, require_searched
from hmexp.cli.status import ExitStatus, describe_statuses
from hmexp.errors import ParameterError

if TYPE_CHECKING:
    from hmexp.report.model.question import Question
    from hmexp.report.run.results import Results


def _add_options(parser: argparse.ArgumentParser) -> None:
    run = parser.add_argument(
        "run_directory", type=run_directory, metavar="RUN", help="run directory, such as results/latest"
    )
    completed(run, DIRECTORY)
    add_json(parser, "what was measured and which files were written")
    add_question(parser)
    parser.add_argument(
        "--parquet", action="store_true",
        help="also write points.parquet and samples.parquet (of a sweep; needs the package pyarrow)",
    )  # fmt: skip


def _run(options: argparse.Namespace) -> int:
    from hmexp.store.reader import collector_paused, read_run

    question = read_question(options)
    if options.parquet:
        from hmexp.report.model.parquet import require_parquet

        require_parquet()
    require_measured(options.run_directory)
    study = read_run(options.run_directory).study
    if study is not None and (
        question.needs or question.prices or question.capacity_bytes or options.parquet
    ):
        raise ParameterError(
            f"{options.run_directory} is a study of {study}, which has no ratios to choose from",
            "leave needs, prices, capacity and --parquet out, or name the run of a sweep",
        )
    from hmexp.report.run.results import Results

    # Read once: of a large run that is most of what its tables take.
    with collector_paused():
        results = Results.load(options.run_directory)
        return _sweep(options, results, question) if study is None else _study(options, results)


def _sweep(options: argparse.Namespace, results: Results, question: Question) -> int:
    from hmexp.report.model.decision import decide
    from hmexp.report.model.decision_words import say_verdict
    from hmexp.report.page.earlier import require_no_loss
    from hmexp.report.page.first import to_json
    from hmexp.report.page.html import write_report_of

    decision = decide(results, question)
    require_no_loss(options.run_directory / "report.html", len(results.ok))
    written = write_report_of(results, options.run_directory, decision)
    names = ("report.html", "points.csv", "samples.csv", "cost.csv")
    files = [file for name in names if (file := options.run_directory / name).exists()]
    if options.parquet:
        from hmexp.report.model.parquet import write_parquet

        files += write_parquet(results, options.run_directory)
    if options.json:
        described = _describe(options, results, files, str(written))
        print_json(described | {"decision": to_json(decision, results)})
    else:
        print(" ".join(say_verdict(decision, results)))
        print(f"Report: {written}")
    require_numbers(options.run_directory, results.points)
    require_searched(options.run_directory, results.run)
    require_complete(options.run_directory, results.points, results.unfinished)
    return ExitStatus.OK


def _study(options: argparse.Namespace, results: Results) -> int:
    """A study has tables, figures and a first page of its own."""
    from hmexp.report.model.tables import write_points
    from hmexp.report.page.earlier import require_no_loss
    from hmexp.report.study.files import PAGES, write_study
    from hmexp.report.study.results import StudyResults

    folder = options.run_directory
    study = StudyResults.load(folder)
    require_no_loss(folder / "report.html", study.measured_count)
    files = [write_points(results, folder / "points.csv"), *write_study(folder)]
    # Some studies have tables alone, and answer no question.
    first = PAGES[study.name](study).first if study.name in PAGES else None
    if options.json:
        page = next((str(file) for file in files if file.name == "report.html"), None)
        answer = first and {"question": first.question, "answer": first.verdict, "why": first.why}
        print_json(_describe(options, results, files, page) | {"decision": answer})
    else:
        if first is not None:
            print(f"{first.verdict} {first.why}")
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
    "run.json alone. Its first page says which ratio keeps what is needed: each --need, or --keep of every "
    "bandwidth. With prices, it also says what each ratio costs. Of a study, write its page with its own "
    "answer, points.csv, its tables and its figures.",
    "  hmexp report results/latest --need 'read>=90' --need 'latency<=1.5x' \\\n"
    "    --capacity 1TiB --price-dram 8 --price-slow 3 --currency EUR\n\n"
    "JSON: an object with run, report, files, labels, counts (points by "
    "status), points (the rows of points.csv) and decision (question, answer and why; of a sweep also "
    "verdict, ratio, needs, ratios and trust).\n\n"
    + describe_statuses("if points of the run are missing or failed, or none was measured"),
    _add_options,
    _run,
)
