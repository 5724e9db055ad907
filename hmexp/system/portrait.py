"""Nodes as they show themselves in a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from hmexp.markup import Fragment, badge, bar, card, chip, element, join, listing, muted, node_colours, table
from hmexp.store.machine import EmulationRecord, NodeRecord, SpeedRecord
from hmexp.system.node import join_evidence
from hmexp.system.sysfs import format_id_list
from hmexp.units import format_size

_SPEEDS: Final = {
    "read_gbps": "read GB/s",
    "write_gbps": "write GB/s",
    "read_latency_ns": "read ns",
    "write_latency_ns": "write ns",
}
_NEAREST: Final = 10


@dataclass(frozen=True)
class ShownNode:
    """A node as it is shown: a real one, or an emulated one with the profile that it is modelled by.

    Parameters
    ----------
    record : NodeRecord
        The node; an emulated one has only its number, its kind, and the speeds of the model.
    emulated : str or None
        Name of the profile; None for a real node.
    backing : int or None
        Real node that holds the pages of an emulated one.
    """

    record: NodeRecord
    emulated: str | None = None
    backing: int | None = None


def show_nodes(nodes: Iterable[NodeRecord], emulation: EmulationRecord | None = None) -> list[ShownNode]:
    """Put emulated nodes beside the real ones, with the speeds of the model; so has the DRAM beside them.

    Parameters
    ----------
    nodes : iterable of NodeRecord
        The real ones.
    emulation : EmulationRecord, optional
        What is emulated on them.
    """
    every = [ShownNode(node) for node in nodes]
    if emulation is None:
        return every
    every += [
        ShownNode(NodeRecord(id=node, kind=emulation.profile.kind), emulation.profile.name, real)
        for node, real in emulation.backing.items()
    ]
    return [replace(one, record=_modelled(one.record, emulation.nodes.get(one.record.id))) for one in every]


def _modelled(node: NodeRecord, speed: SpeedRecord | None) -> NodeRecord:
    if speed is None:
        return node
    return msgspec.structs.replace(
        node,
        read_gbps=node.read_gbps if speed.read_gbps is None else speed.read_gbps,
        write_gbps=node.write_gbps if speed.write_gbps is None else speed.write_gbps,
        read_latency_ns=node.read_latency_ns if speed.latency_ns is None else speed.latency_ns,
    )


def draw_nodes(nodes: Sequence[ShownNode], notes: Iterable[str] = ()) -> Fragment:
    """Draw the nodes of a machine: kinds, CPUs, memory, the firmware's speeds, distances.

    Parameters
    ----------
    nodes : sequence of ShownNode
        As `show_nodes` gives them.
    notes : iterable of str
        What is odd about the machine.
    """
    largest = max((one.record.total_bytes or 0 for one in nodes), default=0)
    speeds = [name for name in _SPEEDS if any(getattr(one.record, name) is not None for one in nodes)]
    heads = ["node", "kind", "CPUs", "memory", "", "free", *(_SPEEDS[name] for name in speeds)]
    rows = [_row(one, largest, speeds) for one in nodes]
    emulated = sum(one.emulated is not None for one in nodes)
    real = len(nodes) - emulated
    count = f"{real} NUMA node{'s'[: real != 1]}" + (f", and {emulated} emulated" if emulated else "")
    key = [muted("Memory bars: the frame is the node's whole memory, the filled part is free.")]
    if speeds:
        key.append(
            muted(
                "GB/s and ns are the firmware's figures (HMAT), or those of the model for an emulated node."
            )
        )
    return card(
        element("b", count),
        table(heads, rows, left=(0, 1, 4)),
        *key,
        _distances(nodes),
        _evidence(nodes),
        listing(notes),
    )


def _row(one: ShownNode, largest: int, speeds: Sequence[str]) -> list[object]:
    node = one.record
    total, free = node.total_bytes or 0, node.free_bytes or 0
    cells: list[object] = [chip(node.id)]
    if one.emulated is not None:
        label = badge(f"EMULATED {one.emulated}", "caution")
        cells += [
            element("span", node.kind, " ", label, style="white-space:nowrap"),
            "none",
            f"on node {one.backing}",
            "",
            "",
        ]
    else:
        colour, _ = node_colours(node.id)
        title = f"{format_size(free)} of {format_size(total)} is free"
        picture = bar(free / largest, of=total / largest, colour=colour, title=title) if total else ""
        cells += [
            element("span", node.kind, title=" ".join(node.evidence)) if node.evidence else node.kind,
            f"{len(node.cpus)} ({format_id_list(node.cpus)})" if node.cpus else "none",
            format_size(total) if total else "none",
            picture,
            format_size(free) if total else "",
        ]
    figures = [getattr(node, name) for name in speeds]
    return [*cells, *("" if figure is None else f"{figure:.4g}" for figure in figures)]


def _evidence(nodes: Sequence[ShownNode]) -> Fragment:
    """Why each node is of its kind, folded away."""
    said = [
        f"Node {one.record.id} is {one.record.kind}: {join_evidence(one.record.evidence)}"
        for one in nodes
        if one.record.evidence
    ]
    if not said:
        return Fragment()
    return element("details", element("summary", "Why each node is of its kind"), listing(said))


def _distances(nodes: Sequence[ShownNode]) -> Fragment:
    real = [one.record for one in nodes if one.record.distances]
    if len(real) < 2:
        return Fragment()
    every = sorted({other for node in real for other in node.distances})
    farthest = max(value for node in real for value in node.distances.values())

    def cell(distance: int | None) -> object:
        if distance is None:
            return "–"
        # A tint that neither a light nor a dark page takes the contrast from.
        tint = 0.5 * (distance - _NEAREST) / max(farthest - _NEAREST, 1)
        return element(
            "span",
            distance,
            style=f"background:rgba(230,159,0,{min(max(tint, 0), 0.5):.2f});padding:0 .5em;border-radius:2px",
        )

    rows = [[chip(node.id), *(cell(node.distances.get(other)) for other in every)] for node in real]
    head = element("div", "Distances (10 is the node itself), from the row's node to the column's:")
    return join([head, table(["from / to", *(chip(other) for other in every)], rows)])
