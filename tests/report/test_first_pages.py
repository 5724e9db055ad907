"""The first page of every kind of study: a verdict that follows from records, and a page has it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hmexp.measure.mix import Mix
from hmexp.report.model.first_page import FirstPage
from hmexp.report.page.earlier import points_shown
from hmexp.report.study.files import PAGES, REPORT, write_study
from hmexp.report.study.results import StudyResults
from hmexp.store.curves import LoadedRate
from hmexp.store.details import LoadedDetails
from hmexp.store.machine import EmulationRecord, NodeRecord, ProfileRecord
from hmexp.store.parameters import CurvePoint, GranulePoint, LoopPoint
from hmexp.store.records import PointRecord, RunRecord
from hmexp.store.results import LaunchSummary, Measured, Windows
from tests.program.test_prediction import point as program_point
from tests.program.test_prediction import study as program_study
from tests.report.test_redis_study import both, requests
from tests.report.test_redis_study import study as redis_study

EXAMPLE = Path(__file__).resolve().parents[2] / "results" / "example-placers"
NODES = (NodeRecord(id=0, kind="dram"), NodeRecord(id=2, kind="cxl"))
MODEL = EmulationRecord(profile=ProfileRecord(name="optane-dcpmm", title="Optane"), backing={2: 0})


def granule(granule_bytes: int, slow: float, pattern: str = "0,2") -> PointRecord:
    """Windows of which every other one is so much slower, as those of coarse granules are."""
    random = np.random.default_rng(granule_bytes)
    gbps = np.where(np.arange(64) % 2, 10.0, 10.0 / slow) * random.normal(1, 0.005, 64)
    whole = Measured(unit="GB/s", samples=(9.0,), median=9.0, ci_low=8.9, ci_high=9.1)
    return PointRecord(
        point_id=f"{pattern} {granule_bytes}",
        status="ok",
        parameters=GranulePoint(
            placer="first_touch", pattern=pattern, granule_bytes=granule_bytes, size_bytes=1 << 28,
            window_bytes=4 << 20, operation="read", threads=1, samples=3, sample_seconds=0.01,
        ),
        result=Windows(
            bandwidth=whole,
            latency=Measured(unit="ns", samples=(200.0,), median=200.0, ci_low=198.0, ci_high=202.0),
            window_gbps=tuple(gbps.tolist()),
            window_ns=tuple((2000 / gbps).tolist()),
            window_bytes=4 << 20,
        ),
    )  # fmt: skip


def curve(pattern: str, percent: float, peaks: Sequence[float]) -> PointRecord:
    """A curve that ends at such a peak in each launch."""
    mix = Mix(percent, "nt")
    launches = [
        LoadedDetails(
            curve=(
                LoadedRate(delay_ns=None, load_gbps=0.0, median=100.0),
                LoadedRate(delay_ns=100, load_gbps=peak * 0.8, median=140.0),
                LoadedRate(delay_ns=0, load_gbps=peak, median=400.0),
            ),
            per_payload=mix.per_payload,
        )
        for peak in peaks
    ]
    return PointRecord(
        point_id=f"{pattern} {percent}",
        status="ok",
        parameters=CurvePoint(
            pattern=pattern, granule_bytes=4096, size_bytes=1 << 20, placer="first_touch",
            read_percent=percent, stores="nt", threads=1, samples=1, sample_seconds=0.01, delays_ns=(100, 0),
        ),
        result=Measured(
            unit="ns", samples=(400.0,), median=400.0, details=launches[0],
            launches=tuple(LaunchSummary(n=1, median=400.0, details=each) for each in launches),
        ),
    )  # fmt: skip


def cell(node: int, operation: str, median: float, unit: str) -> PointRecord:
    return PointRecord(
        point_id=f"{node} {operation}",
        status="ok",
        parameters=LoopPoint(
            operation=operation, pattern=str(node), granule_bytes=4096, size_bytes=1 << 20, threads=1,
            placer="first_touch", cpu_node="0", samples=1, sample_seconds=0.1,
        ),
        result=Measured(
            unit=unit, samples=(median,), median=median, ci_low=median * 0.99, ci_high=median * 1.01
        ),
    )  # fmt: skip


def study(name: str, *records: PointRecord, emulated: bool = True, timing_valid: bool = True) -> StudyResults:
    run = RunRecord(
        name="made-here", plan="p", study=name, dram_nodes=(0,), slow_nodes=(2,), nodes=NODES,
        points=len(records), timing_valid=timing_valid, emulation=MODEL if emulated else None,
    )  # fmt: skip
    return StudyResults(run, records)


def half(one: float, other: float) -> list[PointRecord]:
    """Two ratios beside all DRAM, at two shares of reads."""
    return [
        curve(pattern, percent, [peak * 0.99, peak, peak * 1.01])
        for pattern, peak in (("0", 10.0), ("0,0,0,2", 10.0 * one), ("0,2", 10.0 * other))
        for percent in (100.0, 20.0)
    ]


Known = dict[str, tuple[StudyResults, str]]
#: Of each kind: one that says yes, and how it begins; one that says no; one that cannot say, and why.
YES: Known = {
    "redis": (redis_study(*both(95, (0.98, 1.02), (0.7, 1.8))), "Yes: set DRAM:slow 1:1"),
    "program": (
        program_study([program_point("0", 1.0), program_point("0,2", 1.02)], "program"), "Yes: set 1:1",
    ),
    "predict": (
        program_study(
            [
                program_point(pattern, seconds)
                for pattern, seconds in (
                    ("0", 1.0), ("0,0,0,2", 1.02), ("0,2", 1.04), ("0,2,2", 1.0533), ("2", 1.5),
                )
            ]
        ),
        "Yes, as predicted: up to",
    ),
    "placers": (StudyResults.load(EXAMPLE), "Yes: use "),
    "granularity": (
        study("granularity", granule(4096, 1.0), granule(1 << 16, 1.02), granule(1 << 23, 3.0)),
        "Yes, on the emulated machine: granules of up to 64KiB",
    ),
    "curves": (study("curves", *half(1.1, 0.95)), "Yes, on the emulated machine: set pattern 0,2"),
}  # fmt: skip
NO: Known = {
    "redis": (redis_study(*both(95, (0.7, 1.5), (0.5, 3.0))), "No: keep this Redis on DRAM"),
    "program": (program_study([program_point("0", 1.0), program_point("0,2", 2.0)], "program"), "No: keep"),
    "granularity": (study("granularity", granule(4096, 2.0)), "No granule that was measured is even"),
    "curves": (study("curves", *half(0.7, 0.5)), "No measured pattern"),
}
UNKNOWN: Known = {
    "redis": (redis_study(*both(50, (1, 1), (1, 1))), "95 % of reads or more was"),
    "program": (program_study([program_point("2", 1.0)], "program"), "on DRAM alone was not measured"),
    "predict": (program_study([]), "no point was measured"),
    "placers": (study("placers", emulated=False), "no placer was measured"),
    "granularity": (study("granularity", granule(4096, 1.0, "0")), "pattern of two nodes"),
    "curves": (study("curves", curve("2", 100, [5.0, 5.1])), "all DRAM was not measured"),
    "matrix": (study("matrix", cell(0, "read", 10, "GB/s"), cell(2, "read", 4, "GB/s")), "is emulated"),
}
EACH: Known = {**UNKNOWN, **YES}


def store(found: StudyResults, folder: Path) -> None:
    """Write a run directory."""
    (folder / "run.json").write_bytes(msgspec.json.encode(found.run))
    lines = [msgspec.json.encode(record) for record in found.records]
    (folder / "points.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))


def page(found: StudyResults) -> FirstPage:
    return PAGES[found.name](found).first


@pytest.mark.parametrize("kind", YES)
def test_a_run_that_answers_names_a_row_and_marks_it(kind: str) -> None:
    found, words = YES[kind]
    first = page(found)
    assert first.verdict.startswith(words) and first.css == "good" and first.question.endswith("?")
    chosen = [line for line in first.lines if line.chosen]
    assert len(chosen) == 1 and chosen[0].mark == "kept"
    # Where times mean nothing, no card has one.
    assert first.cards and any(card.interval for card in first.cards) == found.run.timing_valid
    assert all(len(line.cells) == len(first.heads) for line in first.lines)
    assert all(len(line.facts) == len(first.fact_heads) for line in first.lines)
    assert first.trust


@pytest.mark.parametrize("kind", NO)
def test_a_run_that_refuses_says_what_was_missed(kind: str) -> None:
    found, words = NO[kind]
    first = page(found)
    assert first.verdict.startswith(words) and first.css == "bad"
    assert not re.search(r"\W[.,:]", first.verdict.replace("%", "p")), first.verdict
    assert not any(line.chosen for line in first.lines) and any(
        line.mark == "not kept" for line in first.lines
    )


@pytest.mark.parametrize("kind", UNKNOWN)
def test_a_run_that_cannot_answer_says_why(kind: str) -> None:
    found, words = UNKNOWN[kind]
    first = page(found)
    assert first.verdict == "Cannot say." and first.css == "warn" and words.lower() in first.why.lower()


@pytest.mark.parametrize("kind", ["granularity", "curves", "matrix", "program"])
def test_nothing_is_said_where_times_mean_nothing(kind: str) -> None:
    found = EACH[kind][0]
    invalid = StudyResults(msgspec.structs.replace(found.run, timing_valid=False), found.records)
    first = page(invalid)
    assert first.verdict == "Cannot say." and first.trust[0].level == "bad"
    assert {line.mark for line in first.lines} <= {None}


def test_an_interval_that_spans_the_limit_decides_nothing() -> None:
    unsure = [requests("1:0", 95, (1, 1)), requests("1:1", 95, (0.9, 1.0))]
    first = page(redis_study(*unsure))
    assert first.verdict == "Cannot say." and "throughput spans the limit" in first.why
    wide = [curve("0", 100, [9.0, 10.0, 11.0]), curve("0,2", 100, [8.0, 9.5, 11.0])]
    assert "spans the limit" in page(study("curves", *wide)).why
    poor = [program_point(p, s) for p, s in (("0", 1.0), ("0,2", 1.01), ("2", 1.02), ("0,2,2", 1.5))]
    assert "off by" in page(program_study(poor)).why


@pytest.mark.parametrize("kind", EACH)
def test_the_page_of_every_kind_is_one_look_with_its_label(kind: str, tmp_path: Path) -> None:
    found = EACH[kind][0]
    store(found, tmp_path)
    assert tmp_path / REPORT in write_study(tmp_path)
    text = (tmp_path / REPORT).read_text()
    answer = text[text.index('<section id="answer"') : text.index('<section id="details"')]
    assert 'class="verdict' in answer and "How far to trust it" in answer
    assert ("EMULATED node 2" in text) == bool(found.run.emulation)
    assert points_shown(tmp_path / REPORT) == len(found.records) - len(found.not_ok)
    # For those who cannot see it: heads have a scope, and figures a description.
    assert not re.search(r"<th(?![^>]*scope)[ >]", text)
    assert all("aria-label" in svg for svg in re.findall(r"<svg[^>]*>", text))
    assert not re.search(
        r"\b(?:nan|None|NaN)\b",
        re.sub(r"<pre>.*?</pre>|<style>.*?</style>|<svg.*?</svg>", "", text, flags=re.DOTALL),
    )
