"""A machine shows every node, its memory, its distances and the firmware's figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from hmexp.system.topology import read_topology

MACHINES = (
    "one-node", "late-memory", "two-sockets", "optane", "cxl", "cxl-pmem", "sparse", "memory-less",
    "cpu-less", "hmem", "hmat",
)  # fmt: skip


def test_every_captured_machine_is_shown(captures: Any) -> None:
    assert set(MACHINES) == set(captures.MACHINES)


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_shows_every_node(name: str, capture: Callable[[Any], tuple[Path, Path]]) -> None:
    topology = read_topology(*capture(name))
    page = ElementTree.fromstring(topology._repr_html_())
    text = " ".join("".join(f"{part} " for part in page.itertext()).split())
    rows = [
        ["".join(cell.itertext()) for cell in row] for row in page.iter("tr") if row.find("td") is not None
    ]
    nodes = topology.nodes
    assert [row[0] for row in rows[: len(nodes)]] == [str(node.id) for node in nodes]
    for row, node in zip(rows, nodes, strict=False):
        assert row[1] == str(node.kind)
        assert row[2].startswith(f"{len(node.cpus)} (" if node.cpus else "none")
        assert (row[3] == "none") == (not node.has_memory)
        if node.read_gbps is not None:
            assert f"{node.read_gbps:.4g}" in row
    matrix = [] if len(nodes) == 1 else nodes
    assert rows[len(nodes) :] == [
        [str(node.id), *(str(distance) for _, distance in sorted(node.distances.items()))] for node in matrix
    ]
    for note in topology.notes:
        assert " ".join(note.split()) in text


def test_memory_bars_are_in_proportion(capture: Callable[[Any], tuple[Path, Path]]) -> None:
    topology = read_topology(*capture("optane"))
    page = ElementTree.fromstring(topology._repr_html_())
    frames = [node.get("style", "") for node in page.iter("div") if node.get("title")]
    widths = [float(style.split("width:")[1].split("em")[0]) for style in frames]
    sizes = [node.total_bytes for node in topology.nodes]
    assert [round(width / max(widths), 2) for width in widths] == [
        round(size / max(sizes), 2) for size in sizes
    ]
