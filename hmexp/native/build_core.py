"""How the C core is built: cffi reads ``declarations.h`` and setuptools compiles the rest."""

from __future__ import annotations

import runpy
from pathlib import Path

import cffi

HERE = Path(__file__).resolve().parent
SOURCES = (
    "clock.c", "process.c", "pages.c", "touch.c", "where.c", "stretches.c", "foreign.c", "mempolicy.c",
    "userfaultfd.c", "model.c", "team.c", "noise.c", "operations.c", "shapes.c", "order.c", "streams.c",
    "bandwidth.c", "ring.c", "ring_walk.c", "chase.c", "tail.c", "store_latency.c", "loaded.c", "gaps.c",
    "exit_stop.c", "refusal.c", "spawn.c", "mover.c", "replay.c",
)  # fmt: skip
#: setuptools wants paths relative to the folder of ``setup.py``.
PREFIX = "hmexp/native"

# By its path: the package cannot be imported before its core is there.
SOURCES_CRC = runpy.run_path(str(HERE / "fingerprint.py"))["fingerprint"](HERE)

ffibuilder = cffi.FFI()
ffibuilder.cdef((HERE / "declarations.h").read_text())
ffibuilder.set_source(
    "hmexp.native._core",
    '#include "core.h"',
    sources=[f"{PREFIX}/{name}" for name in SOURCES],
    include_dirs=[PREFIX],
    depends=[f"{PREFIX}/{path.name}" for path in sorted(HERE.glob("*.h"))],
    define_macros=[("_GNU_SOURCE", "1"), ("HM_SOURCES_CRC", f"{SOURCES_CRC}u")],
    extra_compile_args=[
        "-std=gnu11", "-O2", "-g", "-pthread", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter",
        "-Wno-missing-field-initializers",
        # A store loop is a store loop: never a call of libc's memset, which changes its way with size.
        "-fno-tree-loop-distribute-patterns",
        # The width of a loop is the one that was asked for: plain C stays plain.
        "-fno-tree-vectorize",
    ],
    extra_link_args=["-pthread"],
    # A square root, in model.c.
    libraries=["m"],
)  # fmt: skip

if __name__ == "__main__":
    ffibuilder.compile(tmpdir=str(HERE.parents[1]), verbose=True)
