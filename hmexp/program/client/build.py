"""The client is a small C program, built when it is first needed: only who measures Redis needs hiredis."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from hmexp.errors import HmexpError
from hmexp.native.fingerprint import fingerprint

SOURCE: Final = Path(__file__).with_name("source")
#: Where the built client is kept, if not below `~/.cache`.
CACHE_VARIABLE: Final = "HMEXP_CLIENT_CACHE"
#: Exit status of a program whose libraries the loader cannot find.
_NOT_LOADED: Final = 127
_FLAGS: Final = ("-std=gnu11", "-D_GNU_SOURCE", "-O2", "-g", "-pthread", "-Wall", "-Wextra", "-Werror")
_LONGEST_MESSAGE: Final = 2000


class ClientBuildError(HmexpError):
    """The client of Redis could not be built."""


def build_client() -> Path:
    """Build the client, unless these very sources have been built before.

    Returns
    -------
    Path
        The program.

    Raises
    ------
    ClientBuildError
        If there is no compiler or no hiredis; it names the package.
    """
    found = _find_cache() / f"redis-client-{fingerprint(SOURCE):08x}-{platform.machine()}"
    if found.exists() and _starts(found):
        return found
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        raise ClientBuildError(
            "the client of Redis must be compiled, and there is no C compiler",
            "install one: apt-get install gcc libc6-dev libhiredis-dev",
        )
    try:
        found.parent.mkdir(parents=True, exist_ok=True)
        # Whoever builds at the same time makes the same; the last one is kept.
        with tempfile.TemporaryDirectory(dir=found.parent) as folder:
            built = Path(folder) / found.name
            _compile(compiler, built)
            built.replace(found)
    except OSError as error:
        raise ClientBuildError(
            f"the client of Redis cannot be kept in {found.parent}: {error.strerror}",
            f"set {CACHE_VARIABLE} to a folder that you can write",
        ) from error
    return found


def _starts(client: Path) -> bool:
    """False if the loader finds a library of it no longer, as after hiredis was removed or upgraded."""
    done = subprocess.run([client], capture_output=True, stdin=subprocess.DEVNULL, check=False)
    return done.returncode != _NOT_LOADED


def _find_cache() -> Path:
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).absolute()
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "hmexp" / "client"


def _compile(compiler: str, built: Path) -> None:
    sources = sorted(str(path) for path in SOURCE.glob("*.c"))
    command = [*compiler.split(), *_FLAGS, "-o", str(built), *sources, "-lhiredis", "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode == 0:
        return
    if "hiredis.h" in done.stderr or "lhiredis" in done.stderr:
        raise ClientBuildError(
            "the client of Redis needs the library hiredis, which is not installed",
            "install it: apt-get install libhiredis-dev",
        )
    raise ClientBuildError(
        f"the client of Redis cannot be compiled by {compiler}:\n{done.stderr.strip()[:_LONGEST_MESSAGE]}",
        "another compiler can be named by CC",
    )
