"""One limit of this process, and the file that says so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hmexp.store.limits import AllowedNodesRecord, CpuQuotaRecord, MemoryLimitRecord
from hmexp.system.cgroups import anonymous
from hmexp.units import format_size

_RAISE_CGROUP: Final = "write to that file as root; docker run --memory; MemoryMax= of systemd"


@dataclass(frozen=True)
class AllowedNodes:
    """A list of nodes whose memory may be used, and where it is written.

    Parameters
    ----------
    nodes : tuple of int
        The nodes, ascending.
    path : Path
        The file that says so.
    value : str
        What it says, as it stands there.
    """

    nodes: tuple[int, ...]
    path: Path
    value: str

    def to_record(self) -> AllowedNodesRecord:
        """The list as it is stored."""
        return AllowedNodesRecord(file=anonymous(self.path), value=self.value, nodes=self.nodes)

    def describe(self, file: object) -> str:
        """What the file says, under a name of your choice."""
        return f"{file} says {self.value}"

    def __str__(self) -> str:
        return self.describe(self.path)


@dataclass(frozen=True)
class MemoryLimit:
    """A limit on memory, and what is used of it.

    Parameters
    ----------
    path : Path
        The file that says so.
    limit_bytes : int
        The limit [bytes].
    used_bytes : int
        What is used of it and would not be given back on demand [bytes].
    name : str
        Name of the limit in that file; empty if the file holds it alone.
    remedy : str
        How it is raised.
    """

    path: Path
    limit_bytes: int
    used_bytes: int = 0
    name: str = ""
    remedy: str = _RAISE_CGROUP

    @property
    def left_bytes(self) -> int:
        """What can still be taken [bytes]."""
        return max(0, self.limit_bytes - self.used_bytes)

    def to_record(self) -> MemoryLimitRecord:
        """The limit as it is stored."""
        return MemoryLimitRecord(
            file=anonymous(self.path),
            name=self.name,
            limit_bytes=self.limit_bytes,
            used_bytes=self.used_bytes,
        )

    def describe(self, file: object) -> str:
        """What the file says, under a name of your choice, and what is used and left."""
        name = f" {self.name}:" if self.name else ""
        return (
            f"{file} says{name} {self.limit_bytes} ({format_size(self.limit_bytes)}), of which "
            f"{format_size(self.used_bytes)} is used and {format_size(self.left_bytes)} is left"
        )

    def __str__(self) -> str:
        return self.describe(self.path)


@dataclass(frozen=True)
class CpuQuota:
    """A limit on CPU time.

    Parameters
    ----------
    path : Path
        The file that says so.
    cpus : float
        CPUs that can be busy all the time [CPUs].
    value : str
        What it says, as it stands there.
    """

    path: Path
    cpus: float
    value: str

    def to_record(self) -> CpuQuotaRecord:
        """The limit as it is stored."""
        return CpuQuotaRecord(file=anonymous(self.path), value=self.value, cpus=self.cpus)

    def describe(self, file: object) -> str:
        """What the file says, under a name of your choice."""
        return f"{file} says {self.value}"

    def __str__(self) -> str:
        return self.describe(self.path)
