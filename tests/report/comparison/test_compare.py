"""Comparisons: noise is no difference, a change is, and what cannot be compared is not."""

from __future__ import annotations

import copy
import json
import math
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from hmexp.errors import ParameterError, StoreError
from hmexp.report.comparison.machine_state import differences
from hmexp.report.comparison.options import ComparisonOptions
from hmexp.report.comparison.outcome import Comparison
from hmexp.report.comparison.reading import Reading
from hmexp.report.comparison.readings import StoredRun
from hmexp.report.comparison.record import record_of
from hmexp.report.comparison.variation import chance, discoveries, launch_noise, median_error, quantile
from hmexp.report.comparison.verdicts import compare, compare_runs
from hmexp.report.comparison.views import page, terminal, write_page
from hmexp.store.reader import convert_point, convert_run
from hmexp.store.records import RunRecord

WriteRun = Callable[..., Path]
Record = dict[str, Any]


def described(run: Record) -> RunRecord:
    return convert_run(copy.deepcopy(run))


def stored(records: list[Record], run: Record) -> StoredRun:
    found = [convert_point(copy.deepcopy(record)) for record in records]
    readings = tuple(Reading.from_record(record, run["dram_nodes"]) for record in found)
    return StoredRun(Path(run["name"]), described(run), readings)


@pytest.fixture(scope="module")
def runs(synthetic: SimpleNamespace) -> Callable[..., StoredRun]:
    """Make a run of many points, measured in several launches; `change` makes some points another speed."""
    bases = {emulated: synthetic.sweep(emulated=emulated, noise=0.0) for emulated in (False, True)}

    def make(
        seed: int, *, launches: int = 4, drift: float = 0.02, change: dict[int, float] | None = None,
        sizes: int = 8, samples: int = 6, emulated: bool = False,
    ) -> StoredRun:  # fmt: skip
        noise = random.Random(seed)
        records = []
        every = [(n, base) for n in range(sizes) for base in bases[emulated]]
        for number, (size, base) in enumerate(every):
            parameters = base["parameters"] | {"size_bytes": (size + 1) << 26}
            truth = base["result"]["median"] * (change or {}).get(number, 1.0)
            taken = []
            for _ in range(launches):
                speed = truth * math.exp(noise.gauss(0, drift))
                taken.append([speed * math.exp(noise.gauss(0, 0.004)) for _ in range(samples)])
            result = base["result"] | {"samples": [v for values in taken for v in values]}
            result["median"] = float(np.median(result["samples"]))
            if launches > 1:
                result["launches"] = [{"n": samples, "median": float(np.median(v))} for v in taken]
            records.append(base | {"parameters": parameters, "result": result})
        return stored(records, synthetic.make_run(len(records), emulated=emulated, name=f"seed {seed}"))

    return make


def test_noise_alone_is_no_difference(runs: Callable[..., StoredRun]) -> None:
    verdicts, seen = 0, 0
    for seed in range(0, 20, 2):
        comparison = compare_runs(runs(seed), runs(seed + 1), ComparisonOptions())
        seen += comparison.compared
        verdicts += comparison.counts["faster"] + comparison.counts["slower"]
        inside = [p for p in comparison.points if p.low is not None and p.low <= 1 <= (p.high or 0)]
        # Each interval is of its own point: nineteen of twenty hold the truth, which is 1.
        assert len(inside) / comparison.compared > 0.88
    assert seen == 10 * 120
    assert verdicts <= 3


def test_a_change_is_found_and_named(runs: Callable[..., StoredRun]) -> None:
    change = {0: 0.85, 6: 1.2, 12: 1.3, 20: 0.8}  # 12 is a latency: more is slower
    comparison = compare_runs(runs(1), runs(2, change=change), ComparisonOptions())
    found = {p.verdict: 0 for p in comparison.points}
    for point in comparison.points:
        found[point.verdict] += 1
        if point.verdict == "slower":
            assert (point.quotient or 0) > 1 if point.a.unit == "ns" else (point.quotient or 2) < 1
            assert not (point.low or 0) <= 1 <= (point.high or 2)
    assert found["slower"] >= 3 and found["faster"] >= 1
    assert found["slower"] + found["faster"] <= 6
    assert [p.verdict for p in comparison.points][:3] == ["slower"] * 3  # the worst come first
    assert any("expected to be false" in line for line in comparison.summary)


def test_one_launch_is_held_against_an_assumed_drift(runs: Callable[..., StoredRun]) -> None:
    comparison = compare_runs(runs(1, launches=1), runs(2, launches=1), ComparisonOptions())
    assert comparison.noise["GB/s"].source.startswith("assumed")
    assert comparison.counts["slower"] + comparison.counts["faster"] == 0
    careless = compare_runs(runs(1, launches=1), runs(2, launches=1), ComparisonOptions(launch_noise=0.0))
    assert careless.counts["slower"] + careless.counts["faster"] > 20


def test_differences_that_do_not_matter_are_none(runs: Callable[..., StoredRun]) -> None:
    change = dict.fromkeys(range(120), 0.9)
    assert compare_runs(runs(1), runs(2, change=change), ComparisonOptions()).counts["slower"] > 60
    assert compare_runs(runs(1), runs(2, change=change), ComparisonOptions(least=0.25)).counts["slower"] == 0


def test_the_host_of_an_emulation_tells_of_launches(synthetic: SimpleNamespace) -> None:
    records = synthetic.sweep()
    launches = [{"quantity": "read", "unit": "GB/s", "threads": 2, "median": m} for m in (8.0, 8.4, 8.2)]
    found = stored(records, synthetic.make_run(15, calibration=launches))
    noise = launch_noise(found.readings, (found.run, found.run))
    expected = float(np.log([8.0, 8.4, 8.2]).std(ddof=1))
    assert noise["GB/s"].deviation == pytest.approx(expected)
    assert noise["GB/s"].freedom == 4
    assert noise["ns"].source.startswith("assumed")


def refusals(synthetic: SimpleNamespace) -> Iterator[tuple[Record, Record, str]]:
    good = synthetic.make_record("0,2", "read")
    real = synthetic.make_record("0,2", "read", emulated=False)
    yield good, real, "A is emulated, B is real"
    yield real, real | {"timing_valid": False}, "timings of B are not valid"
    yield good, good | {"profile": "cxl-expander"}, "other profiles: optane-dcpmm and cxl-expander"
    yield good, good | {"model": {"value": good["model"]["value"] * 1.01}}, "scaled differently"
    huge = real["result"] | {"details": {"page_bytes": 2 << 20}}
    yield real, real | {"result": huge}, "other pages: 4096 and 2097152 bytes"
    yield synthetic.fail(real, "lost"), real, "A was not measured: failed, lost"
    yield real, real | {"result": real["result"] | {"samples": [5.0]}}, "B has a single sample"


def test_what_cannot_be_compared_says_why(synthetic: SimpleNamespace) -> None:
    run = synthetic.make_run(1)
    for a, b, why in refusals(synthetic):
        (point,) = compare_runs(stored([a], run), stored([b], run), ComparisonOptions()).points
        assert point.verdict == "not comparable" and point.quotient is None
        assert why in (point.why or "")


def test_other_scales_can_be_compared_with_their_models(synthetic: SimpleNamespace) -> None:
    a = synthetic.make_record("0,2", "read", noise=0.001)
    values = [value * 2 for value in a["result"]["samples"]]
    result = a["result"] | {"samples": values, "median": a["result"]["median"] * 2}
    b = a | {"model": {"value": a["model"]["value"] * 2}, "result": result}
    run = synthetic.make_run(1)
    (point,) = compare_runs(stored([a], run), stored([b], run), ComparisonOptions(of_model=True)).points
    assert point.quotient == pytest.approx(1) and point.verdict == "no difference"


def test_effort_is_no_other_point_and_threads_are(synthetic: SimpleNamespace) -> None:
    a = synthetic.make_record("0", "read", emulated=False)
    run = synthetic.make_run(1, emulated=False)
    for change, pairs in (({"samples": 99, "sample_seconds": 0.3}, 1), ({"threads": 7}, 0)):
        b = a | {"parameters": a["parameters"] | change}
        comparison = compare_runs(stored([a], run), stored([b], run), ComparisonOptions())
        assert len(comparison.points) == pairs
        assert len(comparison.matched.only_a) == len(comparison.matched.only_b) == 1 - pairs


def test_a_parameter_missing_from_an_older_run_is_reported(synthetic: SimpleNamespace) -> None:
    a = synthetic.make_record("0", "read", emulated=False)
    b = a | {"parameters": a["parameters"] | {"page_bytes": 4096}}
    run = synthetic.make_run(1, emulated=False)
    comparison = compare_runs(stored([a], run), stored([b], run), ComparisonOptions())
    assert len(comparison.points) == 1
    assert "run A does not record page_bytes" in " ".join(comparison.summary)
    twice = b | {"point_id": "x", "parameters": b["parameters"] | {"page_bytes": 2 << 20}}
    comparison = compare_runs(stored([a], run), stored([b, twice], run), ComparisonOptions())
    assert not comparison.points
    assert "left out" in " ".join(comparison.summary)


def test_nodes_of_other_numbers_match_by_ratio(synthetic: SimpleNamespace) -> None:
    a, b = (synthetic.make_record(p, "read", emulated=False) for p in ("0,2", "0,1"))
    here, there = (stored([r], synthetic.make_run(1, emulated=False)) for r in (a, b))
    assert not compare_runs(here, there, ComparisonOptions()).points
    (point,) = compare_runs(here, there, ComparisonOptions(by_ratio=True)).points
    assert (point.a.ratio, point.b.ratio) == ("1:1", "1:1")


def test_state_that_differs_is_listed(synthetic: SimpleNamespace) -> None:
    a, b = synthetic.make_run(1), synthetic.make_run(1)
    state = {"kernel": "Linux 7.3.4", "thp_enabled": "always", "load_average": [3.0]}
    b["provenance"] = b["provenance"] | state | {"firmware": {"version": "1.2"}}
    b["parameters"] = b["parameters"] | {"size": "1GiB", "results": "elsewhere"}
    names = {d.name: (d.a, d.b) for d in differences(described(a), described(b))}
    assert names == {
        "kernel": ("Linux 6.12.117", "Linux 7.3.4"),
        "thp_enabled": ("madvise", "always"),
        "firmware.version": ("not recorded", "1.2"),
        "parameter.size": ("256MiB", "1GiB"),
    }
    assert differences(described(a), described(a)) == ()


def test_views_say_emulated_and_cannot_be_injected(runs: Callable[..., StoredRun], tmp_path: Path) -> None:
    a, b = runs(1, emulated=True, sizes=1), runs(2, emulated=True, sizes=1, change={0: 0.5})
    evil = msgspec.structs.replace(b.run, name="<script>alert(1)</script>")
    comparison = compare_runs(a, replace(b, run=evil), ComparisonOptions())
    text = terminal(comparison)
    html = write_page(comparison, tmp_path / "c.html").read_text()
    for view in (text, html):
        assert "EMULATED node 2: optane-dcpmm" in view
        assert "slower" in view
    assert "<script" not in html and "&lt;script" in html
    assert not re.search(r"\b(src|href)=|@import|url\(|https?:", html)
    assert page(comparison) == html
    assert html.count("<svg") == 15


def test_long_tables_are_cut_for_people_and_whole_for_programs(runs: Callable[..., StoredRun]) -> None:
    comparison = compare_runs(runs(1), runs(2), ComparisonOptions())
    assert "and 80 more" in terminal(comparison)
    assert len(terminal(comparison, None).splitlines()) > 120
    assert len(json.loads(msgspec.json.encode(record_of(comparison)))["points"]) == 120


def test_the_command_and_its_status(
    synthetic: SimpleNamespace, write_run: WriteRun, tmp_path: Path, run_hmexp: Callable[..., Any]
) -> None:
    def run_command(*words: object) -> Any:
        return run_hmexp("compare", *map(str, words))

    a = write_run(synthetic.sweep(emulated=False), synthetic.make_run(15, emulated=False, name="a"), "a")
    slow = synthetic.sweep(emulated=False, bias=0.5)
    b = write_run(slow, synthetic.make_run(15, emulated=False, name="b"), "b")
    done = run_command(a, b, "--json", "--html", tmp_path / "page.html")
    assert done.status == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["counts"] == {"slower": 10, "faster": 5, "not comparable": 0, "no difference": 0}
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    assert run_command(a, b, "--fail-on-slower").status == 1
    assert run_command(a, a, "--fail-on-slower").status == 0
    other = synthetic.sweep(emulated=False, threads=7)
    strange = write_run(other, synthetic.make_run(15, emulated=False, name="strange"), "strange")
    assert run_command(a, strange, "--fail-on-slower").status == 1
    none = write_run([], synthetic.make_run(0, name="none"), "none")
    for bad in (
        (a, none),
        (a, tmp_path / "missing"),
        (a, b, "--ignore-below", "-1"),
        (a, b, "--false-discoveries", "0"),
    ):
        done = run_command(*bad)
        assert done.status == 2 and "unrecognized" not in done.stderr
        assert "Traceback" not in done.stderr


def test_options_that_cannot_be(tmp_path: Path) -> None:
    for bad in ({"least": 1.0}, {"launch_noise": -0.1}, {"false_discoveries": 1.0}, {"least": math.nan}):
        with pytest.raises(ParameterError):
            ComparisonOptions(**bad)  # type: ignore[arg-type]
    with pytest.raises(StoreError):
        compare(tmp_path, tmp_path)


def test_the_exact_bootstrap_is_the_drawn_one() -> None:
    generator = np.random.default_rng(7)
    for n in (3, 10, 25):
        values = generator.normal(size=n)
        drawn = np.median(values[generator.integers(0, n, size=(40_000, n))], axis=1).std()
        assert median_error(values) == pytest.approx(drawn * math.sqrt(n / (n - 1)), rel=0.12)
    assert median_error(np.array([1.0])) == 0.0


@pytest.mark.parametrize(
    ("freedom", "half_width"), [(2, 4.303), (4, 2.776), (10, 2.228), (30, 2.042), (math.inf, 1.960)]
)
def test_students_t_by_its_tables(freedom: float, half_width: float) -> None:
    assert quantile(0.95, freedom) == pytest.approx(half_width, rel=0.05)
    assert chance(quantile(0.95, freedom), freedom) == pytest.approx(0.05)
    assert chance(0.0, freedom) == 1.0


def test_benjamini_hochberg_by_its_own_example() -> None:
    # Table of the paper: 15 comparisons, of which the procedure keeps the first four.
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719,
         0.6528, 0.7590, 1.0000]  # fmt: skip
    assert discoveries(p, 0.05) == [True] * 4 + [False] * 11
    assert discoveries([], 0.05) == []


def test_a_comparison_of_nothing(synthetic: SimpleNamespace) -> None:
    empty = stored([], synthetic.make_run(0))
    comparison: Comparison = compare_runs(empty, empty, ComparisonOptions())
    assert comparison.compared == 0
    assert "0 points are in both runs" in terminal(comparison)
    assert "No point is in both runs" in page(comparison)
