"""Topologies: which NUMA nodes the virtual machine has, read from small TOML files."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from hmexp.errors import UnitError
from hmexp.lab.errors import LabTopologyError
from hmexp.lab.guest_node import (
    ABSENT,
    BLOCK_BYTES,
    CXL,
    CXL_WINDOW_BYTES,
    DRAM,
    KINDS,
    MEMORYLESS,
    NVM,
    GuestNode,
    GuestTopology,
    Speed,
    exact_size,
)
from hmexp.units import MIB, parse_size

_NODE_FIELDS = ("id", "kind", "size", "cpus", "movable", "online", "speed", "initiator")
_SPEED_FIELDS = ("read_latency_ns", "write_latency_ns", "read_bandwidth_mibps", "write_bandwidth_mibps")


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
        distances=_distances(table.get("distances", []), sum(node.kind != CXL for node in nodes), source),
    )
    _check(topology, source)
    return topology


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
    if kind in (DRAM, NVM, CXL):
        try:
            size_bytes = parse_size(entry.get("size", ""))
        except UnitError as error:
            raise LabTopologyError(f"{where}: {error.message}", error.remedy) from error
        unit = {NVM: BLOCK_BYTES, CXL: CXL_WINDOW_BYTES}.get(kind, MIB)
        if size_bytes % unit:
            raise LabTopologyError(
                f"{where}: size {entry['size']} of a node of kind {kind} is not a multiple of "
                f"{exact_size(unit)}",
                f"use {exact_size((size_bytes // unit + 1) * unit)}",
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
        initiator=_field(entry, "initiator", int, None, where) if "initiator" in entry else None,
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
        if node.kind in (NVM, CXL) and node.cpus:
            kind = f"a{'n' if node.kind == NVM else ''} {node.kind}"
            raise LabTopologyError(f"{source}, node {node.id}: {kind} node cannot have CPUs", "remove cpus")
        if node.kind in (MEMORYLESS, ABSENT) and not node.cpus:
            # The firmware mentions a node without memory only through its CPUs.
            raise LabTopologyError(
                f"{source}, node {node.id}: a node of kind {node.kind} needs CPUs",
                "give cpus = 1",
            )
    _check_claims(topology, source)
    kinds = [node.kind for node in topology.nodes]
    if kinds.count(CXL) > 1 or (CXL in kinds and kinds[-1] != CXL):
        raise LabTopologyError(
            f"{source}: a cxl node is not the last one, or there are several",
            "give at most one cxl node, and put it last: the kernel gives it the next free number",
        )
    devices = [kind for kind in kinds if kind != CXL]
    if NVM in kinds and devices[devices.index(NVM) :] != [NVM] * devices.count(NVM):
        raise LabTopologyError(
            f"{source}: an nvm node precedes a node of another kind", "put the nvm nodes last"
        )


def _check_claims(topology: GuestTopology, source: str) -> None:
    """Refuse an HMAT that is not whole."""
    for node in topology.nodes:
        where = f"{source}, node {node.id}"
        if node.kind == CXL:
            if node.speed is not None or node.initiator is not None:
                raise LabTopologyError(
                    f"{where}: the HMAT does not describe a cxl node", "remove its speed and its initiator"
                )
            continue
        if topology.has_speeds and (node.speed is None or node.kind == ABSENT):
            raise LabTopologyError(
                f"{where}: this node has no speed, but others do",
                "give a speed to every node or to none",
            )
        if node.initiator is None:
            continue
        with_cpus = [other.id for other in topology.nodes if other.cpus and other.kind != ABSENT]
        if not topology.has_speeds or node.cpus or node.initiator not in with_cpus:
            raise LabTopologyError(
                f"{where}: initiator = {node.initiator} cannot be claimed",
                "give it to a node without CPUs, as the id of one with CPUs, where every node has a speed",
            )
