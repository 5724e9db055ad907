"""Facts of the state of a machine, and which of them set one host apart from the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from hmexp.store.records import RunRecord
from hmexp.units import format_size

#: What changes from minute to minute, or is of the process rather than of the machine.
_FLEETING: Final = ("load_average", "checkout", "packages", "python", "limits", "cgroup")
#: What is worth a look first, where several facts set a host apart alike.
_FIRST: Final = (
    "setting", "firmware", "microcode", "memory_devices", "kernel", "numa_balancing", "thp", "demotion",
    "turbo", "cpu",
)  # fmt: skip
_LONGEST: Final = 120


@dataclass(frozen=True)
class FactDifference:
    """A fact in which a host is not like the others.

    Parameters
    ----------
    name : str
        Of the fact.
    here, elsewhere : str
        What it is on the host, and on most of the others.
    alike : float
        Share of the others that have what most have.
    """

    name: str
    here: str
    elsewhere: str
    alike: float

    def __str__(self) -> str:
        most = "the others" if self.alike == 1 else f"{self.alike:.0%} of the others"
        return f"{self.name} is {self.here} here, {self.elsewhere} on {most}"


def facts_of(run: RunRecord, settings: Mapping[str, str]) -> dict[str, str]:
    """The state of a machine as facts with names.

    Parameters
    ----------
    run : RunRecord
        What the machine was before the run.
    settings : mapping of str to str
        Settings of the kernel that the launches ran with, by name.
    """
    known: dict[str, Any] = msgspec.to_builtins(run.provenance) or {}
    found = {f"setting {name}": value for name, value in settings.items()}
    found |= {
        name: text
        for name, text in _flat({name: value for name, value in known.items() if name not in _FLEETING}, "")
        if text is not None
    }
    for node in run.nodes:
        size = "no memory" if node.total_bytes is None else format_size(node.total_bytes)
        found[f"node {node.id}"] = f"{node.kind}, {size}, {len(node.cpus)} CPUs"
    return {name: text[:_LONGEST] for name, text in found.items()}


def _flat(tree: Mapping[str, Any], prefix: str) -> Iterable[tuple[str, str | None]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
            yield from _flat({str(number): item for number, item in enumerate(value)}, f"{prefix}{name}.")
        elif isinstance(value, list | tuple):
            yield f"{prefix}{name}", ", ".join(map(str, value))
        else:
            yield f"{prefix}{name}", None if value is None else str(value)


@dataclass(frozen=True)
class Census:
    """How many hosts have each value of each fact."""

    values: Mapping[str, Counter[str]]
    hosts: int

    @classmethod
    def of(cls, every: Sequence[Mapping[str, str]]) -> Census:
        """Count what the hosts have; what a host does not have counts as unknown."""
        names = dict.fromkeys(name for facts in every for name in facts)
        return cls(
            {name: Counter(facts.get(name, "unknown") for facts in every) for name in names}, len(every)
        )

    def differences(self, facts: Mapping[str, str], most: int = 5) -> list[FactDifference]:
        """The facts that set a host apart from the others, the most telling first.

        A fact tells much if nearly all others agree on another value; one that is different on every
        host, such as the size of the memory to the byte, tells nothing.
        """
        found = []
        for name, counted in self.values.items():
            here = facts.get(name, "unknown")
            others = self.hosts - 1
            elsewhere, count = max(
                ((value, count) for value, count in counted.items() if value != here),
                default=("", 0),
                key=lambda pair: pair[1],
            )
            if not others or count <= others / 2:
                continue
            found.append(FactDifference(name, here, elsewhere, count / others))
        found.sort(key=lambda each: (-each.alike, _rank(each.name), each.name))
        # The launches have read again what the provenance has of some settings of the kernel.
        once: dict[tuple[str, str, str], FactDifference] = {}
        for each in found:
            once.setdefault((each.name.rpartition(".")[2], each.here, each.elsewhere), each)
        return list(once.values())[:most]


def _rank(name: str) -> int:
    return next((rank for rank, first in enumerate(_FIRST) if name.startswith(first)), len(_FIRST))
