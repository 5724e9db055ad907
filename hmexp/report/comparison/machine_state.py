"""In what two runs differ beside their numbers: machine, kernel, settings, versions, parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from hmexp.store.records import RunRecord

#: Not state, but what was going on at the moment.
_PASSING: Final = ("load", "free_bytes", "used_bytes")
_NOTHING: Final = "not recorded"
_LONGEST: Final = 200


@dataclass(frozen=True)
class Difference:
    """A fact that two runs do not share."""

    name: str
    a: str
    b: str


def differences(a: RunRecord, b: RunRecord) -> tuple[Difference, ...]:
    """List every fact of two `run.json` in which they differ, and that may matter for speed."""
    facts_a, facts_b = _facts(a), _facts(b)
    names = dict.fromkeys((*facts_a, *facts_b))
    lines = ((name, facts_a.get(name, _NOTHING), facts_b.get(name, _NOTHING)) for name in names)
    return tuple(Difference(name, one, other) for name, one, other in lines if one != other)


def _facts(run: RunRecord) -> dict[str, str]:
    parameters = {
        name: value for name, value in run.parameters.items() if name not in ("results", "run", "seed")
    }
    emulation = run.emulation
    parts: dict[str, Mapping[str, Any]] = {
        "": msgspec.to_builtins(run.provenance) or {},
        "node.": {str(node.id): msgspec.to_builtins(node) for node in run.nodes},
        "parameter.": parameters,
        "emulation.": {}
        if emulation is None
        else {
            "profile": emulation.profile.name,
            "scale": emulation.scale,
            "nodes": msgspec.to_builtins(emulation.nodes, str_keys=True),
        },
    }
    return {
        name: text[:_LONGEST]
        for prefix, tree in parts.items()
        for name, text in _flat(tree, prefix)
        if not any(word in name for word in _PASSING)
    }


def _flat(tree: Mapping[str, Any], prefix: str) -> Iterable[tuple[str, str]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
            yield from _flat({str(n): item for n, item in enumerate(value)}, f"{prefix}{name}.")
        elif isinstance(value, list | tuple):
            yield f"{prefix}{name}", " ".join(map(str, value)) or "none"
        elif value is not None:
            yield f"{prefix}{name}", f"{value:.5g}" if isinstance(value, float) else str(value)
