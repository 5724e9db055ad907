"""The tables: columns, failed rows, where the model comes from."""

from __future__ import annotations

import csv
import importlib.util
import re
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from hmexp.errors import StoreError
from hmexp.report.model.tables import write_csv

#: Of points.csv, of `hmexp.load` and of what a notebook's `points` has: programs of others read them by name.
POINT_COLUMNS = (
    "point_id,status,reason,pattern,ratio,dram_share,placer,granule_bytes,size_bytes,page_bytes,"
    "frame_run_pages,threads,operation,access,shape,vector_bits,cpu_node,sample_seconds,precision,most_samples,emulate,"
    "unit,samples,median,ci_low,ci_high,mad,minimum,maximum,"
    "median_gbps,ci_low_gbps,ci_high_gbps,mad_gbps,minimum_gbps,maximum_gbps,"
    "median_ns,ci_low_ns,ci_high_ns,mad_ns,minimum_ns,maximum_ns,"
    "emulated,profile,timing_valid,proof_ok,pages,pages_expected,pages_found,modelled_pages,misplaced_pages,"
    "misplaced_before,misplaced_after,absent_pages,numa_maps_agrees,model,model_gbps,model_ns,model_error_percent,"
    "setup_ns_per_page,started,elapsed_seconds,launches,interval_over,stopped,disturbed_samples,huge_share,"
    "added_baseline,baseline_id,of_dram,of_dram_low,of_dram_high"
)
SAMPLE_COLUMNS = (
    "point_id,pattern,ratio,operation,dram_share,threads,launch,sample,value,unit,bandwidth_gbps,latency_ns,"
    "sample_seconds,payload_bytes,disturbed,disturbances,emulated,timing_valid"
)


def _written(frame: pd.DataFrame, folder: Path) -> list[dict[str, str]]:
    with write_csv(frame, folder / "table.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_columns_are_those_of_the_contract(synthetic: SimpleNamespace, tmp_path: Path) -> None:
    run = synthetic.make_run(15)
    for frame, columns in (
        (synthetic.points(synthetic.sweep(), run), POINT_COLUMNS),
        (synthetic.samples(synthetic.sweep(), run), SAMPLE_COLUMNS),
        (synthetic.points([], run), POINT_COLUMNS),
        (synthetic.samples([], run), SAMPLE_COLUMNS),
    ):
        assert write_csv(frame, tmp_path / "t.csv").read_text().splitlines()[0] == columns


def test_the_page_of_columns_is_what_the_tables_have() -> None:
    root = Path(__file__).resolve().parents[3]
    spec = importlib.util.spec_from_file_location("columns_page", root / "tools" / "columns_page.py")
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    text = (root / "docs" / "reference" / "columns.md").read_text()
    assert text == tool.page(), "run tools/columns_page.py"
    named = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert named == [*POINT_COLUMNS.split(","), *SAMPLE_COLUMNS.split(",")]


def test_a_point_is_a_row_with_its_proof(synthetic: SimpleNamespace, tmp_path: Path) -> None:
    (row,) = _written(
        synthetic.points([synthetic.make_record("0,2,2", "read")], synthetic.make_run(1)), tmp_path
    )
    assert row["ratio"] == "1:2"
    assert row["samples"] == "10"
    assert row["proof_ok"] == "True"
    assert row["pages_expected"] == row["pages_found"] == "0:65536"
    assert row["modelled_pages"] == "0:21846 2:43690"
    assert row["misplaced_before"] == row["misplaced_after"] == row["absent_pages"] == "0"
    assert (row["emulated"], row["profile"], row["timing_valid"]) == ("True", "optane-dcpmm", "True")
    assert float(row["model"]) == pytest.approx(9.0)
    assert float(row["model_error_percent"]) == pytest.approx(
        (float(row["median"]) / float(row["model"]) - 1) * 100
    )


@pytest.mark.parametrize(
    ("pattern", "ratio"), [("0", "1:0"), ("2", "0:1"), ("0,0,2,2", "1:1"), ("2,0,0,0", "3:1")]
)
def test_ratio_is_reduced_and_dram_first(synthetic: SimpleNamespace, pattern: str, ratio: str) -> None:
    frame = synthetic.points([synthetic.make_record(pattern, "read")], synthetic.make_run(1))
    assert frame["ratio"].tolist() == [ratio]


def test_a_failed_point_has_a_reason_and_no_numbers(synthetic: SimpleNamespace, tmp_path: Path) -> None:
    record = synthetic.fail(synthetic.make_record("0,2", "write", misplaced=3), 'says "no",\nand why')
    record["proof"]["after"] = None
    (row,) = _written(synthetic.points([record], synthetic.make_run(1)), tmp_path)
    assert row["status"] == "failed"
    assert row["reason"] == 'says "no",\nand why'
    assert [row[name] for name in ("samples", "median", "ci_low", "mad", "unit", "model_error_percent")] == [
        ""
    ] * 6
    assert (row["proof_ok"], row["misplaced_before"], row["misplaced_after"]) == ("False", "3", "")
    assert synthetic.samples([record], synthetic.make_run(1)).empty


def test_a_point_that_died_before_its_setup_is_a_row(synthetic: SimpleNamespace, tmp_path: Path) -> None:
    record = {
        "schema": 1, "point_id": "ab", "status": "failed", "reason": "killed by signal 9",
        "parameters": synthetic.make_record("0,2", "read", threads=3)["parameters"], "result": None,
        "setup": None, "proof": None,
    }  # fmt: skip
    (row,) = _written(synthetic.points([record], synthetic.make_run(1)), tmp_path)
    assert (row["point_id"], row["proof_ok"], row["threads"], row["ratio"]) == ("ab", "", "3", "1:1")
    assert [row[name] for name in ("page_bytes", "pages", "setup_ns_per_page", "elapsed_seconds")] == [""] * 4


def test_numbers_that_are_none_are_empty(synthetic: SimpleNamespace, tmp_path: Path) -> None:
    record = synthetic.make_record("0", "read")
    record["result"]["mad"] = float("nan")
    record["result"]["maximum"] = float("inf")
    (row,) = _written(synthetic.points([record], synthetic.make_run(1)), tmp_path)
    assert (row["mad"], row["maximum"]) == ("", "")


def test_real_nodes_take_their_model_from_the_measured_endpoints(synthetic: SimpleNamespace) -> None:
    records = synthetic.sweep(emulated=False)
    frame = synthetic.points(records, synthetic.make_run(15, emulated=False)).set_index(
        ["operation", "pattern"]
    )
    for operation in ("read", "write", "latency"):
        dram, slow = (float(frame.loc[(operation, end), "median"]) for end in ("0", "2"))
        share = 21846 / 65536
        expected = (
            share * dram + (1 - share) * slow
            if operation == "latency"
            else min(dram / share, slow / (1 - share))
        )
        assert float(frame.loc[(operation, "0,2,2"), "model"]) == pytest.approx(expected)
        # There the model is the measurement.
        assert pd.isna(frame.loc[(operation, "0"), "model_error_percent"])
    assert "measured endpoints" in frame.attrs["model_source"]


def test_endpoints_of_other_parameters_or_failed_ones_do_not_count(synthetic: SimpleNamespace) -> None:
    make, run = synthetic.make_record, synthetic.make_run(3, emulated=False)
    other = [make("0", "read", emulated=False), make("2", "read", emulated=False, threads=1)]
    failed = [make("0", "read", emulated=False), synthetic.fail(make("2", "read", emulated=False))]
    for ends in (other, failed, []):
        frame = synthetic.points([make("0,2", "read", emulated=False), *ends], run)
        assert frame["model"].isna().all()
        assert "missing" in frame.attrs["model_source"]


def test_mixtures_of_several_nodes_need_endpoints_of_the_same_mix(synthetic: SimpleNamespace) -> None:
    make = synthetic.make_record
    run = synthetic.make_run(4, emulated=False, dram_nodes=[0, 1])
    names = ["0,1,2", "0", "2"]
    frame = synthetic.points([make(name, "read", emulated=False) for name in names], run).set_index("pattern")
    assert pd.isna(frame.loc["0,1,2", "model"])
    both = make("0,1", "read", emulated=False) | {"dram_share": 1.0}
    frame = synthetic.points([both, *(make(name, "read", emulated=False) for name in names)], run).set_index(
        "pattern"
    )
    assert not pd.isna(frame.loc["0,1,2", "model"])


def test_samples_are_all_there_in_order(synthetic: SimpleNamespace) -> None:
    record = synthetic.make_record("0,2", "latency", samples=7)
    record["result"]["payload_bytes"] = []
    frame = synthetic.samples([record], synthetic.make_run(1))
    assert frame["value"].tolist() == record["result"]["samples"]
    assert frame["sample"].tolist() == list(range(7))
    assert frame["payload_bytes"].isna().all()


def test_a_table_that_cannot_be_written_says_so_and_leaves_nothing(
    synthetic: SimpleNamespace, tmp_path: Path
) -> None:
    target = tmp_path / "points.csv"
    target.mkdir()
    with pytest.raises(StoreError, match=r"points\.csv cannot be written"):
        write_csv(synthetic.points([], synthetic.make_run(0)), target)
    assert list(tmp_path.iterdir()) == [target]


def test_launches_disturbances_and_the_multiple_of_dram_are_columns(
    synthetic: SimpleNamespace, tmp_path: Path
) -> None:
    record = synthetic.make_record("0,2", "read", samples=4)
    quiet: list[str] = []
    record["result"] |= {
        "interval_over": "launches",
        "noise": {"flags": [quiet, ["preempted", "steal"], quiet, quiet]},
        "launches": [
            {"n": 3, "median": 1.0, "details": {"stop": {"stopped": "precision", "least": 3, "most": 9}}},
            {"n": 1, "median": 1.0, "details": {"stop": {"stopped": "cap", "least": 1, "most": 1}}},
        ],
    }
    moved = record["proof"]["after"] | {"ok": False}
    record["launches"] = [{"proof": record["proof"]}, {"proof": record["proof"] | {"after": moved}}]
    record |= {"baseline_id": "b", "of_dram": {"median": 0.5, "ci_low": 0.4, "ci_high": 0.6}}
    added = synthetic.make_record("0", "read") | {"added": True}
    rows = _written(synthetic.points([record, added], synthetic.make_run(2)), tmp_path)
    row = next(row for row in rows if row["pattern"] == "0,2")
    assert (row["launches"], row["interval_over"], row["stopped"]) == ("2", "launches", "precision 1, cap 1")
    assert (row["disturbed_samples"], row["of_dram"], row["baseline_id"]) == ("1", "0.5", "b")
    assert row["proof_ok"] == "False"  # of the second launch
    assert {row["pattern"]: row["added_baseline"] for row in rows} == {"0": "True", "0,2": "False"}
    samples = _written(synthetic.samples([record], synthetic.make_run(1)), tmp_path)
    assert [s["launch"] for s in samples] == ["0", "0", "0", "1"]
    assert [s["disturbances"] for s in samples] == ["", "preempted steal", "", ""]
    assert [s["disturbed"] for s in samples] == ["False", "True", "False", "False"]
