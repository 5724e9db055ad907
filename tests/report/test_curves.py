"""Families of curves: points, kind, reading, knees, best patterns, and Mess's format."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hmexp.errors import ParameterError
from hmexp.measure.mix import Mix
from hmexp.memory.emulation import Emulation, EmulationRequest
from hmexp.memory.profile import Profile
from hmexp.memory.speed import NodeSpeed
from hmexp.native import Load, replay_latency
from hmexp.pattern import Pattern
from hmexp.report.study.curves import (
    DrawnCurve,
    DrawnFamily,
    best_patterns,
    curve_records,
    families_of,
    say_position,
)
from hmexp.report.study.curves_figures import draw_file
from hmexp.report.study.mess import COLUMNS, read_mess, write_mess
from hmexp.report.study.results import StudyResults
from hmexp.store.curves import LoadedRate
from hmexp.store.details import LoadedDetails
from hmexp.store.parameters import CurvePoint
from hmexp.store.records import PointRecord, RunRecord
from hmexp.store.results import LaunchSummary, Measured
from hmexp.study.curves import CurveParameters, make_curves
from hmexp.system.topology import read_topology

ABLE = NodeSpeed(1e5, 1e5, 1.0, 1e5, 1.0, 1.0)
DELAYS = (20_000, 4000, 1500, 800, 500, 300, 200, 100, 50, 0)


def replayed(pattern: str, shares: tuple[float, ...], stores: str = "nt") -> DrawnFamily:
    """The emulated node's own family: what a host without noise would measure."""
    found = Emulation.scale_to_host(EmulationRequest.parse("2=cxl-duplex@absolute"), ABLE, [0], 0)
    model = found.node_model(Pattern.parse(pattern), 4, fine=True)
    curves = []
    for share in shares:
        mix = Mix(share, "nt" if stores == "nt" else "regular")
        rows = [replay_latency(model, Load("read", 4, mix.blend, 1024, delay), 1500) for delay in DELAYS]
        rows.sort()
        traffic = mix.traffic_per_payload
        curves.append(
            DrawnCurve(share, DELAYS, tuple(gbps * traffic for gbps, _ in rows), tuple(ns for _, ns in rows))
        )
    return DrawnFamily(pattern, stores, tuple(curves))


@pytest.fixture(scope="module")
def families() -> list[DrawnFamily]:
    return [replayed(pattern, (0.0, 20.0, 60.0, 100.0)) for pattern in ("0", "0,0,2", "2")]


@pytest.mark.parametrize(
    ("percent", "stored", "traffic"), [(50, 1.0, 2.0), (75, 1 / 3, 4 / 3), (100, 0.0, 1.0)]
)
def test_a_regular_store_counts_twice(percent: float, stored: float, traffic: float) -> None:
    mix = Mix(percent, "regular")
    assert mix.stored_share == pytest.approx(stored, abs=0.0005)
    assert mix.traffic_per_payload == pytest.approx(traffic, abs=0.0005)
    cost = mix.per_payload
    reads = cost.loads + cost.write_allocates
    assert reads / (reads + cost.stores) == pytest.approx(percent / 100, abs=0.0005)
    past = Mix(percent, "nt").per_payload
    assert past.loads / (past.loads + past.stores) == pytest.approx(percent / 100, abs=0.0005)


@pytest.mark.parametrize(("percent", "stores"), [(49.9, "regular"), (-1, "nt"), (101, "nt"), (50, "both")])
def test_mixes_that_there_are_not(percent: float, stores: str) -> None:
    with pytest.raises(ParameterError):
        Mix(percent, stores)  # type: ignore[arg-type]


def test_points_are_one_for_each_pattern_share_and_kind_of_stores() -> None:
    topology = read_topology()
    dram = str(topology.memory_nodes[0].id)
    asked = CurveParameters(patterns=(dram,), size="8MiB", emulate="none", launches=2)
    study = make_curves(asked, topology)
    points = [point.parameters for point in study.points]
    assert all(isinstance(p, CurvePoint) and len(p.delays_ns) == 19 for p in points)
    mixes = [(p.stores, p.read_percent) for p in points if isinstance(p, CurvePoint)]
    # Reads alone are the same with either kind.
    assert mixes == [("nt", 10.0 * n) for n in range(11)] + [("regular", 10.0 * n) for n in range(5, 10)]
    assert len({point.id for point in study.points}) == len(study.points)
    assert {point.launches for point in study.points} == {2}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"reads": ("70x",)}, "'70x' is not a share"),
        ({"reads": ("nan",)}, "'nan' is not a share"),
        ({"reads": ("101",)}, "'101' is not a share"),
        ({"reads": ("10",), "stores": ("regular",)}, "no such mix"),
        ({"stores": ("streaming",)}, "stores 'streaming'"),
        ({"delays": ("100", "0")}, "2 different pauses"),
        ({"delays": ("-5",)}, "delays '-5'"),
        ({"threads": 100_000}, "threads 100000"),
        ({"launches": 0}, "launches 0"),
        ({"size": "100TiB"}, "needs"),
        ({"patterns": ("0,,1",)}, "entry 2 is empty"),
    ],
)
def test_bad_parameters_are_refused(changes: dict[str, object], says: str) -> None:
    asked = replace(CurveParameters(size="8MiB", emulate="none"), **changes)  # type: ignore[arg-type]
    with pytest.raises(Exception, match=says):
        make_curves(asked, read_topology())


def record(percent: float, stores: str, scale: float) -> PointRecord:
    mix = Mix(percent, "nt" if stores == "nt" else "regular")

    def details(factor: float, extra: bool) -> LoadedDetails:
        rates = [LoadedRate(delay_ns=None, load_gbps=0.0, median=100.0)]
        rates += [
            LoadedRate(delay_ns=delay, load_gbps=factor * gbps, median=latency)
            for delay, gbps, latency in ((500, 4.0, 110.0), (100, 8.0, 140.0), (0, 10.0, 400.0))
        ]
        if extra:
            rates.append(LoadedRate(delay_ns=50, load_gbps=factor * 9.0, median=200.0))
        return LoadedDetails(curve=tuple(rates), per_payload=mix.per_payload)

    first, second = details(scale, True), details(1.1 * scale, False)
    return PointRecord(
        point_id=f"{percent}{stores}",
        status="ok",
        parameters=CurvePoint(
            pattern="2", granule_bytes=4096, size_bytes=1 << 20, placer="first_touch",
            read_percent=percent, stores=stores, threads=1, samples=1, sample_seconds=0.01,
            delays_ns=(500, 100, 0),
        ),
        result=Measured(
            unit="ns", samples=(400.0,), median=400.0, details=first,
            launches=tuple(LaunchSummary(n=1, median=400.0, details=each) for each in (first, second)),
        ),
    )  # fmt: skip


def test_the_families_of_a_run_are_medians_over_launches_of_what_all_have() -> None:
    run = RunRecord(name="x", plan="y", study="curves")
    records = (record(100, "nt", 1.0), record(50, "regular", 0.5), record(50, "nt", 2.0))
    found = families_of(StudyResults(run, records))
    assert [(f.stores, [c.read_percent for c in f.curves]) for f in found] == [
        ("nt", [50.0, 100.0]), ("regular", [50.0, 100.0]),
    ]  # fmt: skip
    regular = found[1].curves[0]
    # At half reads every line of payload is a store, which reads its line first.
    assert regular.bandwidth_gbps == pytest.approx((0.0, 4.2, 8.4, 10.5))
    assert regular.pauses_ns == (None, 500, 100, 0)
    assert regular.peak_interval == pytest.approx((10.0, 11.0)) and regular.latency_ns[-1] == 400.0
    assert regular.knee.load_gbps == pytest.approx(8.4)
    # Launches drawn anew: both the slower one, or both the faster.
    assert regular.knee.interval == pytest.approx((8.0, 8.8)) and regular.knee.interval_over == "launches"
    row = next(row for row in curve_records(found) if row["stores"] == "regular")
    assert (row["knee_gbps_low"], row["knee_gbps_high"]) == pytest.approx((8.0, 8.8))


def test_the_interval_of_a_knee_is_of_raw_samples_also_of_records_without_their_loads() -> None:
    rates = (
        LoadedRate(delay_ns=None, load_gbps=0.0, median=100.0, samples=(99.0, 100.0, 101.0)),
        LoadedRate(delay_ns=100, load_gbps=8.0, median=120.0, samples=(110.0, 120.0, 260.0)),
        LoadedRate(delay_ns=50, load_gbps=9.0, median=170.0, samples=(150.0, 170.0, 300.0)),
        LoadedRate(delay_ns=0, load_gbps=10.0, median=400.0, samples=(390.0, 400.0, 410.0)),
    )
    loads = [tuple(rate.load_gbps * part for part in (0.98, 1.0, 1.02)) for rate in rates]
    newer = [msgspec.structs.replace(r, loads=each) for r, each in zip(rates, loads, strict=True)]
    ends = []
    for curve in (rates, tuple(newer)):
        point = record(100, "nt", 1.0)
        details = LoadedDetails(curve=curve)
        result = msgspec.structs.replace(point.result, details=details, launches=())
        point = msgspec.structs.replace(point, result=result)
        (family,) = families_of(StudyResults(RunRecord(name="x", plan="y", study="curves"), (point,)))
        knee = family.curves[0].knee
        assert knee.interval is not None and knee.interval_over == "samples"
        ends.append(knee.interval)
    assert ends[0] == (8.0, 9.0)
    # The lower load of the sample of 110 ns comes with it; that of 300 ns is no knee.
    assert ends[1] == pytest.approx((0.98 * 8.0, 9.0))


def test_the_best_pattern_moves_with_the_mix(families: list[DrawnFamily]) -> None:
    best = {each.read_percent: each for each in best_patterns(families)}
    assert set(best) == {0.0, 20.0, 60.0, 100.0}
    peaks = {family.pattern: family.curve(60.0) for family in families}
    assert all(curve is not None for curve in peaks.values())
    assert best[60.0].pattern == max(peaks, key=lambda p: peaks[p].peak_gbps)  # type: ignore[union-attr]
    gains = {share: best[share].peak_gbps / families[0].curve(share).peak_gbps for share in best}  # type: ignore[union-attr]
    # With a mix the duplex link adds most to the DRAM.
    assert gains[60.0] == max(gains.values()) and best[60.0].pattern == "0,0,2"


def test_an_emulated_link_has_its_published_curves(families: list[DrawnFamily]) -> None:
    slow, published = families[-1], Profile.load("cxl-duplex").slow
    assert published.carriers is not None
    for curve in slow.curves:
        assert curve.peak_gbps == pytest.approx(
            published.carriers.peak_gbps(curve.read_percent / 100), rel=0.02
        )
        assert curve.latency_ns[0] == pytest.approx(107.4, rel=0.02)
    assert slow.curve(60.0).knee.saturated  # type: ignore[union-attr]


def test_a_program_has_a_place_on_a_family(families: list[DrawnFamily]) -> None:
    said = say_position(families[-1], 20.0, 60)
    assert "20 GB/s with 60 % reads is" in said and "times that without load" in said
    assert "is more than the" in say_position(families[-1], 200.0, 60)
    figure = draw_file(families[:1], "a test", (20.0, 60.0))
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert any("the program" in text for text in texts)


def test_what_is_written_for_mess_is_read_back(families: list[DrawnFamily], tmp_path: Path) -> None:
    path = tmp_path / "memory_curves.csv"
    path.write_text(write_mess(families[-1]))
    assert path.read_text().splitlines()[0] == (
        "read_pct_rounded,pause,bandwidth_mean,bandwidth_std,rd_percentage_actual_mean,latency_mean,latency_std,"
        "bandwidth_smooth,latency_smooth"
    )
    again = read_mess(path)
    for one, other in zip(families[-1].curves, again.curves, strict=True):
        assert one.read_percent == other.read_percent
        assert one.bandwidth_gbps == other.bandwidth_gbps and one.latency_ns == other.latency_ns


MESS = (
    "read_pct_rounded,pause,bandwidth_mean,bandwidth_std,rd_percentage_actual_mean,latency_mean,latency_std,"
    "bandwidth_smooth,latency_smooth\n"
    "50,17782,2.7551,,0.4976,218.34,0.127,2.7551,218.34\n"
    "50,10000,4.81,0.003,0.4962,220.38,0.0707,4.82,220.39\n"
    "53,1000,43.18,0.098,0.5291,277.41,0.46,43.18,277.41\n"
    "53,31622,1.55,,0.53,217.28,,1.55,217.28\n"
)


def test_a_file_of_mess_is_read(tmp_path: Path) -> None:
    """With fields that Mess leaves empty, and points in its order."""
    path = tmp_path / "mess.csv"
    path.write_text(MESS)
    family = read_mess(path)
    assert [curve.read_percent for curve in family.curves] == [50.0, 53.0]
    assert family.curves[0].bandwidth_gbps == (2.7551, 4.82) and family.curves[1].pauses_ns == (31622, 1000)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no column bandwidth_smooth or bandwidth_mean"),
        (MESS.replace("pause", "paused"), "no column pause"),
        (MESS.splitlines()[0], "has no curves"),
        (MESS.replace("218.34\n", "fast\n"), "line 2: latency_smooth = 'fast'"),
        (MESS.replace("4.82,", "nan,"), "line 3: bandwidth_smooth = 'nan'"),
        (MESS.replace("50,10000", "150,10000"), "line 3: read_pct_rounded = 150 is not from 0 to 100"),
        (MESS + "1,2\n", "line 6: 2 fields"),
        (MESS + "60,1,1,1,0.6,1,1,1,1\n", "60 % reads has no two points"),
        ('"', "cannot be read as CSV"),
    ],
)
def test_what_is_no_file_of_mess_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "mess.csv"
    path.write_text(text)
    with pytest.raises(ParameterError, match=says):
        read_mess(path)


CELLS = st.one_of(
    st.sampled_from(["", "50", "1e400", "-1", "nan", '"', "\r", "0x10", "١"]), st.floats().map(str)
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(CELLS, min_size=8, max_size=10), max_size=4), st.binary(max_size=20))
def test_any_file_is_curves_or_an_error(tmp_path: Path, rows: list[list[str]], noise: bytes) -> None:
    path = tmp_path / "mess.csv"
    text = ",".join(COLUMNS) + "\n" + "".join(",".join(row) + "\n" for row in rows)
    path.write_bytes(text.encode() + noise)
    try:
        family = read_mess(path)
    except ParameterError:
        return
    assert curve_records([family]) and family.to_family().curves


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="a chase and a load take two CPUs")
def test_the_command_measures_and_shows_and_reads(tmp_path: Path, run_hmexp: Callable[..., Any]) -> None:
    hmexp = partial(run_hmexp, "-q", "curves")
    dram = str(read_topology().memory_nodes[0].id)
    delays = [str(delay) for delay in range(0, 1900, 100)]
    done = hmexp(
        "--patterns", dram, "--reads", "60", "--stores", "nt", "--size", "4MiB", "--launches", "1",
        "--samples", "1", "--sample-seconds", "0.001", "--emulate", "none", "--delays", *delays,
        "--results", str(tmp_path / "results"),
    )  # fmt: skip
    assert done.status == 0, done.stderr
    run = tmp_path / "results" / "latest-curves"
    assert {path.name for path in run.glob("*.csv")} == {
        "curves.csv", "best_ratio.csv", f"memory_curves-{dram}-nt.csv",
    }  # fmt: skip
    assert (run / "figures" / f"curves-0-{dram}.svg").is_file()
    (point,) = [json.loads(line) for line in (run / "points.jsonl").read_text().splitlines()]
    assert point["proof"]["before"]["misplaced"] == 0
    details = point["result"]["details"]
    assert details["per_payload"]["stores"] == pytest.approx(0.4) and len(details["curve"]) >= 20
    asked = hmexp("--from", str(run), "--json", "--at", "0.001:60")
    assert asked.status == 0, asked.stderr
    shown = json.loads(asked.stdout)
    (curve,) = shown["curves"]
    assert curve["read_percent"] == 60 and len(shown["position"]) == 1
    drawn = hmexp("--from", str(run / f"memory_curves-{dram}-nt.csv"), "--figure", str(tmp_path / "x.svg"))
    assert drawn.status == 0 and (tmp_path / "x.svg").is_file()
    assert hmexp("--from", "nothing.csv").status == 2
    assert np.isfinite(curve["peak_gbps"])
