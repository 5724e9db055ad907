"""The command ``hmexp campaign``: several notebooks, one after another, gathered in one folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from hmexp.cli.options import FILE, Command, completed
from hmexp.cli.status import ExitStatus, describe_statuses


def _add_options(parser: argparse.ArgumentParser) -> None:
    file = parser.add_argument(
        "file", type=Path, metavar="FILE", help="campaign file, such as notebooks/campaign.toml"
    )
    completed(file, FILE)
    parser.add_argument(
        "--dry-run", "--list", dest="dry_run", action="store_true",
        help="check the file, say what would be done with each entry, and run nothing",
    )  # fmt: skip
    parser.add_argument(
        "--again", action="append", default=[], metavar="NAME",
        help="run this entry again, although it is finished; may be repeated",
    )  # fmt: skip


def _run(options: argparse.Namespace) -> int:
    from hmexp.campaign.run import describe, list_campaign, run_campaign

    if options.dry_run:
        folder, steps = list_campaign(options.file, options.again)
        print(f"{folder.campaign.title}: in {folder.path}")
        for step in steps:
            known = folder.entries.get(step.entry.name)
            was = f" (now: {describe(known)})" if known and step.wanted else ""
            print(f"{'to run' if step.wanted else 'done':>7}  {step.entry.name}: {step.why}{was}")
        return ExitStatus.OK
    outcome = run_campaign(options.file, options.again, _print_line)
    print(f"Written: {outcome.folder / 'index.html'}")
    return ExitStatus.OK if outcome.complete else ExitStatus.FAILED


def _print_line(text: str) -> None:
    print(text, flush=True)


COMMAND = Command(
    "campaign",
    "run several notebooks with papermill and gather them in one folder",
    "Run every entry of a campaign file that is not finished, one after another. Safe to interrupt: run it "
    "again to resume. An entry whose parameters or notebook changed is run again.",
    describe_statuses("if an entry failed or its kernel died") + " If the file is wrong, nothing is run.",
    _add_options,
    _run,
)
