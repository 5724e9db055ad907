"""How commands print: words or JSON on standard output, progress on standard error."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from hmexp.cli.logs import is_quiet

if TYPE_CHECKING:
    from hmexp.experiment.progress import ProgressDisplay

_log = logging.getLogger(__name__)


def print_json(record: object) -> None:
    """Print a record, or several, as one line of JSON; NaN and infinity are null there."""
    print(msgspec.json.encode(record).decode())


def say(text: str) -> None:
    """Say what a person should know, beside the result."""
    _log.info("%s", text)


def teller(options: argparse.Namespace) -> Callable[[str], None]:
    """What shows a person how far a measurement is, in one line of a terminal."""
    silent = getattr(options, "json", False) or is_quiet() or not sys.stderr.isatty()

    def show(what: str) -> None:
        if not silent:
            print(f"\r\033[K{what}", end="", file=sys.stderr, flush=True)

    return show


def shown_display() -> ProgressDisplay:
    """What shows the progress of a run: a bar on a terminal, lines in a log, nothing with -q."""
    from hmexp.experiment.progress import NoDisplay
    from hmexp.progress import stream_display

    return NoDisplay() if is_quiet() else stream_display()
