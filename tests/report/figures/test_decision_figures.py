"""The figures that a run has, and those missing: what a node can do, mixes, threads, distributions."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.text import Text

from hmexp.report.figures import gallery as figures
from hmexp.report.figures import pareto
from hmexp.report.figures.capability import capabilities
from hmexp.report.figures.captions import ABSENT, TITLES, absent_figures
from hmexp.report.figures.heat_map import shares_of_dram
from hmexp.report.figures.thread_curves import thread_counts
from hmexp.report.model.cost import markets
from hmexp.report.model.prices import Prices
from hmexp.report.page.html import write_report
from hmexp.store.validity import FUNCTIONAL_ONLY

NEW = ("node_capability", "ratio_by_mix", "bandwidth_against_threads", "latency_distribution")


def _run(synthetic: SimpleNamespace, **more: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Reads, writes and a mix with one thread and with two, and latency."""
    records = [
        synthetic.make_record(p, op, threads=t)
        for op in ("read", "write") for t in (1, 2) for p in synthetic.PATTERNS
    ]  # fmt: skip
    records += [synthetic.make_record(p, "latency") for p in synthetic.PATTERNS]
    for record in [synthetic.make_record(p, "read", samples=9) for p in synthetic.PATTERNS]:
        record["parameters"] |= {"operation": "mix_3_1", "samples": 10}
        records.append(record | {"point_id": f"m{record['point_id']}", "model": None})
    return records, synthetic.make_run(len(records), **more)


def test_a_node_is_what_was_measured_of_it_alone(synthetic: SimpleNamespace) -> None:
    records, run = _run(synthetic)
    fast, slow = capabilities(synthetic.results(records, run))
    assert (fast.node, slow.node) == (0, 2)
    assert slow.kind.endswith("emulated on 0")
    for node, pattern in ((fast, "0"), (slow, "2")):
        assert node.read is not None and node.latency is not None
        same = [r for r in records if r["parameters"]["pattern"] == pattern]
        read = [r["result"]["median"] for r in same if r["parameters"]["operation"] == "read"]
        assert node.read.value.median == max(read)
        assert dict(node.read.series)["threads"] == 2
        assert node.cells()[4] == "2"
    only_mixed = synthetic.results([synthetic.make_record("0,2", "read")], synthetic.make_run(1))
    assert capabilities(only_mixed) == []


def test_a_cell_of_the_map_is_a_part_of_its_own_all_dram(synthetic: SimpleNamespace) -> None:
    records, run = _run(synthetic)
    every = shares_of_dram(synthetic.results(records, run))
    assert len(every) == 2  # one thread, and two
    by = {
        (r["parameters"]["operation"], r["parameters"]["threads"], r["parameters"]["pattern"]): r
        for r in records
    }
    for series, cells in every.items():
        threads = dict(series)["threads"]
        for (pattern, operation), estimate in cells.items():
            own, base = by[operation, threads, pattern], by[operation, threads, "0"]
            assert estimate.median == pytest.approx(own["result"]["median"] / base["result"]["median"])
            assert estimate.low <= estimate.median <= estimate.high
    lone = [record for record in records if record["parameters"]["pattern"] != "0"]
    assert shares_of_dram(synthetic.results(lone, run)) == {}


def test_every_point_is_in_the_figure_of_threads(synthetic: SimpleNamespace) -> None:
    records, run = _run(synthetic)
    results = synthetic.results(records, run)
    assert thread_counts(results) == (1, 2)
    figure = figures.bandwidth_against_threads(results)
    drawn = sorted(
        float(y) for axes in figure.axes for bars in axes.containers for y in bars.lines[0].get_ydata()
    )
    expected = [r["result"]["median"] for r in records if r["parameters"]["operation"] != "latency"]
    assert drawn == pytest.approx(sorted(expected))
    looks = {
        (bars.lines[0].get_marker(), bars.lines[0].get_linestyle())
        for axes in figure.axes for bars in axes.containers
    }  # fmt: skip
    assert len({marker for marker, _ in looks}) == len(synthetic.PATTERNS)  # told apart without colour


def test_the_distribution_has_every_sample(synthetic: SimpleNamespace) -> None:
    records, run = _run(synthetic)
    figure = figures.latency_distribution(synthetic.results(records, run))
    lines = {tuple(line.get_xdata()[1:]): line.get_ydata() for axes in figure.axes for line in axes.lines}
    for record in records[20:25]:
        assert lines[tuple(sorted(record["result"]["samples"]))][-1] == 100


def test_they_say_what_is_emulated_and_what_is_functional_only(synthetic: SimpleNamespace) -> None:
    records, run = _run(synthetic, timing_valid=False)
    drawn = figures.all_figures(synthetic.results(records, run))
    assert set(NEW) <= set(drawn)
    for stem in NEW:
        svg = figures.svg_text(drawn[stem], stem)
        assert "EMULATED node 2" in svg and FUNCTIONAL_ONLY in svg


def test_a_report_says_which_figures_are_missing_and_what_would_make_them(
    synthetic: SimpleNamespace, write_run: Any
) -> None:
    folder: Path = write_run(*_run(synthetic))
    page = write_report(folder).read_text()
    drawn = {path.stem for path in (folder / "figures").glob("*.svg")}
    assert {path.stem for path in (folder / "figures").glob("*.png")} == drawn
    said = absent_figures(drawn)
    assert len(said) == len(ABSENT) - len(drawn) == 5
    for part in ("loaded_read", "make granularity", "make placers", "--price-dram"):
        assert part in page
    assert "1, 2, 4" not in page  # several numbers of threads were measured
    assert set(TITLES) <= set(ABSENT)


def test_every_figure_fits_a_sheet_with_text_of_eight_points(synthetic: SimpleNamespace) -> None:
    results = synthetic.results(*_run(synthetic))
    prices = Prices(8.0, 3.0, "EUR")
    drawn = figures.all_figures(results)
    drawn["cost"] = pareto.cost_performance(results, markets(results, prices), prices)
    for stem, figure in drawn.items():
        width, height = figure.get_size_inches()
        # A4 and Letter on their side, less margins of 11 mm; the page gives a figure 165 mm.
        assert width <= 10.1 and height <= 6.5, f"{stem}: {width:.1f} x {height:.1f} inches"
        sizes = {text.get_fontsize() for text in figure.findobj(Text) if text.get_text().strip()}
        assert min(sizes) >= 8, f"{stem}: {sorted(sizes)}"


def test_a_figure_of_four_rows_has_a_sheet_that_stands(synthetic: SimpleNamespace) -> None:
    records = [
        synthetic.make_record(pattern, "read", threads=threads, granule_bytes=granule, placer=placer)
        for pattern in ("0", "0,2", "2")
        for threads in (1, 2)
        for granule in (4096, 65536)
        for placer in ("first_touch", "mbind")
    ]
    results = synthetic.results(records, synthetic.make_run(len(records)))
    figure = figures.all_figures(results)["bandwidth_against_ratio"]
    width, height = figure.get_size_inches()
    assert len(figure.axes) == 4
    # Letter and A4 that stand, less margins of 11 mm and the caption.
    assert width <= 7.4 and 6.5 < height <= 9.4
    assert 'class="tall"' in figures.inline_svg(figures.svg_text(figure, "stem"), "stem", "said")


def test_strips_of_an_emulated_node_look_alike_where_all_is_well(synthetic: SimpleNamespace) -> None:
    results = synthetic.results(synthetic.sweep(), synthetic.make_run(15))
    [axes] = figures.all_figures(results)["placement_strips"].axes
    rows = [np.asarray(image.get_array()) for image in axes.images]
    pairs = list(zip(rows[::2], rows[1::2], strict=True))
    assert len(pairs) >= 5 and all((asked == found).all() for asked, found in pairs)
