"""Nodes as they show themselves in a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from hmexp.markup import Fragment, badge, bar, card, chip, element, join, listing, muted, node_colours, table
from hmexp.system.sysfs import format_id_list
from hmexp.units import format_size

_SPEEDS: Final = {
    "read_gbps": "read GB/s",
    "write_gbps": "write GB/s",
    "read_latency_ns": "read ns",
    "write_latency_ns": "write ns",
}
_NEAREST: Final = 10


def draw_nodes(nodes: Sequence[Mapping[str, Any]], notes: Iterable[str] = ()) -> Fragment:
    """Draw the nodes of a machine: kinds, CPUs, memory, the firmware's speeds, distances.

    Parameters
    ----------
    nodes : sequence of mapping
        As `Topology.as_records` gives them, and as `run.json` holds them. ``emulated`` names the profile of
        a node that is not there, and ``backing`` the real node that holds its pages.
    notes : iterable of str
        What is odd about the machine.
    """
    largest = max((int(node.get("total_bytes") or 0) for node in nodes), default=0)
    speeds = [name for name in _SPEEDS if any(node.get(name) is not None for node in nodes)]
    heads = ["node", "kind", "CPUs", "memory", "", "free", *(_SPEEDS[name] for name in speeds)]
    rows = [_row(node, largest, speeds) for node in nodes]
    emulated = sum(bool(node.get("emulated")) for node in nodes)
    real = len(nodes) - emulated
    count = f"{real} NUMA node{'s'[: real != 1]}" + (f", and {emulated} emulated" if emulated else "")
    told = [muted("Memory bars: the frame is all of a node's memory, the filled part is free.")]
    if speeds:
        told.append(muted("GB/s and ns: by the firmware (HMAT), or the model where a node is emulated."))
    return card(
        element("b", count), table(heads, rows, left=(0, 1, 4)), *told, _distances(nodes), listing(notes)
    )


def with_emulated(nodes: Iterable[Mapping[str, Any]], emulation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Add emulated nodes, with the speeds of the model; so has the DRAM beside them.

    Parameters
    ----------
    nodes : iterable of mapping
        The real ones, for `draw_nodes`.
    emulation : mapping
        As `Emulation.to_record` gives it, and as `run.json` holds it.
    """
    profile = emulation.get("profile") or {}
    backing = {int(node): int(real) for node, real in (emulation.get("backing") or {}).items()}
    every: list[dict[str, Any]] = [dict(node) for node in nodes]
    for node, real in backing.items():
        kind = profile.get("kind", "unknown")
        named = profile.get("name", "unnamed profile")
        every.append({"id": node, "kind": kind, "emulated": named, "backing": real})
    for record in every:
        speed = (emulation.get("nodes") or {}).get(str(record["id"])) or {}
        model = {
            "read_gbps": speed.get("read_gbps"),
            "write_gbps": speed.get("write_gbps"),
            "read_latency_ns": speed.get("latency_ns"),
        }
        record |= {name: value for name, value in model.items() if value is not None}
    return every


def _row(node: Mapping[str, Any], largest: int, speeds: Sequence[str]) -> list[object]:
    number, total = int(node["id"]), int(node.get("total_bytes") or 0)
    free = int(node.get("free_bytes") or 0)
    cpus = [int(cpu) for cpu in node.get("cpus") or ()]
    kind: object = node.get("kind", "unknown")
    cells: list[object] = [chip(number)]
    if node.get("emulated"):
        label = badge(f"EMULATED {node['emulated']}", "caution")
        cells += [
            element("span", kind, " ", label, style="white-space:nowrap"),
            "none",
            f"on node {node.get('backing')}",
            "",
            "",
        ]
    else:
        colour, _ = node_colours(number)
        title = f"{format_size(free)} of {format_size(total)} is free"
        picture = bar(free / largest, of=total / largest, colour=colour, title=title) if total else ""
        cells += [
            kind,
            f"{len(cpus)} ({format_id_list(cpus)})" if cpus else "none",
            format_size(total) if total else "none",
            picture,
            format_size(free) if total else "",
        ]
    return [*cells, *("" if node.get(name) is None else f"{node[name]:.4g}" for name in speeds)]


def _distances(nodes: Sequence[Mapping[str, Any]]) -> Fragment:
    real = [node for node in nodes if node.get("distances")]
    if len(real) < 2:
        return Fragment()
    every = sorted({int(other) for node in real for other in node["distances"]})
    farthest = max(int(value) for node in real for value in node["distances"].values())

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

    rows = [
        [chip(int(node["id"])), *(cell(node["distances"].get(str(other))) for other in every)]
        for node in real
    ]
    head = element("div", "Distances (10 is the node itself), from the row's node to the column's:")
    return join([head, table(["from / to", *(chip(other) for other in every)], rows)])
