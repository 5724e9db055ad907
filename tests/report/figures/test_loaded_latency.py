"""Latency under load in the report, points that were added, and disturbed samples."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hmexp.report.figures.gallery import all_figures, svg_text
from hmexp.report.figures.loaded_latency import curves_of, knees
from hmexp.report.model.advice import advise
from hmexp.report.model.overview import overview


def loaded(synthetic: SimpleNamespace, pattern: str, knees_at: list[float | None]) -> dict[str, Any]:
    """A record with a curve for each launch; None is one that was not saturated."""
    record = synthetic.make_record(pattern, "latency")
    record["parameters"] |= {"operation": "loaded_read", "threads": 3}
    record["point_id"] += "l"
    curve = [
        {"delay_ns": delay, "load_gbps": load, "median": 100.0 + load**2}
        for delay, load in ((None, 0.0), (0, 9.0), (200, 4.0))
    ]
    launches = []
    for at in knees_at:
        latency = None if at is None else 200.0
        knee = {"saturated": at is not None, "load_gbps": at, "latency_ns": latency}
        knee |= {"highest_gbps": 9.0, "rise": 1.8}
        launches.append({"n": 5, "median": 1.0, "details": {"curve": curve, "knee": knee}})
    record["result"]["launches"] = launches
    return dict(record)


def test_curves_go_by_load_and_knees_are_told(synthetic: SimpleNamespace) -> None:
    records = [loaded(synthetic, "0,2", [4.0, 5.0, None]), loaded(synthetic, "2", [None])]
    results = synthetic.results(records, synthetic.make_run(2))
    hybrid, slow = results.points
    assert curves_of(hybrid)[0].load_gbps == (0.0, 4.0, 9.0)
    (said,) = knees([hybrid])
    assert "knee at 4.50 GB/s (launches: 4.00 to 5.00), where latency is 200 ns" in said
    assert "1 of 3 launches did not saturate it" in said
    (said,) = knees([slow])
    assert "not saturated: 9.00 GB/s was the most" in said
    assert said in advise(results).sentences
    figure = svg_text(all_figures(results)["loaded_latency"], "loaded_latency")
    assert "not saturated" in figure and "knee of a launch" in figure and "EMULATED" in figure


def test_a_knee_says_how_well_its_samples_know_it(synthetic: SimpleNamespace) -> None:
    one, two = loaded(synthetic, "2", [4.0]), loaded(synthetic, "0,2", [4.0, 5.0])
    for record, ends in ((one, [(3.5, 4.75)]), (two, [(3.5, 4.75), (4.5, 6.25)])):
        for launch, (low, high) in zip(record["result"]["launches"], ends, strict=True):
            launch["details"]["knee"] |= {"ci_low": low, "ci_high": high}
    results = synthetic.results([one, two], synthetic.make_run(2))
    said = "\n".join(knees(results.points))
    assert "knee at 4.00 GB/s (95 % interval over samples: 3.50 to 4.75), where" in said
    assert "(launches: 4.00 to 5.00; 95 % intervals over samples: 3.50 to 6.25), where" in said
    assert all_figures(results)["loaded_latency"].axes[0].collections


def test_an_added_point_is_a_line_to_compare_with_and_no_row(synthetic: SimpleNamespace) -> None:
    base = synthetic.make_record("0", "read") | {"added": True}
    hybrid = synthetic.make_record("0,2,2", "read")
    results = synthetic.results([base, hybrid], synthetic.make_run(2))
    view = overview(results)
    assert [pattern for _, pattern, _, _ in view.rows] == ["0,2,2"]
    cell = view.rows[0][3][0]
    assert cell is not None and "of DRAM" in cell.relation
    figure = svg_text(all_figures(results)["bandwidth_against_ratio"], "b")
    assert "all DRAM 1" in figure and "best measured" not in figure
    assert not any("Best measured" in sentence for sentence in advise(results).sentences)
    assert any("of all-DRAM read bandwidth" in sentence for sentence in advise(results).sentences)


def test_disturbed_samples_are_told_and_marked(synthetic: SimpleNamespace) -> None:
    record = synthetic.make_record("0,2", "read", samples=3)
    record["result"]["noise"] = {"flags": [["preempted"], [], ["preempted", "foreign"]]}
    results = synthetic.results([record], synthetic.make_run(1))
    assert any(
        "2 of 3 samples were disturbed (preempted 2, foreign 1)" in text for text in advise(results).cautions
    )
    assert "disturbed samples" in svg_text(all_figures(results)["bandwidth_against_ratio"], "b")
    quiet = synthetic.results([synthetic.make_record("0,2", "read")], synthetic.make_run(1))
    assert "disturbed" not in svg_text(all_figures(quiet)["bandwidth_against_ratio"], "b")
