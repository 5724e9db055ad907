"""Machines that are not here, for every test of the system layer."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType


def _load_captures() -> ModuleType:
    # By its path: py-libnuma installs a top-level package called `tests`, which shadows ours.
    name = "hmexp_test_captures"
    path = Path(__file__).resolve().parents[1] / "captures.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def captures() -> ModuleType:
    """The module `tests/captures.py`."""
    return sys.modules.get("hmexp_test_captures") or _load_captures()


@pytest.fixture
def capture(captures: ModuleType, tmp_path: Path) -> Callable[[Any], tuple[Path, Path]]:
    """Write a machine, by name or as a `Machine`, and return the roots of its /sys and /proc."""
    return lambda machine: captures.write_capture(machine, tmp_path / "machine")
