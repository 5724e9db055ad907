"""The commands' fixture, for tests of what they print."""

from __future__ import annotations

from tests.cli.conftest import run

__all__ = ["run"]
