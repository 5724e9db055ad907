"""Runs as tables: nothing mixed up, nothing invented, and what cannot be read is refused."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

import hmexp
from hmexp.errors import ParameterError, StoreError
from hmexp.report.model.columns import POINT_COLUMNS
from hmexp.report.model.sample_columns import SAMPLE_COLUMNS
from hmexp.report.page.html import write_report
from hmexp.report.run.dataset import RUN_COLUMNS
from hmexp.store.parameters import LoopPoint

WriteRun = Callable[..., Path]
EXAMPLE = Path(__file__).resolve().parents[3] / "results" / "example"


def test_the_example_run_as_tables() -> None:
    data = hmexp.load(EXAMPLE)
    assert list(data.points.columns) == ["run", *(column.name for column in POINT_COLUMNS)]
    assert list(data.samples.columns) == ["run", *SAMPLE_COLUMNS]
    assert list(data.run.columns) == list(RUN_COLUMNS)
    records = [json.loads(line) for line in (EXAMPLE / "points.jsonl").read_text().splitlines()]
    rows = {str(row["point_id"]): row for row in data.points.to_dict("records")}
    assert len(rows) == len(data.points) == len(records)
    for record in records:
        row = rows[record["point_id"]]
        unit, other = ("gbps", "ns") if record["result"]["unit"] == "GB/s" else ("ns", "gbps")
        assert row[f"median_{unit}"] == record["result"]["median"]
        assert row[f"model_{unit}"] == record["model"]["value"]
        assert pd.isna(row[f"median_{other}"])
        assert row["pattern"] == record["parameters"]["pattern"]
        assert row["disturbed_samples"] == record["result"]["noise"]["disturbed"]
    # Each launch counts once, however many samples it took.
    launches = data.samples.groupby(["point_id", "launch"], sort=False).median(numeric_only=True)
    medians = launches.groupby("point_id", sort=False).median(numeric_only=True)
    for name, column in (("bandwidth_gbps", "median_gbps"), ("latency_ns", "median_ns")):
        again = data.points["point_id"].map(medians[name])
        assert (again.isna() == data.points[column].isna()).all()
        assert again.dropna().tolist() == pytest.approx(data.points[column].dropna().tolist(), rel=1e-5)
    assert len(data.samples) == sum(len(record["result"]["samples"]) for record in records)
    assert "EMULATED optane-dcpmm" in repr(data)
    assert data.points["median_gbps"].isna().sum() == data.points["median_ns"].notna().sum() == 5


def test_the_files_of_a_report_are_the_same_tables(tmp_path: Path, undrawn: None) -> None:
    """One list of columns, and one order of the rows, whichever way a person takes."""
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("points.jsonl", "run.json"):
        shutil.copy(EXAMPLE / name, folder)
    write_report(folder)
    data = hmexp.load(folder)
    for name, frame in (("points.csv", data.points), ("samples.csv", data.samples)):
        assert frame.drop(columns="run").to_csv(index=False) == (folder / name).read_text(), name


def test_several_runs_keep_their_names(synthetic: SimpleNamespace, write_run: WriteRun) -> None:
    first = write_run(synthetic.sweep(), synthetic.make_run(15), "a")
    second = write_run(synthetic.sweep(emulated=False), synthetic.make_run(15, emulated=False, name="b"), "b")
    data = hmexp.load([first, second])
    assert data.run["run"].tolist() == ["sweep-20261123-150000-ab12cd", "b"]
    assert data.points.groupby("run").size().tolist() == [15, 15]
    assert data.points.groupby("run")["emulated"].all().tolist() == [False, True]
    assert hmexp.load(first.parent).run["run"].tolist() == data.run["run"].tolist()
    assert hmexp.load({"old": first, "new": second}).run["run"].tolist() == ["old", "new"]


def test_the_same_name_twice_is_two_runs_and_the_same_folder_twice_is_one(
    synthetic: SimpleNamespace, write_run: WriteRun
) -> None:
    here = write_run(synthetic.sweep(), synthetic.make_run(15), "here")
    there = write_run(synthetic.sweep(), synthetic.make_run(15), "there")
    names = hmexp.load([here, there]).run["run"].tolist()
    assert names == ["sweep-20261123-150000-ab12cd", str(there)]
    assert len(hmexp.load([here, here]).run) == 1


def test_a_failed_point_is_a_row_without_numbers(synthetic: SimpleNamespace, write_run: WriteRun) -> None:
    records = [synthetic.fail(synthetic.make_record("0,2", "read"), "lost pages"), *synthetic.sweep()]
    data = hmexp.load(write_run(records[:2], synthetic.make_run(2)))
    points = data.points.set_index("pattern")
    assert tuple(points.loc["0,2", ["status", "reason"]]) == ("failed", "lost pages")
    assert points["median_gbps"].isna().to_dict() == {"0": False, "0,2": True}
    assert set(data.samples["point_id"]) == {points.loc["0", "point_id"]}
    assert data.run["failed"].tolist() == [1]


def test_the_last_record_of_a_point_counts_and_a_torn_line_does_not(
    synthetic: SimpleNamespace, write_run: WriteRun
) -> None:
    good = synthetic.make_record("0", "read")
    folder = write_run([synthetic.fail(good), good], synthetic.make_run(2))
    with (folder / "points.jsonl").open("a") as file:
        file.write(json.dumps(synthetic.make_record("2", "read"))[:200])
    assert hmexp.load(folder).points["status"].tolist() == ["ok"]


def test_every_parameter_of_a_point_is_a_column(synthetic: SimpleNamespace, write_run: WriteRun) -> None:
    given: dict[str, tuple[object, object]] = {
        "access": ("sequential", "random_line"), "cpu_node": ("near", "2"), "precision": (0.0, 0.01),
        "most_samples": (10, 20), "sample_seconds": (0.05, 0.1), "emulate": ("2=a", "2=b"),
        "threads": (1, 2), "size_bytes": (1 << 28, 1 << 30), "granule_bytes": (4096, 2 << 20),
        "placer": ("first_touch", "mbind"),
    }  # fmt: skip
    records = [
        synthetic.make_record("0", "read", **{name: values[n] for name, values in given.items()})
        for n in range(2)
    ]
    points = hmexp.load(write_run(records, synthetic.make_run(2))).points.sort_values("threads")
    for name, values in given.items():
        assert tuple(points[name]) == values, name
    assert set(LoopPoint.__struct_fields__) <= set(points.columns)


@pytest.mark.parametrize("where", ["run.json", "points.jsonl"])
def test_a_newer_schema_is_refused_by_name(where: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(EXAMPLE, folder)
    text = (folder / where).read_text()
    newer = re.sub(r'"schema": ?\d+', '"schema":99', text, count=1)
    (folder / where).write_text(newer)
    with pytest.raises(StoreError, match=rf"{where} has schema 99; this hmexp reads schema") as error:
        hmexp.load(folder)
    assert "hmexp that wrote it" in (error.value.remedy or "")


def test_a_run_without_points_and_what_is_no_run(
    synthetic: SimpleNamespace, write_run: WriteRun, tmp_path: Path
) -> None:
    data = hmexp.load(write_run([], synthetic.make_run(0)))
    assert (len(data.points), len(data.samples), len(data.run)) == (0, 0, 1)
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "missing"):
        with pytest.raises(StoreError, match="not a run directory"):
            hmexp.load(folder)
    with pytest.raises(ParameterError, match="no run is given"):
        hmexp.load([])


def test_a_worker_need_not_wait_for_pandas() -> None:
    code = "import sys, hmexp.experiment.worker; sys.exit('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
