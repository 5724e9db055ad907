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


def check(returned: int, what: str, call: str | None = None) -> None:
    """Turn what a function of the core returned into an error, if it is one.

    Parameters
    ----------
    returned : int
        What the core returned: an errno if negative.
    what : str
        What it was about to do, for the message.
    call : str, optional
        The system call that it makes, a name of `hmexp.native.refusal.Call`.

    Raises
    ------
    NativeError
        With what helps against a refusal of that call.
    """
    if returned >= 0:
        return
    code = -returned
    if call is not None:
        # Only where something failed; and it needs the core, which may be what is missing.
        from hmexp.native.refusal import Call, explain

        remedy = explain(Call(call), code)
    elif code == errno_names.ENOMEM:
        remedy = "free memory, or ask for a smaller region; see `hmexp nodes`"
    else:
        remedy = None
    raise NativeError(f"{what}: {os.strerror(code)} ({errno_names.errorcode.get(code, code)})", remedy, code)
