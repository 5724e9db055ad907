"""The runs of a results folder: which there are, their tags, and taking one away."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from hmexp.errors import StoreError
from hmexp.store.journal import file_errors
from hmexp.store.lock import hold
from hmexp.store.reader import POINTS, RUN, read_run, read_statuses
from hmexp.store.records import RunRecord
from hmexp.store.run import RunDirectory

_TAG: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}", re.ASCII)
#: What hmexp puts into a run directory, and leaves there when it is killed while it replaces a file.
_OWN: Final = re.compile(
    r"run\.json|points\.jsonl|launches\.jsonl|program\.json|report\.html|[a-z_]+\.(csv|parquet)|figures|\.lock|\..*\.(new|tmp)"
)


@dataclass(frozen=True)
class StoredEntry:
    """A folder with a run, or what is left of one.

    Parameters
    ----------
    path : Path
        The folder.
    run : RunRecord or None
        What its `run.json` says; None if that cannot be read.
    why : str or None
        Why not.
    """

    path: Path
    run: RunRecord | None
    why: str | None = None

    @property
    def kind(self) -> str:
        """``sweep``, ``find``, or the name of the study."""
        if self.run is None:
            return "unreadable"
        return self.run.study or ("sweep" if self.run.search is None else "find")

    @property
    def started(self) -> str:
        """When it began; empty if that is unknown."""
        return "" if self.run is None else self.run.started

    def count(self) -> dict[str, int]:
        """Points by status, by `points.jsonl` itself.

        Raises
        ------
        StoreError
            If it cannot be read.
        """
        statuses = list(read_statuses(self.path / POINTS).values())
        return {status: statuses.count(status) for status in ("ok", "failed", "skipped")}


def list_runs(results: Path, tags: Collection[str] = ()) -> list[StoredEntry]:
    """The runs of a folder, the oldest first; links to runs are not runs.

    Parameters
    ----------
    results : Path
        Folder of run directories.
    tags : collection of str
        Only runs that have all of these.

    Raises
    ------
    StoreError
        If the folder cannot be read.
    """
    with file_errors("read", results):
        if not results.is_dir():
            raise StoreError(f"{results} is not a folder", "name the folder of the run directories")
        folders = [f.parent for f in results.glob(f"*/{RUN}") if not f.parent.is_symlink()]
    found = []
    for folder in folders:
        try:
            found.append(StoredEntry(folder, read_run(folder)))
        except StoreError as error:
            found.append(StoredEntry(folder, None, error.message))
    chosen = [each for each in found if set(tags) <= set(() if each.run is None else each.run.tags)]
    return sorted(chosen, key=lambda each: (each.started, each.path.name))


def find_stored(results: Path, name: str) -> Path:
    """The folder of a run: by its name in `results`, or by its path; a link is followed.

    Raises
    ------
    StoreError
        If there is no such run.
    """
    for path in (results / name, Path(name).expanduser()):
        if (path / RUN).is_file():
            return Path(os.path.realpath(path))
    raise StoreError(f"there is no run {name!r} in {results}", "`hmexp runs list` names those there are")


def tag_run(path: Path, add: Sequence[str], remove: Sequence[str], say: Callable[[str], None]) -> RunRecord:
    """Give a run tags, and take some away.

    Raises
    ------
    StoreError
        If a tag is no short word, the run is in use or cannot be written.
    """
    for tag in (*add, *remove):
        if not _TAG.fullmatch(tag):
            raise StoreError(
                f"{tag!r} cannot be a tag",
                "use up to 40 ASCII letters, digits, points, dashes and underscores, a letter or digit first",
            )
    read_run(path)
    with hold(path, say) as held:
        # Once more: whoever held it may have changed it meanwhile.
        run = read_run(path)
        missing = [tag for tag in remove if tag not in run.tags]
        if missing:
            has = ", ".join(run.tags) or "none"
            raise StoreError(f"{path.name} does not have the tag {missing[0]!r}", f"it has: {has}")
        kept = [tag for tag in run.tags if tag not in remove]
        directory = RunDirectory(held, run)
        directory.update(msgspec.structs.replace(run, tags=tuple(dict.fromkeys([*kept, *add]))))
        return directory.run


def why_kept(path: Path) -> str | None:
    """Why a run should not be removed; None if nothing speaks against it."""
    tags = _tags(path)
    if tags:
        return f"it has the tag{'s'[: len(tags) > 1]} {', '.join(tags)}"
    with file_errors("read", path):
        foreign = sorted(each.name for each in path.iterdir() if not _OWN.fullmatch(each.name))
    return f"it contains what hmexp did not put there: {', '.join(foreign[:3])}" if foreign else None


def remove_run(path: Path, say: Callable[[str], None]) -> None:
    """Remove a run directory, and the links in its folder that point to it.

    Raises
    ------
    StoreError
        If it is in use, or cannot be removed.
    """
    read_path = path / RUN
    if not read_path.is_file():
        raise StoreError(f"{path} is not a run directory", "`hmexp runs list` names those there are")
    with hold(path, say), file_errors("remove", path):
        # run.json goes first: what is left if this is interrupted is no run.
        read_path.unlink()
        shutil.rmtree(path)
        for link in path.parent.iterdir():
            if link.is_symlink() and not link.exists() and Path(os.path.realpath(link)) == path:
                link.unlink()


def _tags(path: Path) -> tuple[str, ...]:
    try:
        return read_run(path).tags
    except StoreError:
        return ()
