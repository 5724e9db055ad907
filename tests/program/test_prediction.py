"""A slowdown from a few shares: exact where it has the form, checked by one that was left out."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hmexp.errors import MeasurementError, ParameterError
from hmexp.program.predict import PredictParameters, describe_command, make_prediction
from hmexp.program.slowdown import MeasuredTime, SlowdownCurve
from hmexp.report.study.first.program import program_page
from hmexp.report.study.prediction import POOR, predict_slowdown, prediction_frame, say_prediction
from hmexp.report.study.program import readings_of
from hmexp.report.study.program_verdict import verdicts
from hmexp.report.study.results import StudyResults
from hmexp.store.machine import NodeRecord
from hmexp.store.program_points import MetricValues, ProgramLaunch, ProgramPoint, ProgramResult
from hmexp.store.program_records import PlacementSample, ProgramRun
from hmexp.store.records import PointRecord, RunRecord
from hmexp.system.topology import read_topology

PATTERNS = {"0": 0.0, "0,0,0,2": 0.25, "0,2": 0.5, "0,2,2": 2 / 3, "2": 1.0}
numbers = st.floats(-0.5, 2.0)


def point(pattern: str, seconds: float, *, spread: float = 0.01, better: str = "lower") -> PointRecord:
    """A point as the engine stores it, of a program that takes so long."""
    value = seconds if better == "lower" else 1 / seconds
    samples = tuple(value * factor for factor in (1 - spread, 1.0, 1 + spread))
    metric = MetricValues(
        name="elapsed", unit="s", better=better, samples=samples, median=value,  # type: ignore[arg-type]
        ci_low=value * (1 - 4 * spread), ci_high=value * (1 + 4 * spread),
    )  # fmt: skip
    parameters = ProgramPoint(
        workload="mine", pattern=pattern, granule_bytes=4096, way="follow",
        definition=describe_command(["mine"]).record,
    )  # fmt: skip
    run = ProgramRun(command=("mine",), way="follow", pid=1, started="", elapsed_seconds=1.0)
    pages = PlacementSample(seconds=1.0, in_place=100, anonymous_by_node={0: 50, 2: 50})
    launch = ProgramLaunch(phases={}, after=pages, run=run)
    return PointRecord(
        point_id=pattern, status="ok", parameters=parameters, baseline_id=None if pattern == "0" else "0",
        result=ProgramResult(metrics=(metric,), launches=(launch,) * 3),
    )  # fmt: skip


def study(records: list[PointRecord], name: str = "predict", **more: Any) -> StudyResults:
    nodes = (NodeRecord(id=0, kind="dram"), NodeRecord(id=2, kind="cxl"))
    given = {"check": "0,2,2", **more.pop("parameters", {})}
    run = RunRecord(
        name="r",
        plan="p",
        study=name,
        dram_nodes=(0,),
        slow_nodes=(2,),
        nodes=nodes,
        parameters=given,
        **more,
    )
    return StudyResults(run, tuple(records))


@given(numbers, numbers, numbers, st.floats(0.5, 1e4))
def test_a_cubic_is_found_at_every_share(a: float, b: float, c: float, alone: float) -> None:
    def slowdown(x: float) -> float:
        return 1 + a * x + b * x**2 + c * x**3

    shares = (0.25, 0.5, 1.0)
    if min(map(slowdown, shares)) <= 0.01:
        return
    curve = SlowdownCurve(
        MeasuredTime(0.0, alone, 0.0), [MeasuredTime(x, alone * slowdown(x), 0.0) for x in shares]
    )
    for x in (0.0, 0.1, 1 / 3, 2 / 3, 0.9, 1.0):
        found = curve.at(x)
        assert found.factor == pytest.approx(slowdown(x), abs=1e-9)
        assert found.low == pytest.approx(found.high)


@given(st.lists(st.floats(0.001, 0.5), min_size=4, max_size=4))
@settings(max_examples=settings().max_examples // 3, deadline=None)
def test_the_interval_is_that_of_what_was_measured_and_none_where_nothing_can_differ(
    reach: list[float],
) -> None:
    shares = (0.25, 0.5, 1.0)
    curve = SlowdownCurve(
        MeasuredTime(0.0, 2.0, reach[0]),
        [MeasuredTime(x, 2.0 + x, each) for x, each in zip(shares, reach[1:], strict=True)],
    )
    assert curve.at(0.0).low == curve.at(0.0).high == 1.0
    for share, own in zip(shares, reach[1:], strict=True):
        found = curve.at(share)
        # At a share that was measured: its own uncertainty, and that of what it is a multiple of.
        assert (found.high - found.low) / 2 == pytest.approx(found.factor * math.hypot(own, reach[0]))


def test_what_cannot_be_fitted_is_refused() -> None:
    alone = MeasuredTime(0.0, 1.0, 0.0)
    for shares in ((), (0.0,), (0.5, 0.5)):
        with pytest.raises(MeasurementError, match="each another"):
            SlowdownCurve(alone, [MeasuredTime(x, 1.0, 0.0) for x in shares])


@pytest.mark.parametrize("better", ["lower", "higher"])
def test_a_good_prediction_says_its_error(better: str) -> None:
    def slowdown(x: float) -> float:
        return 1 + 0.4 * x + 0.3 * x**2

    found = study([point(p, 5 * slowdown(x), better=better) for p, x in PATTERNS.items()])
    predicted = predict_slowdown(found)
    assert predicted.check is not None and predicted.check.pattern == "0,2,2"
    assert predicted.check.error == pytest.approx(0, abs=1e-9) and not predicted.check.is_poor
    assert len(predicted.measured) == 3
    text = " ".join(say_prediction(found))
    assert "was left out to check" in text and "+0.0%; the intervals of both overlap" in text
    frame = prediction_frame(found)
    assert frame.loc[(0.5, "measured"), "slowdown"] == pytest.approx(slowdown(0.5))
    assert len(frame) == 21 + 3 + 2


def test_a_poor_prediction_says_so_first() -> None:
    # A cliff between a half and two thirds: no cubic through the others sees it.
    times = {"0": 1.0, "0,0,0,2": 1.0, "0,2": 1.0, "0,2,2": 3.0, "2": 3.0}
    found = study([point(pattern, seconds) for pattern, seconds in times.items()])
    predicted = predict_slowdown(found)
    assert predicted.check is not None and predicted.check.error < -POOR
    assert say_prediction(found)[0].startswith("The prediction is poor")


def test_no_prediction_without_what_it_needs() -> None:
    assert say_prediction(study([]))[0].startswith("No prediction: no point was measured")
    assert "on DRAM alone was not measured" in say_prediction(study([point("2", 2.0)]))[0]
    assert len(prediction_frame(study([]))) == 0
    two = say_prediction(study([point("0", 1.0), point("0,2", 1.2), point("2", 1.5)]))
    assert "not checked" in two[0] and "degree 2" in two[-1]


def test_a_command_with_braces_is_taken_as_it_is() -> None:
    record = describe_command(["/bin/awk", "{print}"]).record
    assert record.program.command == ("/bin/awk", "{{print}}") and record.title == "/bin/awk '{print}'"


def test_a_machine_with_one_node_has_nothing_to_predict() -> None:
    topology = read_topology()
    if len(topology.usable_nodes) > 1:
        pytest.skip("this machine has several nodes")
    with pytest.raises(ParameterError, match="is the only memory: there is no slowdown to predict"):
        make_prediction(PredictParameters(), topology, ["true"])


def test_each_ratio_is_judged_by_its_interval() -> None:
    times = {"0": 1.0, "0,0,0,2": 1.02, "0,2": 1.11, "2": 2.0}
    found = study([point(pattern, seconds) for pattern, seconds in times.items()], "program")
    said = verdicts(found)
    assert "3:1 by follow" in said[0] and "keeps at least 90%" in said[0]
    assert "1:1 by follow" in said[1] and "is open" in said[1]
    assert "0:1 by follow" in said[2] and "does not keep 90%" in said[2]
    assert said[3].startswith("With 75% of its memory on DRAM (3:1 by follow)")
    first = program_page(found, "a test")
    assert first.css == "good" and first.verdict == "Yes: set 3:1 by follow." and first.why == said[3]
    speeds = [reading.speed for reading in readings_of(found)]
    assert [None if s is None else round(s.median, 3) for s in speeds] == [1.0, 0.98, 0.901, 0.5]


def test_nothing_is_judged_where_times_mean_nothing_or_all_is_dram() -> None:
    records = [point("0", 1.0), point("2", 2.0)]
    assert "times mean nothing" in verdicts(study(records, "program", timing_valid=False))[0]
    no_slow = StudyResults(RunRecord(name="r", plan="p", study="program", dram_nodes=(0, 2)), tuple(records))
    assert verdicts(no_slow) == [verdicts(no_slow)[0]] and "No verdict" in verdicts(no_slow)[0]
    assert "was not measured" in verdicts(study(records[1:], "program"))[0]
    unknown = program_page(study(records, "program", timing_valid=False), "a test")
    assert unknown.css == "warn" and unknown.verdict == "Cannot say." and unknown.trust[0].level == "bad"
    assert program_page(study(records, "program"), "a test").verdict.startswith(
        "No: keep this program on DRAM"
    )
    unsure = study([point("0", 1.0), point("2", 1.11)], "program")
    assert "spans 90%" in program_page(unsure, "a test").why
