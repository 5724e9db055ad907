"""The directory where the lab keeps kernels, tools and the state of its guests.

Everything the lab fetches or makes stays below it; deleting it costs only time.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from hmexp.lab.errors import LabError

CACHE_VARIABLE = "HMEXP_LAB_CACHE"


def cache_directory() -> Path:
    """Say where the cache is: ``$HMEXP_LAB_CACHE``, else ``hmexp/lab`` in the XDG cache directory."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).absolute()
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG specification: a relative path is to be ignored.
    root = base if base.is_absolute() else Path.home() / ".cache"
    return root / "hmexp" / "lab"


def ensure_directory(path: Path) -> Path:
    """Make a directory of the cache, or say what stands in the way."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LabError(
            f"the lab's cache directory {path} cannot be created: {error.strerror}",
            f"set {CACHE_VARIABLE} to a directory you can write, with 2 GiB free",
        ) from error
    return path


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock named after `path` (waits for another lab that makes the same thing)."""
    ensure_directory(path.parent)
    with path.with_name(path.name + ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def built_once(target: Path, build: Callable[[Path], None]) -> Path:
    """Make a file or directory of the cache whole or not at all, and only once.

    Parameters
    ----------
    target : Path
        What must exist afterwards.
    build : callable
        Called with a directory; makes ``directory/<name of target>`` there.
    """
    if target.exists():
        return target
    with locked(target):
        if target.exists():
            return target
        with tempfile.TemporaryDirectory(prefix=".making-", dir=target.parent) as work:
            build(Path(work))
            (Path(work) / target.name).rename(target)
    return target


@contextlib.contextmanager
def run_directory() -> Iterator[Path]:
    """Lend a private directory to one guest; remove it, and those of labs that were killed."""
    runs = ensure_directory(cache_directory() / "runs")
    _sweep(runs)
    fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=runs))
    path = runs / fresh.name.replace(".new-", "run-")
    with (fresh / "lock").open("w") as handle:
        # The lock goes with the process, however it dies: an unlocked directory is a leftover.
        fcntl.flock(handle, fcntl.LOCK_EX)
        fresh.rename(path)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)


def _sweep(runs: Path) -> None:
    for path in runs.glob("run-*"):
        with contextlib.suppress(OSError), (path / "lock").open() as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
