"""The compiled core, and what becomes of an errno that it returns."""

from __future__ import annotations

import errno as errno_names
import os
from pathlib import Path
from typing import Any, Final

from hmexp.errors import HmexpError, NativeError
from hmexp.native.fingerprint import fingerprint

try:
    from hmexp.native._core import ffi, lib
except ImportError as error:  # pragma: no cover - only where the build was skipped
    raise HmexpError(
        f"the C core of hmexp cannot be loaded: {error}", "build it: `make setup`, or `pip install -e .`"
    ) from error

__all__ = ["LINE_BYTES", "PAGE_BYTES", "check", "ffi", "lib", "require_current"]

PAGE_BYTES: Final = os.sysconf("SC_PAGESIZE")
LINE_BYTES: Final = 64


def require_current(compiled: Any, folder: Path) -> None:
    """Refuse a compiled core that was not built from the sources in `folder`.

    It would miss functions, or, worse, measure with the loops of another version. Where the sources were
    not installed there is nothing to compare.

    Raises
    ------
    HmexpError
        Saying how to rebuild it.
    """
    there = fingerprint(folder)
    built = compiled.hm_sources_crc() if hasattr(compiled, "hm_sources_crc") else None
    if there is not None and built != there:
        raise HmexpError(
            f"the compiled C core of hmexp was built from other sources than those in {folder}: hmexp has "
            f"been updated since",
            "build it again: `make setup`, or `pip install -e .`",
        )


require_current(lib, Path(__file__).parent)

_POLICY_REMEDY: Final = (
    "the kernel or a container's filter refuses NUMA system calls: run outside the container, "
    "or give it the capability (docker run --cap-add SYS_NICE)"
)


def check(returned: int, what: str) -> None:
    """Raise NativeError if the core returned an errno; `what` it was about to do."""
    if returned >= 0:
        return
    code = -returned
    remedy = None
    if code in (errno_names.EPERM, errno_names.ENOSYS):
        remedy = _POLICY_REMEDY
    elif code == errno_names.ENOMEM:
        remedy = "free memory, or ask for a smaller region; see `hmexp nodes`"
    raise NativeError(f"{what}: {os.strerror(code)} ({errno_names.errorcode.get(code, code)})", remedy, code)
