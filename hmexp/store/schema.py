"""The version of what is stored."""

from __future__ import annotations

from typing import Final

#: Of the records; a change makes old points other points. Those of 1 had one launch and no stop rule.
SCHEMA: Final = 2
