"""The one thing that pyproject.toml cannot say yet: the C core is built by cffi."""

from __future__ import annotations

from setuptools import setup

setup(cffi_modules=["hmexp/native/build_core.py:ffibuilder"])
