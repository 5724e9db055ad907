"""How the preload library is built: by setuptools with the C core, and by tests with a stand-in."""

from __future__ import annotations

from typing import Any, Final

SOURCES: Final = ("start.c", "descriptors.c", "mapping.c", "programs.c", "executable.c")
FLAGS: Final = (
    "-std=gnu11", "-O2", "-g", "-pthread", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror",
    # dlopen() must be a jump, not a call: libc knows who asks by the return address.
    "-foptimize-sibling-calls", "-fno-stack-protector",
)  # fmt: skip
LIBRARIES: Final = ("dl",)


def extension(folder: str) -> dict[str, Any]:
    """What setuptools' Extension wants, for the library of /dev/hybridmem.

    Parameters
    ----------
    folder : str
        This folder, relative to that of ``setup.py``.

    Returns
    -------
    dict
        Keywords of ``setuptools.Extension``.
    """
    return {
        "name": "hmexp.native._preload",
        "sources": [f"{folder}/{name}" for name in (*SOURCES, "device.c")],
        "depends": [f"{folder}/{name}" for name in ("preload.h", "executable.h", "hybridmem.h")],
        "extra_compile_args": list(FLAGS),
        "extra_link_args": ["-pthread"],
        "libraries": list(LIBRARIES),
        # The same file for every Python: it uses none.
        "py_limited_api": True,
    }
