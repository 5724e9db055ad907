"""The store: a run directory that survives being killed at any moment.

`launches.jsonl` and `points.jsonl` are only ever appended to, one line and one fsync per launch, and per
point when all its launches are there. Of several lines for the same the last counts. `run.json` is
replaced whole. Everything else in the directory is made from `points.jsonl` and `run.json`.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Set
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from hmexp.closing import Closing
from hmexp.errors import StoreError
from hmexp.store.journal import append_line, drop_torn_line, file_errors, replace_file, sync_folder
from hmexp.store.lock import Hold, hold
from hmexp.store.reader import LAUNCHES, POINTS, RUN, read_launches, read_points, read_run, read_statuses
from hmexp.store.records import LaunchRecord, PointRecord, RunRecord
from hmexp.store.writer import encode, encode_run

LATEST: Final = "latest"
_FINISHED: Final = ("ok", "skipped")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)


def resolve_results(text: str) -> Path:
    """The folder of the run directories.

    ``auto`` is `results/` of the hmexp checkout that the current folder is in (a notebook is
    opened in `notebooks/`), or else of the current folder.
    """
    if text != "auto":
        # Unlike Path.resolve it leaves a loop of links to whoever opens the folder.
        return Path(os.path.realpath(Path(text).expanduser()))
    here = Path.cwd()
    for folder in (here, *here.parents):
        project = folder / "pyproject.toml"
        if project.is_file() and (folder / "hmexp" / "pattern.py").is_file():
            return folder / "results"
    return here / "results"


class RunDirectory(Closing):
    """One run, held by one process at a time. Made by `open_run`; a context manager."""

    def __init__(self, held: Hold, run: RunRecord) -> None:
        self.path = path = held.path
        self.run = run
        self._held = held
        self._finished: set[str] | None = None
        self._files = {name for name in (POINTS, LAUNCHES) if (path / name).exists()}
        for name in (POINTS, LAUNCHES):
            drop_torn_line(path / name)

    def records(self) -> list[PointRecord]:
        """The last record of each point."""
        return list(read_points(self.path / POINTS).values())

    def finished_points(self) -> set[str]:
        """Ids of the points that need not be measured again."""
        if self._finished is None:
            statuses = read_statuses(self.path / POINTS)
            self._finished = {point for point, status in statuses.items() if status in _FINISHED}
        return set(self._finished)

    def launches(self, besides: Set[str] = frozenset()) -> dict[str, dict[int, LaunchRecord]]:
        """The last record of each launch, by point and number, of points not finished or in `besides`."""
        return read_launches(self.path / LAUNCHES, leave=self.finished_points() - besides)

    def append(self, record: PointRecord | LaunchRecord) -> None:
        """Add a record, of a point or of a launch, and return when it is on the disk.

        Raises
        ------
        StoreError
            If it cannot be written, or the directory was removed or moved meanwhile.
        """
        file = POINTS if isinstance(record, PointRecord) else LAUNCHES
        self._finished = None
        self._held.require()
        append_line(self.path / file, encode(record), new=file not in self._files)
        self._files.add(file)

    def update(self, run: RunRecord) -> None:
        """Replace `run.json`.

        Raises
        ------
        StoreError
            As `append`.
        """
        self._held.require()
        replace_file(self.path / RUN, encode_run(run))
        self.run = run

    def close(self) -> None:
        """Let other processes have the directory."""
        self._held.close()


def open_run(
    results: Path,
    name: str,
    described: RunRecord,
    say: Callable[[str], None] = print,
    *,
    finished: bool = False,
    latest: bool = True,
) -> RunDirectory:
    """Open the run directory for a plan: the unfinished one of an earlier try, or a new one.

    Parameters
    ----------
    results : Path
        Folder of the run directories; made if missing.
    name : str
        Name of the run directory, or ``auto``.
    described : RunRecord
        First content of `run.json`, but for the name and the time. A directory of another plan is never
        touched. Its study begins the name of a new directory, or `find` that of a search;
        `latest` points at sweeps of a grid alone, the others have a `latest-STUDY` and `latest-find`.
    say : callable
        Receives what a person should know.
    finished : bool
        Resume the last run of the plan even if it is finished.
    latest : bool
        Have the link to the newest run point at it.

    Raises
    ------
    StoreError
        If the folder cannot be written, the name is taken by another plan, or another process is
        at work in the directory.
    """
    require_run_name(name)
    plan = described.plan
    kind = described.study or ("sweep" if described.search is None else "find")
    with file_errors("make the results folder", results):
        results.mkdir(parents=True, exist_ok=True)
    if name == "auto":
        earlier = find_run(results, name, plan, finished=finished)
        name = earlier.name if earlier else f"{kind}-{datetime.now():%Y%m%d-%H%M%S}-{plan[:6]}"  # noqa: DTZ005 - a name for a person
    path = results / name
    _read_known(path, plan)
    with file_errors("write in", results):
        path.mkdir(exist_ok=True)
        sync_folder(results)
    held = hold(path, say)
    try:
        directory = _begin_or_resume(held, described, say)
        if latest:
            _point_latest(results, LATEST if kind == "sweep" else f"{LATEST}-{kind}", name)
    except BaseException:
        held.close()
        raise
    return directory


def _begin_or_resume(held: Hold, described: RunRecord, say: Callable[[str], None]) -> RunDirectory:
    # Once more: whoever held it may have made it meanwhile.
    run = _read_known(held.path, described.plan)
    if run is not None:
        directory = RunDirectory(held, run)
        say(f"Resuming {held.path.name}: {len(directory.finished_points())} points are already measured.")
        return directory
    new = msgspec.structs.replace(described, name=held.path.name, started=now())
    directory = RunDirectory(held, new)
    directory.update(new)
    return directory


def find_run(results: Path, name: str, plan: str, *, finished: bool = False) -> Path | None:
    """The run directory that `open_run` would resume; None if it would make one.

    Raises
    ------
    StoreError
        If the name is taken by another plan, or by measurements of which nothing says what they are; or
        there can be no folder of that name.
    """
    require_run_name(name)
    if os.path.lexists(results) and not results.is_dir():
        raise StoreError(f"{results} is not a folder", "name a folder for the run directories (--results)")
    if name == "auto":
        found = _find_unfinished(results, plan, finished=finished)
        return results / found if found else None
    path = results / name
    return None if _read_known(path, plan) is None else path


def _read_known(path: Path, plan: str) -> RunRecord | None:
    """The `run.json` of a directory to resume; None if it does not exist yet."""
    if (path / RUN).exists():
        run = read_run(path)
        if run.plan != plan:
            raise StoreError(
                f"run {path.name!r} in {path.parent} was made with other parameters",
                "use the parameters it was made with, or another name for the run",
            )
        return run
    for name in (POINTS, LAUNCHES):
        file = path / name
        if file.exists() and file.stat().st_size:
            raise StoreError(
                f"{path} has measurements in {name}, but no {RUN} that says of what",
                "move the folder away, or give this run another name",
            )
    return None


def _find_unfinished(results: Path, plan: str, *, finished: bool) -> str | None:
    found = []
    for path in (path for path in results.glob(f"*/{RUN}") if not path.parent.is_symlink()):
        try:
            run = read_run(path.parent)
        except StoreError:
            continue
        done = run.finished is not None and run.reported is not False
        if run.plan == plan and (finished or not done):
            found.append((run.started, path.parent.name))
    return max(found)[1] if found else None


def _point_latest(results: Path, link: str, name: str) -> None:
    latest = results / link
    # One name for all, under a lock: what a killed process leaves, the next one takes away.
    temporary = results / f".{link}.new"
    with file_errors("write", latest):
        if latest.exists() and not latest.is_symlink():
            return  # somebody's own folder
        fd = os.open(results, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            temporary.unlink(missing_ok=True)
            temporary.symlink_to(name)
            temporary.replace(latest)
        finally:
            os.close(fd)


def require_run_name(name: str) -> None:
    """Refuse what cannot be the name of a run.

    Raises
    ------
    StoreError
        With what may be one.
    """
    if name != "auto" and (not _NAME.fullmatch(name) or name == LATEST or name.startswith(f"{LATEST}-")):
        raise StoreError(
            f"{name!r} cannot be the name of a run{_why_not(name)}",
            "use up to 100 ASCII letters, digits, points, dashes and underscores, a letter or digit first",
        )


def _why_not(name: str) -> str:
    """Why a name is refused, where that is not plain to see."""
    if name == LATEST or name.startswith(f"{LATEST}-"):
        return ": hmexp keeps that name for a link to the newest run"
    if len(name) > 100:
        return f": it has {len(name)} characters"
    strange = next((letter for letter in name if not letter.isascii()), None)
    return f": {strange!r} is not an ASCII letter" if strange is not None else ""


def now() -> str:
    """The time, in UTC and ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")
