"""The command ``hmexp man``: the manual page, shown on a terminal, else printed as roff."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from hmexp.cli.options import Command
from hmexp.cli.status import ExitStatus, describe_statuses


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--roff", action="store_true", help="print the source of the page, even on a terminal"
    )


def _run(options: argparse.Namespace) -> int:
    from hmexp.cli.main import build_parser
    from hmexp.cli.manual import make_manual

    text = make_manual(build_parser())
    viewer = shutil.which("man")
    if options.roff or not sys.stdout.isatty() or viewer is None:
        print(text, end="")
        return ExitStatus.OK
    with tempfile.TemporaryDirectory(prefix="hmexp-man-") as folder:
        page = Path(folder, "hmexp.1")
        page.write_text(text, encoding="utf-8")
        return subprocess.run([viewer, "-l", str(page)], check=False).returncode


COMMAND = Command(
    "man",
    "print or show the manual page",
    "Show the manual page on a terminal; print its source where standard output is a file or a pipe.",
    "Install it once:\n\n  hmexp man > ~/.local/share/man/man1/hmexp.1\n\n" + describe_statuses(),
    _add_options,
    _run,
)
