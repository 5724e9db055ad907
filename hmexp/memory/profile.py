"""Emulation profiles: speeds of DRAM and of a slow memory on one machine, published or captured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from hmexp.errors import EmulationError
from hmexp.memory.profile_file import Contents, read_profile
from hmexp.memory.speed import NodeSpeed
from hmexp.store.machine import ProfileRecord

_PROFILES: Final = Path(__file__).parent / "profiles"


@dataclass(frozen=True)
class Profile:
    """Speeds of DRAM and of a slow memory (of some kind) on one and the same machine.

    Parameters
    ----------
    name, title, kind, source : str
        What it is called, what it is, the kind of its slow memory, and whose figures these are.
    dram, slow : NodeSpeed
        The speeds; equal where a profile has one memory alone.
    intervals : mapping of str to (float, float)
        95 % intervals of captured figures, such as of ``slow.read_gbps``, in their units.
    """

    name: str
    title: str
    kind: str
    source: str
    dram: NodeSpeed
    slow: NodeSpeed
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The profiles that come with hmexp."""
        return tuple(sorted(path.stem for path in _PROFILES.glob("*.toml")))

    @classmethod
    def load(cls, name: str) -> Profile:
        """Read a profile by its name, or by the path of a ``.toml`` file.

        Raises
        ------
        EmulationError
            If there is no such profile, or a figure is missing or absurd.
        """
        path = Path(name) if name.endswith(".toml") else _PROFILES / f"{name}.toml"
        if not path.is_file():
            raise EmulationError(
                f"emulation profile {name!r} is unknown",
                f"use one of: {', '.join(cls.names())}, or the path of a .toml file",
            )
        return cls.of(path.stem, read_profile(path))

    @classmethod
    def of(cls, name: str, contents: Contents) -> Profile:
        """Name the contents of a file."""
        return cls(
            name, contents.title, contents.kind, contents.source,
            contents.dram, contents.slow, contents.intervals,
        )  # fmt: skip

    @property
    def duplex(self) -> bool:
        """Whether a node has a link or a medium, so that all bandwidths are scaled by one factor."""
        return self.dram.carriers is not None or self.slow.carriers is not None

    def identity(self) -> dict[str, Any]:
        """What tells runs apart: every figure. Parts that a profile does not have change nothing."""
        found = asdict(self)
        del found["intervals"]
        for part in ("dram", "slow"):
            for later in ("carriers", "family"):
                if found[part][later] is None:
                    del found[part][later]
        return found

    def to_record(self) -> ProfileRecord:
        """The profile as it is stored."""
        dram, slow = self.dram.to_record(), self.slow.to_record()
        return ProfileRecord(
            name=self.name, title=self.title, kind=self.kind, source=self.source, dram=dram, slow=slow
        )

    @classmethod
    def from_record(cls, record: ProfileRecord) -> Profile:
        """Read back what `to_record` wrote."""
        if record.dram is None or record.slow is None:
            raise EmulationError(
                f"the stored profile {record.name} has no figures of DRAM, or of slow memory"
            )
        dram, slow = NodeSpeed.from_record(record.dram), NodeSpeed.from_record(record.slow)
        return cls(record.name, record.title, record.kind, record.source, dram, slow)
