"""What pyproject.toml cannot say yet: the C core is built by cffi, and the preload library beside it."""

from __future__ import annotations

import runpy
from pathlib import Path

from setuptools import Extension, setup

PRELOAD = runpy.run_path(str(Path(__file__).parent / "hmexp/native/preload/build.py"))

setup(
    cffi_modules=["hmexp/native/build_core.py:ffibuilder"],
    # No module of Python, but setuptools knows how to build and install a shared object in no other way.
    ext_modules=[Extension(**PRELOAD["extension"]("hmexp/native/preload"))],
)
