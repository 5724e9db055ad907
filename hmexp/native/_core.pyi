"""The extension module that cffi makes from ``declarations.h``; cffi has no static types for it."""

from typing import Any

ffi: Any
lib: Any
