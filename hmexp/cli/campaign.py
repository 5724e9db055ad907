"""The command ``hmexp campaign``: several notebooks, one after another, gathered in one folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

#: Status if an entry is not finished.
EXIT_FAILED = 1


def add_command(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "campaign", help="run several notebooks by papermill, gathered in one folder", allow_abbrev=False,
        description="Run every entry of a campaign file that is not finished, one after another. Killed at "
        "any moment, the same command again goes on. An entry is run anew if its parameters or its notebook "
        "were changed.",
        epilog="Exit status: 0 when every entry is finished; 1 if one failed or its kernel died; 2 if the "
        "file is wrong (nothing was run then); 130 after Ctrl-C.",
    )  # fmt: skip
    parser.add_argument("file", type=Path, metavar="FILE", help="such as notebooks/campaign.toml")
    parser.add_argument(
        "--dry-run", "--list", dest="dry_run", action="store_true",
        help="check the file, say what would be done with each entry, and run nothing",
    )  # fmt: skip
    parser.add_argument(
        "--again", action="append", default=[], metavar="NAME", help="run this entry anew, though finished"
    )
    parser.set_defaults(run=_campaign)


def _campaign(options: argparse.Namespace) -> int:
    from hmexp.campaign.run import describe, list_campaign, run_campaign

    if options.dry_run:
        folder, steps = list_campaign(options.file, options.again)
        print(f"{folder.campaign.title}: in {folder.path}")
        for step in steps:
            known = folder.entries.get(step.entry.name)
            was = f" (now: {describe(known)})" if known and step.wanted else ""
            print(f"{'to run' if step.wanted else 'done':>7}  {step.entry.name}: {step.why}{was}")
        return 0
    outcome = run_campaign(options.file, options.again, _say)
    print(f"Written: {outcome.folder / 'index.html'}")
    return 0 if outcome.complete else EXIT_FAILED


def _say(text: str) -> None:
    print(text, flush=True)
