"""What commands that read runs require of them, and of what they write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hmexp.errors import ParameterError, StoreError, SweepError

if TYPE_CHECKING:
    from hmexp.report.run.point import Point
    from hmexp.store.records import RunRecord


def require_measured(folder: Path) -> None:
    """Refuse a run directory without its measurements, before anything in it is replaced.

    Raises
    ------
    StoreError
        If it is no run directory, or its `points.jsonl` is missing, empty or unreadable.
    """
    from hmexp.store.journal import file_errors
    from hmexp.store.reader import POINTS, read_run

    read_run(folder)
    file = folder / POINTS
    with file_errors("read", file):
        size = file.stat().st_size if file.exists() or file.is_symlink() else None
    if size is None:
        raise StoreError(
            f"{folder} has a run.json but no {POINTS}: its measurements are missing",
            "restore the file, or measure again; an existing report was left as it is",
        )
    if size is not None and not file.is_file():
        raise StoreError(f"{file} is not a file", "restore it from a copy of the run")
    if size == 0:
        raise StoreError(
            f"{file} is empty: no point has been measured yet",
            "run the command that began this run again, which resumes it",
        )
    with file_errors("read", file), file.open("rb") as lines:
        whole = lines.readline().endswith(b"\n")
    if not whole:
        raise StoreError(
            f"{file} has no complete line: no point can be read from it",
            "restore it from a copy of the run, or run the command that began this run again",
        )


def require_numbers(folder: Path, points: Sequence[Point]) -> None:
    """Refuse to call a run a success in which no point was measured.

    Raises
    ------
    SweepError
        With how many were skipped or failed, and why.
    """
    if any(point.status == "ok" for point in points):
        return
    counts = Counter(str(point.status) for point in points)
    what = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    reason = next((point.reason.splitlines()[0] for point in points if point.reason), None)
    raise SweepError(
        f"no point of {folder} was measured ({what})" + (f": {reason}" if reason else ""),
        "remove what is in the way, and run the command that began this run again",
    )


def require_searched(folder: Path, run: RunRecord) -> None:
    """Refuse to call a search a success that has not come to its end.

    Raises
    ------
    SweepError
        With what was in the way.
    """
    if run.search is None or run.search.open is None:
        return
    why = {"time": "its time was over", "failures": "points of it failed"}.get(
        run.search.open, "it was interrupted"
    )
    raise SweepError(
        f"the search of {folder} has not come to its end: {why}",
        "what is there is shown; run the command that began this run again, which resumes it",
    )


def require_complete(folder: Path, points: Sequence[Point], unfinished: int) -> None:
    """Refuse to call a run a success of which points failed or are missing.

    Raises
    ------
    SweepError
        With how many.
    """
    failed = [point for point in points if point.status == "failed"]
    parts = [f"{len(failed)} failed"] if failed else []
    parts += [f"{unfinished} not measured yet"] if unfinished else []
    if not parts:
        return
    first = f", the first for: {failed[0].why}" if failed else ""
    raise SweepError(
        f"{folder} is not complete: of {len(points) + unfinished} points {' and '.join(parts)}{first}",
        "what is there is shown; run the command that began this run again to measure the rest",
    )


def require_folder(file: Path) -> None:
    """Refuse a file to write whose folder does not exist.

    Raises
    ------
    ParameterError
        Naming the folder.
    """
    if file.is_dir():
        raise ParameterError(f"{file} is a folder, not a file", "name a file in it, such as compare.html")
    if not file.parent.is_dir():
        raise ParameterError(
            f"{file} cannot be written: the folder {file.parent} does not exist",
            f"make it with `mkdir -p {file.parent}`, or name another file",
        )
