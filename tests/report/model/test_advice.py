"""The advice: only what was measured, with intervals, and no advice where there is no ground for it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hmexp.report.model.advice import Advice, advise
from hmexp.report.model.overview import overview


def _advise(synthetic: SimpleNamespace, records: list[dict[str, Any]], run: dict[str, Any]) -> Advice:
    return advise(synthetic.results(records, run))


def test_best_ratio_kept_bandwidth_and_latency_cost(synthetic: SimpleNamespace) -> None:
    advice = _advise(synthetic, synthetic.sweep(emulated=False), synthetic.make_run(15, emulated=False))
    read, kept, write, lost, latency = advice.sentences
    assert read.startswith("Best measured ratio for read: DRAM:NVM 3:1 (pattern 0,0,0,2) with 20.")
    assert "all DRAM" in read
    assert "kept by 3:1 (1" in kept
    assert "Not kept by 1:1 (75 %" in kept
    assert "Best measured ratio for write: all DRAM" in write
    assert "no measured ratio keeps it" in lost
    assert "3:1 +1" in latency
    assert all("[" in sentence for sentence in advice.sentences)
    assert advice.preface is None
    assert advice.missing == ()


def test_emulated_is_said(synthetic: SimpleNamespace) -> None:
    preface = _advise(synthetic, synthetic.sweep(), synthetic.make_run(15)).preface
    assert preface is not None
    assert "mulated" in preface


def test_no_advice_from_timings_that_are_not_valid(synthetic: SimpleNamespace) -> None:
    by_run = _advise(
        synthetic, synthetic.sweep(), synthetic.make_run(15, timing_valid=False, timing_note="no KVM")
    )
    records = synthetic.sweep()
    records[0]["timing_valid"] = False
    by_point = _advise(synthetic, records, synthetic.make_run(15))
    for advice in (by_run, by_point):
        assert advice.refused is not None
        assert advice.sentences == ()
    assert "no KVM" in str(by_run.refused)


def test_a_missing_baseline_is_said(synthetic: SimpleNamespace) -> None:
    records = [synthetic.make_record(p, op) for p in ("0,2", "2") for op in ("read", "latency")]
    advice = _advise(synthetic, records, synthetic.make_run(4))
    assert any("No all-DRAM read point" in text for text in advice.missing)
    assert any("No all-DRAM latency point" in text for text in advice.missing)
    assert not any("kept" in text for text in advice.sentences)


def test_failed_and_unmeasured_points_are_said(synthetic: SimpleNamespace) -> None:
    records = synthetic.sweep()
    records[1] = synthetic.fail(records[1])
    advice = _advise(synthetic, records, synthetic.make_run(20))
    assert any("5 points" in text for text in advice.missing)
    assert any("0,0,0,2 read" in text for text in advice.missing)
    assert "0,0,0,2" not in advice.sentences[0]


def test_an_interval_across_the_limit_is_undecided(synthetic: SimpleNamespace) -> None:
    base, other = (synthetic.make_record(p, "read") for p in ("0", "0,2"))
    for record, middle in ((base, 10.0), (other, 9.0)):
        record["result"] |= {"median": middle, "ci_low": middle - 0.2, "ci_high": middle + 0.2}
    text = " ".join(_advise(synthetic, [base, other], synthetic.make_run(2)).sentences)
    assert "Inconclusive, for the interval spans 90 %: 1:1 (90 %" in text


def test_overlapping_intervals_are_not_told_apart(synthetic: SimpleNamespace) -> None:
    base, other = (synthetic.make_record(p, "read") for p in ("0", "0,0,0,2"))
    for record, middle in ((base, 10.0), (other, 10.1)):
        record["result"] |= {"median": middle, "ci_low": middle - 0.2, "ci_high": middle + 0.2}
    assert (
        "statistically indistinguishable"
        in _advise(synthetic, [base, other], synthetic.make_run(2)).sentences[0]
    )


def test_different_threads_are_never_mixed(synthetic: SimpleNamespace) -> None:
    records = [synthetic.make_record(p, "read", threads=t) for p in synthetic.PATTERNS for t in (1, 2)]
    results = synthetic.results(records, synthetic.make_run(10))
    best = [text for text in advise(results).sentences if text.startswith("Best")]
    assert len(best) == 2
    assert "(1 thread)" in best[0]
    assert "(2 threads)" in best[1]
    assert overview(results).columns == ("read, 1 thread", "read, 2 threads")
    assert len(overview(results).rows) == 5


def test_the_same_ratio_in_another_order_is_another_row(synthetic: SimpleNamespace) -> None:
    records = [synthetic.make_record(p, "read") for p in ("0", "0,2", "0,0,2,2", "2")]
    results = synthetic.results(records, synthetic.make_run(4))
    assert [row[1] for row in overview(results).rows] == ["0", "0,0,2,2", "0,2", "2"]
    assert "1:1 (pattern 0,0,2,2)" in " ".join(advise(results).sentences)


def test_one_point_or_none_advises_nothing(synthetic: SimpleNamespace) -> None:
    for records in ([], [synthetic.make_record("0", "read")]):
        assert _advise(synthetic, records, synthetic.make_run(len(records))).sentences == ()


def test_a_truth_that_was_missed_is_a_caution(synthetic: SimpleNamespace) -> None:
    records = [synthetic.make_record(p, "read", bias=0.8) for p in synthetic.PATTERNS]
    (caution,) = _advise(synthetic, records, synthetic.make_run(5)).cautions
    assert "do not match the emulated model: 5 of 5 points" in caution
    assert _advise(synthetic, synthetic.sweep(), synthetic.make_run(15)).cautions == ()


def test_wide_intervals_are_a_caution(synthetic: SimpleNamespace) -> None:
    records = synthetic.sweep(emulated=False)
    result = records[2]["result"]
    result |= {"ci_low": result["median"] * 0.9, "ci_high": result["median"] * 1.05}
    (caution,) = _advise(synthetic, records, synthetic.make_run(15, emulated=False)).cautions
    assert caution.startswith("Unstable: the 95 % interval of 1 of 15 points")
    assert "read 1:1" in caution
