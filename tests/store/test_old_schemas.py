"""Runs of earlier schemas are loaded, reported, compared and resumed; figures are held to their raw JSON."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

import hmexp
from hmexp.cli.main import main
from hmexp.errors import StoreError
from hmexp.report.comparison.verdicts import compare
from hmexp.store.reader import POINTS, RUN, read_points, read_run, read_statuses
from hmexp.store.records import PointRecord, RunRecord
from hmexp.store.results import CostRecord, Measured
from hmexp.store.run import open_run
from hmexp.store.schema import SCHEMA

FIXTURES = Path(__file__).with_name("fixtures")
SWEEPS = ("schema-1", "schema-2")
RUNS = (*SWEEPS, "study-1")
Raw = list[dict[str, Any]]


def whole(folder: Path) -> None:
    """Leave it as it was stored."""


def torn(folder: Path) -> None:
    """A writer was killed within its last line."""
    file = folder / POINTS
    file.write_bytes(file.read_bytes()[:-100])


def novel(folder: Path) -> None:
    """A later hmexp has added fields, but changed no meaning."""
    lines = [json.loads(line) for line in (folder / POINTS).read_text().splitlines()]
    for record in lines:
        record["novel"] = {"a": [1, {"b": None}]}
        for part in ("parameters", "result", "proof", "machine"):
            if record.get(part):
                record[part]["novel"] = 7
    (folder / POINTS).write_text("".join(json.dumps(record) + "\n" for record in lines))
    run = json.loads((folder / RUN).read_text())
    run["novel"] = run["nodes"][0]["novel"] = ["x"]
    (folder / RUN).write_text(json.dumps(run))


def novel_and_torn(folder: Path) -> None:
    """Both."""
    novel(folder)
    torn(folder)


every_state = pytest.mark.parametrize("change", [whole, torn, novel])


def prepared(tmp_path: Path, name: str, change: Callable[[Path], None]) -> tuple[Path, Raw]:
    """A copy of a fixture, and its complete lines by Python's own JSON."""
    folder = tmp_path / name
    shutil.copytree(FIXTURES / name, folder)
    change(folder)
    lines = (folder / POINTS).read_text().split("\n")
    return folder, [json.loads(line) for line in lines[:-1]]


def test_the_fixtures_are_of_the_schemas_that_they_say() -> None:
    for name in RUNS:
        records = [json.loads(line) for line in (FIXTURES / name / POINTS).read_text().splitlines()]
        assert {record["schema"] for record in records} == {int(name[-1])}
        assert all(("kind" in record) is (name == "study-1") for record in records)
        assert all("kind" not in record["parameters"] for record in records)


@every_state
@pytest.mark.parametrize("name", RUNS)
def test_every_value_is_read(tmp_path: Path, name: str, change: Callable[[Path], None]) -> None:
    folder, raw = prepared(tmp_path, name, change)
    assert read_run(folder).plan == json.loads((folder / RUN).read_text())["plan"]
    records = read_points(folder / POINTS)
    assert list(records) == [record["point_id"] for record in raw]
    assert read_statuses(folder / POINTS) == {record["point_id"]: record["status"] for record in raw}
    for record in raw:
        require_same(record, records[record["point_id"]])


def require_same(raw: dict[str, Any], record: PointRecord) -> None:
    assert record.schema == SCHEMA
    assert record.kind == raw.get("kind", "loop")
    assert (record.status, record.reason, record.started) == (raw["status"], raw["reason"], raw["started"])
    given = {name: value for name, value in raw["parameters"].items() if name != "novel"}
    found = json.loads(msgspec.json.encode(record.parameters))
    assert {name: found[name] for name in given} == given
    result = raw["result"]
    if isinstance(record.result, Measured):
        assert list(record.result.samples) == result["samples"]
        assert (record.result.median, record.result.ci_low) == (result["median"], result["ci_low"])
        assert record.result.details is not None
        assert record.result.details.access == result["details"]["order"]
        assert [launch.median for launch in record.result.launches] == [
            launch["median"] for launch in result.get("launches", [])
        ]
        assert record.proof is not None and record.proof.after is not None
        assert {str(node): n for node, n in record.proof.after.found.items()} == raw["proof"]["after"][
            "found"
        ]
        assert record.setup is not None and record.setup.ns_per_page == raw["setup"]["ns_per_page"]
        assert record.model is not None and record.model.value == raw["model"]["value"]
    elif isinstance(record.result, CostRecord):
        assert list(record.result.ratio) == result["ratio"]
        assert [cost.ns_per_page for cost in record.result.placed] == [
            cost["ns_per_page"] for cost in result["placed"]
        ]
    else:
        assert (record.result is None) is (result is None)


@every_state
@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep_is_loaded_as_tables(tmp_path: Path, name: str, change: Callable[[Path], None]) -> None:
    folder, raw = prepared(tmp_path, name, change)
    data = hmexp.load(folder)
    medians = dict(zip(data.points["point_id"], data.points["median"], strict=True))
    assert medians == {record["point_id"]: record["result"]["median"] for record in raw}
    samples = {str(point): list(rows["value"]) for point, rows in data.samples.groupby("point_id")}
    assert samples == {record["point_id"]: record["result"]["samples"] for record in raw}
    described = json.loads((folder / RUN).read_text())
    assert list(data.run["kernel"]) == [described["provenance"]["kernel"]]


@pytest.mark.usefixtures("blank_pictures")
@pytest.mark.parametrize("name", RUNS)
def test_a_run_is_reported_again(tmp_path: Path, name: str) -> None:
    """Torn and with novel fields at once: figures take long."""
    folder, raw = prepared(tmp_path, name, novel_and_torn)
    before = (folder / POINTS).read_bytes()
    with pytest.raises(SystemExit) as ended:
        sys.exit(main(["report", str(folder)]))
    # A run of which points are missing is reported, and is no success.
    planned = json.loads((folder / RUN).read_text())["points"]
    assert ended.value.code == int(planned > len(raw))
    assert (folder / POINTS).read_bytes() == before
    rows = list(csv.DictReader((folder / "points.csv").read_text().splitlines()))
    statuses = {record["point_id"]: record["status"] for record in raw}
    assert {row["point_id"]: row["status"] for row in rows} == statuses
    if name in SWEEPS:
        found = {row["point_id"]: float(row["median"]) for row in rows}
        medians = {record["point_id"]: record["result"]["median"] for record in raw}
        assert found == pytest.approx(medians, rel=1e-4)
        assert "EMULATED" in (folder / "report.html").read_text()
    else:
        # A study has a page, tables and figures of its own; a sweep's page would call its points failed.
        assert "placer" in (folder / "report.html").read_text()
        assert (folder / "placers.csv").stat().st_size > 0
        assert {path.suffix for path in (folder / "figures").iterdir()} == {".svg", ".png"}


@every_state
@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep_is_compared_with_itself_made_slower(
    tmp_path: Path, name: str, change: Callable[[Path], None]
) -> None:
    folder, raw = prepared(tmp_path, name, change)
    slower = tmp_path / "slower"
    shutil.copytree(folder, slower)
    lines = json.loads(json.dumps(raw))
    for record in lines:
        result = record["result"]
        factor = 0.5 if result["unit"] == "GB/s" else 2.0
        result["samples"] = [value * factor for value in result["samples"]]
        for part in (result, *result.get("launches", [])):
            part["median"] *= factor
    (slower / POINTS).write_text("".join(json.dumps(record) + "\n" for record in lines))
    compared = compare(folder, slower)
    assert compared.counts == {"slower": len(raw), "faster": 0, "not comparable": 0, "no difference": 0}
    same = compare(folder, folder)
    assert same.counts["no difference"] == len(raw)
    medians = {record["point_id"]: record["result"]["median"] for record in raw}
    assert {point.a.point_id: point.a.median for point in compared.points} == medians


@every_state
@pytest.mark.parametrize("name", RUNS)
def test_a_run_is_resumed(tmp_path: Path, name: str, change: Callable[[Path], None]) -> None:
    folder, raw = prepared(tmp_path, name, change)
    kept = b"".join((folder / POINTS).read_bytes().splitlines(keepends=True)[: len(raw)])
    run = read_run(folder)
    described = RunRecord(name="", plan=run.plan, study=run.study)
    with open_run(tmp_path, name, described, lambda _: None) as directory:
        assert directory.run == run
        done = {record["point_id"] for record in raw if record["status"] in ("ok", "skipped")}
        assert directory.finished_points() == done
        assert (folder / POINTS).read_bytes() == kept
        again = msgspec.structs.replace(directory.records()[0], reason="measured again")
        directory.append(again)
        directory.update(msgspec.structs.replace(run, counts={"ok": 1}))
    assert (folder / POINTS).read_bytes().startswith(kept)
    assert read_points(folder / POINTS)[again.point_id] == again
    assert read_run(folder).counts == {"ok": 1} and read_run(folder).nodes == run.nodes
    with pytest.raises(StoreError, match="made with other parameters"):
        open_run(tmp_path, name, RunRecord(name="", plan="another"), lambda _: None)
