"""Which commit the running code comes from."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_SECONDS: Final = 5.0


def describe_checkout(folder: Path) -> dict[str, object] | None:
    """Describe the git checkout that a package lives in.

    Parameters
    ----------
    folder : Path
        Folder of the package.

    Returns
    -------
    dict or None
        ``commit`` and ``dirty`` (whether tracked files differ from it); None if the folder is not
        tracked by git (a package installed into an environment inside some other checkout is not),
        if there is no commit yet, or no git.
    """
    tracked = _git(folder, "ls-files", "--error-unmatch", "__init__.py")
    commit = _git(folder, "rev-parse", "--verify", "HEAD") if tracked else None
    status = _git(folder, "status", "--porcelain", "--untracked-files=no") if commit else None
    if commit is None or status is None:
        return None
    return {"commit": commit, "dirty": bool(status)}


def _git(folder: Path, *arguments: str) -> str | None:
    # Inside a git hook GIT_DIR names another repository; and asking must not write the index.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            env=environ | {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
