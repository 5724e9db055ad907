"""Emulation profiles: published speeds of DRAM and of a slow memory on one machine."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Literal

from hmexp.errors import EmulationError
from hmexp.native import OPERATIONS
from hmexp.store.machine import ProfileRecord, SpeedRecord

Quantity = Literal["read", "write", "write_nt", "latency", "store_nt", "store_flush"]

#: The figure of a profile that each quantity is.
FIGURES: Final[Mapping[Quantity, str]] = {
    "read": "read_gbps",
    "write": "write_gbps",
    "write_nt": "write_nt_gbps",
    "latency": "latency_ns",
    "store_nt": "store_nt_ns",
    "store_flush": "store_flush_ns",
}
_NEEDED: Final = ("read_gbps", "write_gbps", "latency_ns")
_PROFILES: Final = Path(__file__).parent / "profiles"


@dataclass(frozen=True)
class NodeSpeed:
    """Peak bandwidth and idle latency of a node.

    Parameters
    ----------
    read_gbps, write_gbps : float
        Payload of loads, and of regular stores [GB/s].
    latency_ns : float
        Of a dependent load [ns].
    write_nt_gbps : float or None
        Payload of non-temporal stores [GB/s]; None if it is not known.
    store_nt_ns, store_flush_ns : float or None
        Of a non-temporal store and a fence; of a store, a flush of its line and a fence [ns].
    writers : tuple of (int, float)
        Part of the write bandwidth that is left when so many threads write, ascending; between two
        numbers of threads on a straight line. Empty: all of it.
    """

    read_gbps: float
    write_gbps: float
    latency_ns: float
    write_nt_gbps: float | None = None
    store_nt_ns: float | None = None
    store_flush_ns: float | None = None
    writers: tuple[tuple[int, float], ...] = ()

    def __post_init__(self) -> None:
        # From JSON they come as lists.
        object.__setattr__(self, "writers", tuple((int(n), float(part)) for n, part in self.writers))

    def to_record(self) -> SpeedRecord:
        """The speed as it is stored."""
        return SpeedRecord(
            read_gbps=self.read_gbps,
            write_gbps=self.write_gbps,
            latency_ns=self.latency_ns,
            write_nt_gbps=self.write_nt_gbps,
            store_nt_ns=self.store_nt_ns,
            store_flush_ns=self.store_flush_ns,
            writers=self.writers,
        )

    @classmethod
    def from_record(cls, record: SpeedRecord) -> NodeSpeed:
        """Read back what `to_record` wrote.

        Raises
        ------
        EmulationError
            If a figure is missing that every model needs.
        """
        if record.read_gbps is None or record.write_gbps is None or record.latency_ns is None:
            raise EmulationError("the stored speed of an emulated node has no read, write or latency figure")
        return cls(
            record.read_gbps, record.write_gbps, record.latency_ns,
            record.write_nt_gbps, record.store_nt_ns, record.store_flush_ns, record.writers,
        )  # fmt: skip

    def scaled(self, scale: Mapping[Quantity, float]) -> NodeSpeed:
        """The speed with each figure multiplied by its factor; None where there is no factor."""
        figures: dict[str, Any] = {}
        for quantity, name in FIGURES.items():
            value = getattr(self, name)
            figures[name] = None if value is None or quantity not in scale else value * scale[quantity]
        return NodeSpeed(**figures, writers=self.writers)

    def writing_part(self, threads: int) -> float:
        """Part of the write bandwidth that is left when `threads` write."""
        if not self.writers:
            return 1.0
        before = self.writers[0]
        for point in self.writers:
            if threads <= point[0]:
                if point[0] == before[0]:
                    return point[1]
                along = (threads - before[0]) / (point[0] - before[0])
                return before[1] + along * (point[1] - before[1])
            before = point
        return before[1]

    def occupation_ns(self, operation: str, threads: int) -> float:
        """Time that a byte of payload of an operation occupies the node [ns].

        Raises
        ------
        EmulationError
            If the figure that it takes is not known.
        """
        kind = OPERATIONS[operation]
        name = FIGURES["write_nt" if kind.nontemporal else "write"]
        rate = getattr(self, name) if kind.stores else math.inf
        if rate is None:
            raise EmulationError(
                f"{operation} needs the figure {name}, which this emulation does not have",
                "add it to the profile, for dram and for slow, or measure a regular operation",
            )
        # 1 GB/s is 1 byte per ns.
        written = kind.stores / (rate * self.writing_part(threads))
        return (kind.loads / self.read_gbps + written) / kind.streams


@dataclass(frozen=True)
class Profile:
    """Published speeds of DRAM and of a slow memory (of some kind) on one and the same machine."""

    name: str
    title: str
    kind: str
    source: str
    dram: NodeSpeed
    slow: NodeSpeed

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
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise EmulationError(f"emulation profile {path} cannot be read: {error}") from error
        unknown = sorted(set(data) - {"title", "kind", "source", "dram", "slow"})
        if unknown:
            raise EmulationError(
                f"emulation profile {path}: {unknown[0]} is unknown",
                "a profile has title, kind, source, and the tables [dram] and [slow]",
            )
        for key in ("title", "kind", "source"):
            if not isinstance(data.get(key), str) or not data[key].strip():
                raise EmulationError(
                    f"emulation profile {path} has no text {key!r}",
                    "title names the memory, kind is nvm, cxl, dram or unknown, source says whose figures "
                    "they are",
                )
        dram, slow = (_node_speed(path, data, part) for part in ("dram", "slow"))
        for name_of in FIGURES.values():
            if (getattr(dram, name_of) is None) != (getattr(slow, name_of) is None):
                missing = "dram" if getattr(dram, name_of) is None else "slow"
                raise EmulationError(
                    f"emulation profile {path} has no number {missing}.{name_of}",
                    "both nodes are modelled: a figure is given for both or for neither",
                )
        title, kind, source = (data[key].strip() for key in ("title", "kind", "source"))
        return cls(path.stem, title, kind, source, dram, slow)

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


def _node_speed(path: Path, data: Mapping[str, Any], part: str) -> NodeSpeed:
    table = data.get(part)
    if not isinstance(table, dict):
        raise EmulationError(f"emulation profile {path} has no table [{part}]")
    known = {field.name for field in fields(NodeSpeed)}
    unknown = sorted(set(table) - known)
    if unknown:
        raise EmulationError(
            f"emulation profile {path}: {part}.{unknown[0]} is unknown",
            f"the figures are: {', '.join(sorted(known))}",
        )
    values: dict[str, Any] = {}
    for figure in FIGURES.values():
        if figure in table or figure in _NEEDED:
            values[figure] = _number(path, f"{part}.{figure}", table.get(figure), 1e-3, 1e6)
    return NodeSpeed(**values, writers=_writers(path, part, table.get("writers", {})))


def _number(path: Path, name: str, value: object, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise EmulationError(f"emulation profile {path}: {name} is missing or is not a number")
    if not least <= value <= most:
        raise EmulationError(
            f"emulation profile {path}: {name} = {value} is out of range",
            f"it must lie in {least:g}..{most:g}",
        )
    return float(value)


def _writers(path: Path, part: str, table: object) -> tuple[tuple[int, float], ...]:
    if not isinstance(table, dict):
        raise EmulationError(
            f"emulation profile {path}: {part}.writers is not a table",
            "give the part of the write bandwidth that is left for numbers of threads, such as 4 = 1.0",
        )
    curve = []
    for threads, value in table.items():
        if not threads.isascii() or not threads.isdigit() or not 1 <= int(threads) <= 100_000:
            raise EmulationError(
                f"emulation profile {path}: {part}.writers.{threads} is not a number of threads"
            )
        curve.append((int(threads), _number(path, f"{part}.writers.{threads}", value, 0.001, 1.0)))
    return tuple(sorted(curve))
