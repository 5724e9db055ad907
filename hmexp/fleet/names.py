"""Names of hosts: they come from other machines, and become names of folders here."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from hmexp.errors import ParameterError
from hmexp.store.fleet import HOST_NAME
from hmexp.store.run import LATEST

_STRANGE: Final = re.compile(r"[^A-Za-z0-9._-]+", re.ASCII)
_LONGEST: Final = 80


def folder_name(given: str) -> str:
    """The name of a host's folder: the host's own where that can be one, or one that is made of it.

    Two hosts with different names never get the same one: what had to be changed has a hash of the original.

    Parameters
    ----------
    given : str
        What the host, or its worker, calls itself.
    """
    if is_safe(given):
        return given
    kept = _STRANGE.sub("_", given)[:_LONGEST].strip("._-") or "host"
    return f"{kept}-{hashlib.sha256(given.encode(errors='surrogatepass')).hexdigest()[:8]}"


def require_safe(name: str) -> str:
    """Return a name that may be part of a path.

    Raises
    ------
    ParameterError
        If it is not one.
    """
    if not is_safe(name):
        raise ParameterError(f"{name!r} cannot be part of a path")
    return name


def is_safe(name: str) -> bool:
    """Whether a name can be that of a folder, and of nothing else."""
    reserved = name == LATEST or name.startswith(f"{LATEST}-")
    return HOST_NAME.fullmatch(name) is not None and not reserved
