"""The version of what is stored, and what every stored struct has in common."""

from __future__ import annotations

from typing import Final

import msgspec

#: Of the records. It grows when a field changes its meaning; a new field alone does not change it.
#: 1: one launch and no stop rule. 2: launches. 3: tagged results, one vocabulary, studies like sweeps.
SCHEMA: Final = 3
#: Records of earlier schemas are converted while they are read (`hmexp.store.conversion`).
OLDEST_SCHEMA: Final = 1
#: Part of the id of a point; unchanged by schema 3, so that runs of schema 2 resume.
ID_VERSION: Final = 2

#: A single fact, as JSON has it.
Fact = bool | int | float | str | None
#: A remark of a placer, or a parameter as it was given: a fact, several, or several by name.
Remark = Fact | tuple[Fact, ...] | dict[str, Fact]


class Stored(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A part of a record: frozen, typed, and tolerant of fields that a later hmexp has added."""


class Tagged(Stored, frozen=True, kw_only=True, gc=False, tag_field="kind"):
    """A part of a record that has several kinds; `kind` says which one it is."""
