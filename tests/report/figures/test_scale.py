"""Scales and labels: an outlier does not flatten a panel, and no label covers what is drawn."""

from __future__ import annotations

import copy
import itertools
from types import SimpleNamespace

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from hmexp.report.figures import gallery, style
from hmexp.report.figures.labels import PanelLabel, Place, place_labels
from hmexp.report.figures.scale import clip_limit


def test_only_a_few_values_far_away_are_clipped() -> None:
    values = [float(value) for value in range(10, 40)]
    assert clip_limit(values) is None
    assert clip_limit([*values, 4000.0]) == pytest.approx(39 * 1.15)
    assert clip_limit([*values, 4000.0, 5000.0]) == pytest.approx(39 * 1.15)
    # Half of them are no outliers, nor is what is three times as much.
    assert clip_limit([*values, *(value * 100 for value in values)]) is None
    assert clip_limit([*values, 120.0]) is None
    assert clip_limit([]) is None and clip_limit([5.0]) is None and clip_limit([-1.0, 0.0, 3.0]) is None


def test_a_label_takes_the_first_place_that_covers_nothing() -> None:
    axes = Figure(figsize=(4, 3)).subplots()
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 10)
    places = tuple(Place(x, 5, "left", "bottom") for x in (0, 40, 50, 95))
    # A point is in the first place, the first label in the second and partly in the third.
    labels = [PanelLabel("first", places), PanelLabel("second", (*places[1:3], Place(70, 5, "left", "top")))]
    place_labels(axes, labels, [(3.0, 5.2)], (3.0, 2.0))
    taken = {text.get_text(): text.xy[0] for text in axes.texts if isinstance(text, Annotation)}
    assert taken == {"first": 40, "second": 70}


def boxes_of(figure: Figure) -> list[tuple[str, tuple[float, float, float, float]]]:
    canvas = FigureCanvasAgg(figure)
    with style.styled():
        canvas.draw()
    renderer = canvas.get_renderer()
    found = []
    for axes in figure.axes:
        for text in axes.texts:
            if isinstance(text, Annotation):
                box = text.get_window_extent(renderer)
                found.append((text.get_text(), (box.x0, box.y0, box.x1, box.y1)))
    return found


def test_no_name_meets_another_and_all_are_within_the_figure(synthetic: SimpleNamespace) -> None:
    records = synthetic.sweep()
    # All slow as fast as all DRAM: both ends of the line are taken.
    for record in records:
        if record["parameters"]["pattern"] == "2":
            peer = next(
                r["result"] for r in records
                if r["parameters"]["pattern"] == "0"
                and r["parameters"]["operation"] == record["parameters"]["operation"]
            )  # fmt: skip
            record["result"] = copy.deepcopy(peer)
    results = synthetic.results(records, synthetic.make_run(15))
    figure = gallery.wanted_figures(results)["bandwidth_against_ratio"]()
    boxes = boxes_of(figure)
    assert sum(text.startswith("all DRAM") for text, _ in boxes) == 2
    width, height = figure.bbox.width, figure.bbox.height
    for text, (left, bottom, right, top) in boxes:
        assert left >= 0 and right <= width and bottom >= 0 and top <= height, text
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        assert a[0] >= b[2] or b[0] >= a[2] or a[1] >= b[3] or b[1] >= a[3], (one, other)


def test_an_outlier_is_clipped_and_said(synthetic: SimpleNamespace) -> None:
    records = synthetic.sweep()
    records[2]["result"]["samples"][0] *= 1000
    results = synthetic.results(records, synthetic.make_run(15))
    figure = gallery.wanted_figures(results)["bandwidth_against_ratio"]()
    panel = figure.axes[0]
    assert panel.get_ylim()[1] < 40
    assert panel.get_title(loc="right").endswith("GB/s") and "1 value beyond" in panel.get_title(loc="right")
    assert figure.axes[1].get_title(loc="right") == ""


def test_thousands_are_set_apart_and_a_long_label_is_whole(synthetic: SimpleNamespace) -> None:
    records = synthetic.sweep()
    for record in records:
        if record["parameters"]["operation"] == "latency":
            record["result"]["samples"] = [value * 100 for value in record["result"]["samples"]]
            for name in ("median", "ci_low", "ci_high"):
                record["result"][name] *= 100
    run = synthetic.make_run(15)
    run["emulation"]["profile"]["name"] = "a profile whose name is much longer than a figure is wide " * 3
    figure = gallery.wanted_figures(synthetic.results(records, run))["latency_against_ratio"]()
    svg = gallery.svg_text(figure, "x")
    assert ">80,000<" in svg
    canvas = FigureCanvasAgg(figure)
    with style.styled():
        canvas.draw()
    label = next(text for text in figure.texts if text.get_text().startswith("EMULATED"))
    patch = label.get_bbox_patch()
    assert patch is not None
    assert patch.get_window_extent(canvas.get_renderer()).x1 <= figure.bbox.width
