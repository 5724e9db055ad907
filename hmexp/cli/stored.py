"""Options that name stored runs."""

from __future__ import annotations

import argparse
from pathlib import Path

from hmexp.cli.options import DIRECTORY, completed


def add_results(parser: argparse.ArgumentParser) -> None:
    """Add --results."""
    folder = parser.add_argument(
        "--results", default="auto", metavar="FOLDER", help="folder of the run directories (default: auto)"
    )
    completed(folder, DIRECTORY)


def results_of(options: argparse.Namespace) -> Path:
    """The folder of the run directories."""
    from hmexp.store.run import resolve_results

    return resolve_results(options.results)


def add_run(parser: argparse.ArgumentParser, many: str | None = None) -> None:
    """Add a run, or with `many` as `nargs` several."""
    text = "name of a run in the folder, or its path"
    given = parser.add_argument("runs" if many else "named", nargs=many, metavar="RUN", help=text)
    completed(given, DIRECTORY)
