"""The report that is there already: how much it shows, so that one of less does not take its place."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from hmexp.errors import StoreError

#: In the head of every report: how many points it has numbers of.
MARK: Final = "hmexp-points"
_MARK: Final = re.compile(rf'<meta name="{MARK}" content="(\d+)">')
#: What reports of earlier versions say.
_WORDS: Final = re.compile(r"<strong>(?:All )?(\d+)(?: of \d+)? points measured</strong>")
_MOST_CHARS: Final = 1 << 20


def points_shown(report: Path) -> int | None:
    """How many points a report has numbers of; None if there is none, or it does not say."""
    try:
        with report.open(encoding="utf-8", errors="replace") as file:
            text = file.read(_MOST_CHARS)
    except OSError:
        return None
    found = _MARK.search(text) or _WORDS.search(text)
    return None if found is None else int(found[1])


def require_no_loss(report: Path, measured: int) -> None:
    """Refuse to replace a report by one of fewer points.

    Raises
    ------
    StoreError
        With both numbers.
    """
    shown = points_shown(report)
    if shown is not None and shown > measured:
        raise StoreError(
            f"{report} shows {shown} measured points, and the run now has {measured}: the report was left "
            "as it was",
            "restore points.jsonl, or resume the run; to have the smaller report, move the other one away",
        )
