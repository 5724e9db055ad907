"""The figures: labels, what is drawn and what is not, and files that are the same every time."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib as mpl
import pytest

from hmexp.report.figures import gallery as figures
from hmexp.report.figures.strips import strips_of
from hmexp.report.model.predictions import curve, predict
from hmexp.store.validity import FUNCTIONAL_ONLY

EMULATED = "EMULATED node 2: optane-dcpmm scaled to this host"
STEMS = [
    "node_capability", "bandwidth_against_ratio", "ratio_by_mix", "latency_against_ratio",
    "latency_distribution", "model_error", "placement_strips",
]  # fmt: skip


@pytest.fixture(scope="module")
def emulated_svgs(synthetic: SimpleNamespace) -> dict[str, str]:
    """The figures of the synthetic run, which take seconds to draw."""
    return _svgs(synthetic, synthetic.sweep(), synthetic.make_run(15))


def _svgs(synthetic: SimpleNamespace, records: list[dict[str, Any]], run: dict[str, Any]) -> dict[str, str]:
    drawn = figures.all_figures(synthetic.results(records, run))
    return {stem: figures.svg_text(figure, stem) for stem, figure in drawn.items()}


def test_every_figure_of_an_emulated_run_says_so(emulated_svgs: dict[str, str]) -> None:
    assert list(emulated_svgs) == STEMS
    for stem, svg in emulated_svgs.items():
        assert EMULATED in svg, stem
        assert FUNCTIONAL_ONLY not in svg, stem


def test_every_figure_of_a_functional_run_says_so(synthetic: SimpleNamespace) -> None:
    for stem, svg in _svgs(synthetic, synthetic.sweep(), synthetic.make_run(15, timing_valid=False)).items():
        assert FUNCTIONAL_ONLY in svg, stem


def test_a_run_on_real_nodes_says_neither(synthetic: SimpleNamespace) -> None:
    svgs = _svgs(synthetic, synthetic.sweep(emulated=False), synthetic.make_run(15, emulated=False))
    assert list(svgs) == STEMS
    for svg in svgs.values():
        assert "EMULATED" not in svg
        assert FUNCTIONAL_ONLY not in svg
    assert "model from measured endpoints" in svgs["bandwidth_against_ratio"]


def test_emulated_curve_is_the_profiles_own(
    synthetic: SimpleNamespace, emulated_svgs: dict[str, str]
) -> None:
    results = synthetic.results(synthetic.sweep(), synthetic.make_run(15))
    found = curve(results.select("read"), results, predict(results))
    assert found is not None
    assert found.source == "profile"
    assert found.best == pytest.approx(16 / 22)
    assert float(found.values.max()) == pytest.approx(22.0)
    assert "profile's own curve" in emulated_svgs["latency_against_ratio"]


def test_a_curve_that_contradicts_the_records_is_not_drawn(synthetic: SimpleNamespace) -> None:
    records = synthetic.sweep()
    for record in records:
        record["model"]["value"] *= 0.8
    results = synthetic.results(records, synthetic.make_run(15))
    found = curve(results.select("read"), results, predict(results))
    assert found is not None
    assert found.joined
    assert found.best is None
    assert sorted(found.values) == sorted(r["model"]["value"] for r in records[:5])


def test_failed_points_are_listed_not_drawn(synthetic: SimpleNamespace) -> None:
    records = synthetic.sweep(emulated=False)
    records[1] = synthetic.fail(records[1], "costs $5 and <b>more</b> & $6")
    results = synthetic.results(records, synthetic.make_run(15, emulated=False))
    svg = figures.svg_text(figures.bandwidth_against_ratio(results), "x")
    assert "Not drawn: 0,0,0,2 read, failed: costs $5 and &lt;b&gt;more&lt;/b&gt; &amp; $6" in svg
    assert "best measured: 1:0" in svg


@pytest.mark.parametrize("records", [0, 1])
def test_nothing_or_one_point_can_be_drawn(synthetic: SimpleNamespace, records: int) -> None:
    few = [synthetic.make_record("0,2,2", "read", emulated=False)][:records]
    results = synthetic.results(few, synthetic.make_run(records, emulated=False))
    draws = (figures.bandwidth_against_ratio, figures.latency_against_ratio, figures.model_error)
    for draw in (*draws, figures.placement_strips):
        assert figures.svg_text(draw(results), "x").startswith("<?xml")
    assert "No latency point was measured." in figures.svg_text(figures.latency_against_ratio(results), "x")


def test_every_point_is_drawn_and_none_averaged(synthetic: SimpleNamespace) -> None:
    records = [
        synthetic.make_record(p, "read", threads=t, placer=placer, granule_bytes=granule, samples=3)
        for p in synthetic.PATTERNS for t in (1, 2) for placer in ("first_touch", "move_pages")
        for granule in (4096, 2 << 20)
    ]  # fmt: skip
    figure = figures.bandwidth_against_ratio(synthetic.results(records, synthetic.make_run(len(records))))
    medians = {
        float(line.get_ydata()[0])
        for axes in figure.axes for line in axes.lines if line.get_marker() in ("o", "s")
    }  # fmt: skip
    assert medians == {record["result"]["median"] for record in records}
    dots = [
        y for axes in figure.axes for line in axes.lines if line.get_marker() == "." for y in line.get_ydata()
    ]
    assert len(dots) == 3 * len(records)
    assert len([axes for axes in figure.axes if axes.lines]) == 4


def test_strips_keep_what_differs_and_merge_what_is_the_same(synthetic: SimpleNamespace) -> None:
    records = synthetic.sweep(("0", "0,2"), emulated=False)
    records[1] = synthetic.fail(synthetic.make_record("0,2", "read", emulated=False, misplaced=40))
    strips = strips_of(synthetic.results(records, synthetic.make_run(6, emulated=False)))
    assert [(strip.pattern, strip.ok, strip.who) for strip in strips] == [
        ("0,2", False, "read"), ("0", True, "read, write, latency"), ("0,2", True, "write, latency")
    ]  # fmt: skip
    assert "40 misplaced" in strips[0].verdict


def test_files_are_the_same_every_time(synthetic: SimpleNamespace, tmp_path: Path) -> None:
    results = synthetic.results(synthetic.sweep(), synthetic.make_run(15))
    first = figures.save(figures.bandwidth_against_ratio(results), tmp_path / "a", "same")
    second = figures.save(figures.bandwidth_against_ratio(results), tmp_path / "b", "same")
    assert [path.name for path in first] == ["same.svg", "same.png"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_a_readers_own_style_neither_matters_nor_changes(synthetic: SimpleNamespace) -> None:
    results = synthetic.results(synthetic.sweep(), synthetic.make_run(15))
    plain = figures.svg_text(figures.model_error(results), "x")
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        assert figures.svg_text(figures.model_error(results), "x") == plain
        assert mpl.rcParams["font.size"] == 30


def test_inlined_figures_share_no_id(emulated_svgs: dict[str, str]) -> None:
    page = "".join(figures.inline_svg(svg, stem, 'says "<this>"') for stem, svg in emulated_svgs.items())
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', page))
    assert used
    assert used <= set(ids)
    assert "<!DOCTYPE" not in page
