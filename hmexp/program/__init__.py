"""Any program on hybrid memory: run it, follow it, move it, find out where it is."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    """``hmexp.program.placement`` is there without an import of its own: it can be called."""
    if name == "placement":
        return import_module("hmexp.program.placement")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
