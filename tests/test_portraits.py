"""Objects show themselves: true to what they are, well formed, nothing loaded from anywhere."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

import hmexp
from hmexp.measure.measurement import Measurement
from hmexp.measure.samples_svg import draw_samples
from hmexp.memory.emulation import Emulation, EmulationRequest, NodeSpeed
from hmexp.pattern import Pattern
from hmexp.system.portrait import draw_nodes, show_nodes
from hmexp.system.topology import read_topology

NODE = read_topology().memory_nodes[0].id
HOST = NodeSpeed(8.0, 4.0, 150.0, 8.0, 300.0, 400.0)
EMULATION = Emulation.scale_to_host(EmulationRequest.parse("9=optane-dcpmm"), HOST, [NODE], NODE)
QUICK = hmexp.Sampling(3, 0.005)


def parsed(html: str) -> ElementTree.Element:
    """The page, if it can be shown offline and by any front end."""
    assert not re.search(r"https?:|src=|url\(|<script|<style|<link|@import", html)
    return ElementTree.fromstring(f"<page>{html}</page>")


def text_of(html: str) -> str:
    return " ".join("".join(f"{text} " for text in parsed(html).itertext()).split())


def rows_of(html: str) -> list[list[str]]:
    return [
        ["".join(cell.itertext()) for cell in row]
        for row in parsed(html).iter("tr")
        if row.find("td") is not None
    ]


def cells_of(html: str) -> list[list[str]]:
    """The coloured cells of each strip."""
    strips = []
    for node in parsed(html).iter("div"):
        cells = [n.text or "" for n in node.findall("span") if "min-width:0" in n.get("style", "")]
        strips += [cells] if cells else []
    return strips


def test_a_pattern_shows_one_period_and_its_ratio() -> None:
    html = Pattern.parse("0,2,2", "64KiB")._repr_html_()
    assert cells_of(html) == [["0", "2", "2"]]
    assert "node 0 : node 2 = 1 : 2" in text_of(html)
    assert "64KiB from each entry" in text_of(html) and "every 192KiB" in text_of(html)
    assert "all on node 7" in text_of(Pattern((7,))._repr_html_())


def test_a_pattern_of_a_million_entries_stays_small() -> None:
    assert len(Pattern((0, 2) * (1 << 19))._repr_html_()) < 20_000


def test_an_emulated_node_is_no_node_of_the_machine() -> None:
    records = read_topology().as_records()
    html = draw_nodes(show_nodes(records, EMULATION.to_record()), ["<script>"])
    assert "EMULATED optane-dcpmm" in text_of(html)
    assert f"{len(records)} NUMA node" in text_of(html) and "and 1 emulated" in text_of(html)
    assert rows_of(html)[len(records)][0] == "9"
    assert f"{EMULATION.speeds[9].read_gbps:.4g}" in rows_of(html)[len(records)]


def test_a_region_and_its_placement() -> None:
    with hmexp.allocate("3MiB", Pattern((NODE, 9, 9)), emulation=EMULATION) as region:
        shown = text_of(region._repr_html_())
        placement = region.placement()
    assert "EMULATED optane-dcpmm" in shown and f"{NODE},9,9" in shown and "3MiB, 768 pages" in shown
    assert "256 on node" in shown and "512 on node 9" in shown
    html = placement._repr_html_()
    assert "✓ proven" in text_of(html)
    assert [row[1:4] for row in rows_of(html)] == [["768", "768", "768"]]
    asked, found = cells_of(html)
    assert asked == ([str(NODE), "9", "9"] * 16) and found == [str(NODE)] * 48
    assert "line-through" not in html


def test_a_wrong_placement_cannot_be_overlooked() -> None:
    with hmexp.allocate("3MiB", Pattern((NODE,))) as region:
        right = region.placement()
    strip = list(right.strip[1])
    strip[5], strip[7] = NODE + 1, -1
    wrong = replace(
        right, found={NODE: 766, NODE + 1: 1}, misplaced=1, first_misplaced=5, absent={"ENOENT": 1},
        strip=(right.strip[0], tuple(strip)), placer_count={NODE: 768},
    )  # fmt: skip
    html = wrong._repr_html_()
    assert "✗ NOT as asked" in text_of(html) and "1 not there" in text_of(html)
    marked = [n.text for n in parsed(html).iter("span") if "line-through" in n.get("style", "")]
    assert marked == [str(NODE + 1), "?"]
    # The table has the node that nobody asked for, and what the placer believes.
    assert [row[1:5] for row in rows_of(html)] == [["768", "766", "768", "768"], ["0", "1", "0", "0"]]


def test_where_only_the_ratio_is_promised_order_is_no_fault() -> None:
    with hmexp.allocate("3MiB", Pattern((NODE,))) as region:
        right = region.placement()
    found = {NODE: 384, NODE + 1: 384}
    strips = ((NODE, NODE + 1) * 24, (NODE + 1, NODE) * 24)
    swapped = replace(
        right, expected=found, found=found, numa_maps=found, strip=strips, exact_order=False
    )  # fmt: skip
    html = swapped._repr_html_()
    assert "✓ proven" in text_of(html) and "Only the ratio is promised" in text_of(html)
    assert "line-through" not in html
    strict = replace(swapped, exact_order=True, misplaced=768, first_misplaced=0)._repr_html_()
    assert strict.count("line-through") == 48 and "Only the ratio" not in text_of(strict)


def test_a_measurement_shows_number_interval_samples_and_proof() -> None:
    with hmexp.allocate("4MiB", Pattern((NODE, 9)), emulation=EMULATION) as region:
        found = hmexp.measure_bandwidth(region, "read", sampling=QUICK)
    html = found._repr_html_()
    shown = text_of(html)
    assert f"{found.median:.4g} GB/s" in shown and "median of 3 samples" in shown
    assert "EMULATED optane-dcpmm" in shown and "all 1024 pages are in place" in shown
    assert "interval over samples" in shown
    joined = text_of(Measurement.join([found, found, found])._repr_html_())
    assert "interval over launches" in joined and "median of 9 samples" in joined
    assert len(list(parsed(html).iter("circle"))) == 3
    for warning in found.warnings:
        assert warning in shown
    with hmexp.allocate("4MiB", Pattern((NODE,))) as region:
        assert "EMULATED" not in hmexp.measure_latency(region, sampling=QUICK)._repr_html_()


def test_samples_are_drawn_where_they_are() -> None:
    root = parsed(draw_samples([1.0, 2.0, 3.0], 2.0, (1.5, 2.5), "GB/s", {1}))
    dots = [(float(n.get("cx", "")), float(n.get("cy", "")), n.get("fill")) for n in root.iter("circle")]
    across = [x for x, _, _ in dots]
    assert across[1] - across[0] == pytest.approx(across[2] - across[1], abs=0.2)
    assert [y for _, y, _ in dots] == sorted(y for _, y, _ in dots)
    assert [fill == "none" for _, _, fill in dots] == [False, True, False]
    assert [n.text for n in root.iter("text")] == ["1", "3", "GB/s"]


@pytest.mark.parametrize(
    "samples", [[5.0], [5.0] * 4, [5.0, 5.0 + 1e-12], [float(n) for n in range(1, 5001)]]
)
def test_any_samples_fit_in_the_picture(samples: list[float]) -> None:
    root = parsed(draw_samples(samples, samples[len(samples) // 2], (samples[0], samples[-1]), "ns"))
    places = [float(n.get("cx", "nan")) for n in root.iter("circle")]
    assert 0 < len(places) <= 300
    assert all(0 < x < 420 for x in places)


def test_a_point_shows_what_is_beside_it() -> None:
    found = hmexp.measure_point(Pattern((NODE, 9)), size="4MiB", emulate=EMULATION, sampling=QUICK)
    shown = text_of(found._repr_html_())
    assert "all DRAM" in shown and "model" in shown
    assert found.of_dram is not None and f"{found.of_dram:.1%} of it" in shown
