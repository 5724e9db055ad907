"""The verdict of the first page: yes, no or cannot say, from runs whose truth is known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from hmexp.errors import ParameterError
from hmexp.measure.need import Requirement, parse_need
from hmexp.report.model.decision import Decision, decide
from hmexp.report.model.needs import head_of
from hmexp.report.model.prices import Prices
from hmexp.report.model.question import Question
from hmexp.report.page.first import FirstPage, first_page, to_json

TIB = 1 << 40


def ask(
    synthetic: SimpleNamespace,
    records: list[Any],
    *needs: str,
    run: dict[str, Any] | None = None,
    **given: Any,
) -> tuple[Decision, FirstPage]:
    results = synthetic.results(records, synthetic.make_run(15) if run is None else run)
    decision = decide(results, Question(tuple(map(parse_need, needs)), **given))
    return decision, first_page(decision, results)


@pytest.mark.parametrize(
    ("text", "need", "head"),
    [
        ("read>=90", Requirement("read", 0.9, "x"), "read ≥ 90 %"),
        ("read >= 120 %", Requirement("read", 1.2, "x"), "read ≥ 120 %"),
        ("write>=0.5x", Requirement("write", 0.5, "x"), "write ≥ 50 %"),
        ("3:1>=80", Requirement("mix_3_1", 0.8, "x"), "3:1 mix ≥ 80 %"),
        ("mix>=85%", Requirement("mix", 0.85, "x"), "mixes ≥ 85 %"),
        ("Write>=4GB/s", Requirement("write", 4.0, "GB/s"), "write ≥ 4 GB/s"),
        ("latency<=1.5x", Requirement("latency", 1.5, "x"), "latency ≤ 1.5 ×"),
        ("latency<=150%", Requirement("latency", 1.5, "x"), "latency ≤ 1.5 ×"),
        ("latency<=600ns", Requirement("latency", 600.0, "ns"), "latency ≤ 600 ns"),
    ],
)
def test_needs_are_read(text: str, need: Requirement, head: str) -> None:
    assert parse_need(text) == need == parse_need(str(need)) and head_of(need) == head


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("read<=90", "write read>=90"),
        ("latency>=2x", "write latency<=2x"),
        ("latency<=2", "latency<=2x"),
        ("read>=0.9", "write read>=90"),
        ("read>=90ns", "not measured in ns"),
        ("latency<=9GB/s", "not measured in gb/s"),
        ("read>=0", "not above 0"),
        ("read>=1.2.3", "1.2.3"),
        ("read>=99999", "times all DRAM"),
        ("reed>=90", "unknown"),
        ("read", "write for example"),
        ("", "write for example"),
        ("read>=-5", "write for example"),
        ("read>=nan", "write for example"),
    ],
)
def test_needs_that_are_none_say_what_to_write(text: str, says: str) -> None:
    with pytest.raises(ParameterError, match=r"\w") as refused:
        parse_need(text)
    assert says in str(refused.value) and refused.value.remedy


def test_an_interval_is_judged_as_a_whole() -> None:
    read, latency = parse_need("read>=90"), parse_need("latency<=1.5x")
    assert [read.judge(low, 1.0) for low in (0.9, 0.89)] == ["kept", "inconclusive"]
    assert read.judge(0.7, 0.899) == "not kept"
    assert [latency.judge(1.3, high) for high in (1.5, 1.51)] == ["kept", "inconclusive"]
    assert latency.judge(1.51, 1.7) == "not kept"


def test_yes_names_the_cheapest_ratio_and_what_it_saves(synthetic: SimpleNamespace) -> None:
    given = {"prices": Prices(8.0, 3.0, "EUR"), "capacity_bytes": TIB}
    decision, page = ask(synthetic, synthetic.sweep(), "read>=70", "latency<=2.5x", **given)
    assert decision.verdict == "yes" and decision.chosen is not None and decision.chosen.ratio == "1:1"
    assert page.verdict.startswith("Yes, on the emulated machine: set DRAM:NVM 1:1 (pattern 0,2).")
    assert page.question == (
        "Which is the cheapest ratio of DRAM to NVM pages that keeps at least 70 % of all DRAM’s read "
        "bandwidth and at most 2.5 times all DRAM’s latency, for 1 TiB of memory, at 8 EUR per GiB of DRAM "
        "and 3 EUR of NVM?"
    )
    assert page.said == (
        "1 TiB of memory: 512 GiB of DRAM and 512 GiB of NVM.",
        "5,632 EUR instead of 8,192 EUR: 2,560 EUR saved, 31 %.",
    )
    marks = {line.ratio: [cell.mark for cell in line.cells] for line in page.lines}
    assert marks == {
        "1:0": ["kept", "kept", None],
        "3:1": ["kept", "kept", None],
        "1:1": ["kept", "kept", None],
        "1:2": ["not kept", "kept", None],
        "0:1": ["not kept", "not kept", None],
    }
    assert [cell.name for cell in page.cards] == ["read", "latency", "write"]
    assert page.trust[0].name == "Emulated"


def test_no_names_the_closest_ratio_and_what_it_lacks(synthetic: SimpleNamespace) -> None:
    decision, page = ask(synthetic, synthetic.sweep())
    assert decision.verdict == "no" and decision.chosen is None
    assert "Stay with all DRAM" in page.verdict
    assert page.why.startswith("The closest is DRAM:NVM 3:1 (pattern 0,0,0,2): write is 66.")
    # What all DRAM cannot do either is said.
    assert "Nor does all DRAM" in ask(synthetic, synthetic.sweep(), "read>=900GB/s")[1].verdict


def test_slow_memory_that_costs_no_less_is_not_advised(synthetic: SimpleNamespace) -> None:
    decision, page = ask(synthetic, synthetic.sweep(), "read>=10", prices=Prices(3.0, 3.0))
    assert decision.verdict == "no" and "costs no less than DRAM" in page.why


def test_noise_forbids_a_verdict(synthetic: SimpleNamespace) -> None:
    records = synthetic.sweep()
    for record in records:
        record["result"]["ci_low"] *= 0.8
        record["result"]["ci_high"] *= 1.2
    decision, page = ask(synthetic, records, "read>=90")
    assert decision.verdict == "cannot say" and "spans 90 %" in page.why and "More launches" in page.why


def test_what_failed_decides_nothing(synthetic: SimpleNamespace) -> None:
    def fails(record: dict[str, Any]) -> bool:
        given = record["parameters"]
        return bool(given["pattern"] == "0,0,0,2" and given["operation"] == "write")

    records = [synthetic.fail(r, "no memory on node 2") if fails(r) else r for r in synthetic.sweep()]
    decision, page = ask(synthetic, records, "read>=90", "write>=60")
    assert decision.verdict == "cannot say" and "failed: no memory on node 2" in page.why
    assert page.trust[0].name == "Incomplete"
    # But a ratio that needs none of it is still found.
    assert ask(synthetic, records, "read>=90")[0].verdict == "yes"


@pytest.mark.parametrize("operation", ["read", "write"])
def test_a_ratio_is_as_good_as_the_worst_of_its_points(synthetic: SimpleNamespace, operation: str) -> None:
    records = [*synthetic.sweep(threads=1), *synthetic.sweep(threads=2)]
    slow = [
        r for r in records if r["parameters"]["threads"] == 2 and r["parameters"]["operation"] == operation
    ]
    for record in slow:
        if record["parameters"]["pattern"] == "0,0,0,2":
            for name in ("median", "ci_low", "ci_high"):
                record["result"][name] *= 0.3
    _, page = ask(synthetic, records, f"{operation}>=50")
    line = next(line for line in page.lines if line.ratio == "3:1")
    assert line.mark == "not kept" and line.cells[0].where == "2 threads"


def test_nothing_is_said_of_timings_that_mean_nothing(synthetic: SimpleNamespace) -> None:
    decision, page = ask(synthetic, synthetic.sweep(), run=synthetic.make_run(15, timing_valid=False))
    assert decision.verdict == "cannot say" and page.cards == () and page.trust[0].name == "Functional only"
    assert {cell.value for line in page.lines for cell in line.cells} == {""}


@pytest.mark.parametrize(
    ("kept", "why"),
    [
        (lambda pattern, _: pattern != "0", "All DRAM was not measured"),
        (lambda pattern, _: pattern == "0", "no ratio with slow memory"),
        (lambda _, operation: operation == "latency", "No bandwidth was measured"),
        (lambda _, __: False, "No point was measured"),
    ],
)
def test_a_run_that_cannot_answer_says_why(synthetic: SimpleNamespace, kept: Any, why: str) -> None:
    records = [r for r in synthetic.sweep() if kept(r["parameters"]["pattern"], r["parameters"]["operation"])]
    decision, page = ask(synthetic, records)
    assert decision.verdict == "cannot say" and why in page.why
    assert to_json(decision, synthetic.results(records, synthetic.make_run(15)))["ratio"] is None


def test_a_need_of_what_is_not_there_is_refused(synthetic: SimpleNamespace) -> None:
    with pytest.raises(ParameterError, match="no point of mixes"):
        ask(synthetic, synthetic.sweep(), "mix>=80")
