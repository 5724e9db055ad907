"""Topologies: which NUMA nodes the virtual machine has, read from small TOML files."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

from hmexp.errors import UnitError
from hmexp.lab.errors import LabTopologyError
from hmexp.units import GIB, MIB, format_size, parse_size

DRAM: Final = "dram"
NVM: Final = "nvm"
MEMORYLESS: Final = "memoryless"
ABSENT: Final = "absent"
KINDS: Final = (DRAM, NVM, MEMORYLESS, ABSENT)

BLOCK_BYTES: Final = 128 * MIB
"""Memory of an NVDIMM becomes ordinary memory in blocks of this size [bytes] on x86-64."""

_NODE_FIELDS = ("id", "kind", "size", "cpus", "movable", "online", "speed")
_SPEED_FIELDS = ("read_latency_ns", "write_latency_ns", "read_bandwidth_mibps", "write_bandwidth_mibps")


@dataclass(frozen=True)
class Speed:
    """A node's speeds in the firmware's HMAT: what the kernel reads, not how fast the node is.

    Parameters
    ----------
    read_latency_ns, write_latency_ns : int
        Latency [ns].
    read_bandwidth_mibps, write_bandwidth_mibps : int
        Bandwidth [MiB/s].
    """

    read_latency_ns: int
    write_latency_ns: int
    read_bandwidth_mibps: int
    write_bandwidth_mibps: int


@dataclass(frozen=True)
class GuestNode:
    """One NUMA node of the virtual machine.

    Parameters
    ----------
    id : int
        Number of the node.
    kind : str
        ``dram``; ``nvm`` (an NVDIMM, brought online as memory inside the guest); ``memoryless``
        (CPUs only); ``absent`` (possible but never online, which leaves a gap in the numbers).
    size_bytes : int
        Memory that the node offers [bytes]; 0 where there is none.
    cpus : int
        CPUs that belong to it.
    movable : bool
        An ``nvm`` node's memory goes to ZONE_MOVABLE, so that it can be taken offline again.
    online : bool
        Whether an ``nvm`` node is brought online before the command runs.
    speed : Speed or None
        Entry in the HMAT.
    """

    id: int
    kind: str
    size_bytes: int
    cpus: int
    movable: bool
    online: bool
    speed: Speed | None


@dataclass(frozen=True)
class GuestTopology:
    """The nodes of a virtual machine.

    Parameters
    ----------
    name : str
        Name of the file, without ``.toml``.
    title : str
        One line for a person.
    nodes : tuple of GuestNode
        In the order of their ids, which are 0, 1, 2, ...
    distances : tuple of tuple of int
        ``distances[i][j]`` as in ``numactl --hardware``; empty for the kernel's default.
    """

    name: str
    title: str
    nodes: tuple[GuestNode, ...]
    distances: tuple[tuple[int, ...], ...] = ()

    @property
    def cpus(self) -> int:
        """CPUs that run (those of an absent node never do)."""
        return sum(node.cpus for node in self.nodes if node.kind != ABSENT)

    @property
    def has_speeds(self) -> bool:
        """Whether an HMAT is made."""
        return any(node.speed is not None for node in self.nodes)

    def of_kind(self, kind: str) -> tuple[GuestNode, ...]:
        """Nodes of a kind, in order."""
        return tuple(node for node in self.nodes if node.kind == kind)

    @property
    def summary(self) -> str:
        """The nodes in a few words, such as ``0 dram 2GiB, 1 nvm 1152MiB``."""
        parts = []
        for node in self.nodes:
            size = f" {_exact(node.size_bytes)}" if node.size_bytes else ""
            parts.append(
                f"{node.id} {node.kind}{size}"
                + (" (left offline)" if node.kind == NVM and not node.online else "")
            )
        return ", ".join(parts)


def shipped_topologies() -> dict[str, GuestTopology]:
    """Read the topologies that come with hmexp, by name."""
    files = sorted(resources.files("hmexp.lab").joinpath("topologies").iterdir(), key=lambda file: file.name)
    return {
        file.name.removesuffix(".toml"): parse_topology(file.read_text(encoding="utf-8"), file.name)
        for file in files
        if file.name.endswith(".toml")
    }


def find_topology(request: str) -> GuestTopology:
    """Find a topology by the name of a shipped one, or by the path of a file."""
    if request.endswith(".toml") or "/" in request:
        try:
            text = Path(request).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise LabTopologyError(
                f"topology file {request} cannot be read: {error}", "check the path"
            ) from error
        return parse_topology(text, request)
    shipped = shipped_topologies()
    if request not in shipped:
        raise LabTopologyError(
            f"topology {request!r} does not exist",
            f"use one of {', '.join(shipped)}, or the path of a file of your own (ending in .toml)",
        )
    return shipped[request]


def parse_topology(text: str, source: str) -> GuestTopology:
    """Read a topology.

    Parameters
    ----------
    text : str
        TOML: ``title``, ``[[node]]`` tables, optionally ``distances``.
    source : str
        File name, for messages.

    Raises
    ------
    LabTopologyError
        With the file, the node and the field.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise LabTopologyError(
            f"{source} is not valid TOML: {error}", "see docs/how-to/lab.md for an example"
        ) from error
    _only_known(table, ("title", "node", "distances"), source)
    entries = table.get("node")
    if not isinstance(entries, list) or not entries:
        raise LabTopologyError(f"{source} has no [[node]] table", "write one [[node]] table for each node")
    nodes = tuple(_node(entry, f"{source}, node {index}") for index, entry in enumerate(entries))
    topology = GuestTopology(
        name=Path(source).name.removesuffix(".toml"),
        title=str(table.get("title", "")),
        nodes=nodes,
        distances=_distances(table.get("distances", []), len(nodes), source),
    )
    _check(topology, source)
    return topology


def _exact(size_bytes: int) -> str:
    return format_size(size_bytes) if size_bytes % GIB == 0 else f"{size_bytes // MIB}MiB"


def _only_known(table: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    unknown = [name for name in table if name not in known]
    if unknown:
        raise LabTopologyError(f"{where}: unknown field {unknown[0]!r}", f"known fields: {', '.join(known)}")


def _field(table: Mapping[str, Any], name: str, kind: type, default: Any, where: str) -> Any:
    value = table.get(name, default)
    # A bool is an int in Python, but not in TOML.
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        said = "is missing" if value is None else f"is {value!r}"
        raise LabTopologyError(f"{where}: field {name!r} {said}", f"give it a value of type {kind.__name__}")
    if isinstance(value, int) and value < 0:
        raise LabTopologyError(f"{where}: field {name!r} is {value}", "use 0 or more")
    return value


def _node(entry: Mapping[str, Any], where: str) -> GuestNode:
    _only_known(entry, _NODE_FIELDS, where)
    kind = _field(entry, "kind", str, None, where)
    if kind not in KINDS:
        raise LabTopologyError(f"{where}: kind {kind!r} is unknown", f"use one of {', '.join(KINDS)}")
    size_bytes = 0
    if kind in (DRAM, NVM):
        try:
            size_bytes = parse_size(entry.get("size", ""))
        except UnitError as error:
            raise LabTopologyError(f"{where}: {error.message}", error.remedy) from error
        unit = BLOCK_BYTES if kind == NVM else MIB
        if size_bytes % unit:
            raise LabTopologyError(
                f"{where}: size {entry['size']} of a node of kind {kind} is not a multiple of {_exact(unit)}",
                f"use {_exact((size_bytes // unit + 1) * unit)}",
            )
    elif "size" in entry:
        raise LabTopologyError(
            f"{where}: a node of kind {kind} has no memory, so it cannot have a size", "remove the size"
        )
    speed = None
    if "speed" in entry:
        _only_known(entry["speed"], _SPEED_FIELDS, f"{where}, speed")
        speed = Speed(
            **{name: _field(entry["speed"], name, int, None, f"{where}, speed") for name in _SPEED_FIELDS}
        )
    return GuestNode(
        id=_field(entry, "id", int, None, where),
        kind=kind,
        size_bytes=size_bytes,
        cpus=_field(entry, "cpus", int, 1 if kind in (MEMORYLESS, ABSENT) else 0, where),
        movable=_field(entry, "movable", bool, default=True, where=where),
        online=_field(entry, "online", bool, kind != ABSENT, where),
        speed=speed,
    )


def _distances(value: Any, count: int, source: str) -> tuple[tuple[int, ...], ...]:
    rows = (
        tuple(tuple(row) if isinstance(row, list) else () for row in value)
        if isinstance(value, list)
        else ((),)
    )
    good = all(
        len(row) == count and all(isinstance(one, int) and 10 <= one <= 254 for one in row) for row in rows
    )
    if rows and not (good and len(rows) == count and all(rows[index][index] == 10 for index in range(count))):
        raise LabTopologyError(
            f"{source}: distances is not a table of {count} rows of {count} valid numbers",
            "give one row per node, with numbers from 10 to 254, and 10 from a node to itself",
        )
    return rows


def _check(topology: GuestTopology, source: str) -> None:
    """Refuse what the virtual machine cannot be: QEMU's own messages do not name the file."""
    ids = [node.id for node in topology.nodes]
    if ids != list(range(len(ids))):
        raise LabTopologyError(
            f"{source}: the node ids are {ids}, not 0, 1, 2, ...",
            "number the nodes from 0 upwards; for a gap, use a node of kind 'absent'",
        )
    first = topology.nodes[0]
    if first.kind != DRAM or first.cpus < 1:
        raise LabTopologyError(
            f"{source}: node 0 must be DRAM with CPUs", "give it kind = 'dram' and cpus = 1 or more"
        )
    for node in topology.nodes:
        if node.kind == NVM and node.cpus:
            raise LabTopologyError(f"{source}, node {node.id}: an nvm node cannot have CPUs", "remove cpus")
        if node.kind in (MEMORYLESS, ABSENT) and not node.cpus:
            # The firmware mentions a node without memory only through its CPUs.
            raise LabTopologyError(
                f"{source}, node {node.id}: a node of kind {node.kind} needs CPUs",
                "give cpus = 1",
            )
        if topology.has_speeds and (node.speed is None or node.kind == ABSENT):
            raise LabTopologyError(
                f"{source}, node {node.id}: this node has no speed, but others do",
                "give a speed to every node or to none",
            )
    kinds = [node.kind for node in topology.nodes]
    if NVM in kinds and kinds[kinds.index(NVM) :] != [NVM] * kinds.count(NVM):
        raise LabTopologyError(
            f"{source}: an nvm node precedes a node of another kind", "put the nvm nodes last"
        )
