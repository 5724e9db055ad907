"""With --json standard output is one JSON value, whatever happens; everything else is on standard error."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from hmexp.memory.placers import PLACERS
from hmexp.sweep.preset import NAMES
from hmexp.system.caches import last_level_cache_bytes
from hmexp.system.near import near_dram
from hmexp.system.topology import read_topology
from tests.cli.conftest import Run

EXAMPLE = Path(__file__).resolve().parents[2] / "results" / "example"
NODE = str(near_dram(read_topology()))
QUICK = ("--pattern", NODE, "--size", "1MiB", "--samples", "3", "--sample-seconds", "0.001", "--json")


def copy_example(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for name in ("points.jsonl", "run.json"):
        shutil.copy(EXAMPLE / name, folder / name)
    return folder


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        (("nodes", "--json"), {"nodes", "notes", "limits"}),
        (("measure", *QUICK), {"operation", "result", "proof", "baseline", "emulated"}),
        (("latency", *QUICK), {"idle", "split"}),
        (("latency", "--stores", "nt", *QUICK), {"idle", "split"}),
    ],
)
def test_commands_that_look_at_this_machine(run: Run, words: tuple[str, ...], keys: set[str]) -> None:
    done = run(*words)
    assert done.status == 0, done.stderr
    assert set(json.loads(done.stdout)) >= keys
    assert len(done.stdout.splitlines()) == 1


def test_records_of_nodes_findings_placers_and_presets(run: Run) -> None:
    nodes = json.loads(run("nodes", "--json").stdout)["nodes"]
    assert [node["id"] for node in nodes] == [node.id for node in read_topology().nodes]
    done = run("doctor", "--json")
    diagnosis = json.loads(done.stdout)
    findings = diagnosis["findings"]
    assert {one["about"] for one in findings} >= {"NUMA library", "clock", "placer mbind", "results folder"}
    assert {one["severity"] for one in findings} <= {"fine", "worth knowing", "in the way"}
    # Whether other tests keep this machine busy or not: status, field and findings say the same.
    blocked = [one for one in findings if one["severity"] == "in the way"]
    assert diagnosis["ok"] is (not blocked) and done.status == (1 if blocked else 0)
    assert diagnosis["counts"]["in the way"] == len(blocked)
    assert [record["name"] for record in json.loads(run("placers", "--json").stdout)] == list(PLACERS)
    presets = json.loads(run("presets", "--json").stdout)
    assert [record["name"] for record in presets] == list(NAMES)
    for record in presets:
        assert record["obstacle"] is not None or record["launches"] >= record["points"] > 0


def test_report_and_compare(run: Run, tmp_path: Path) -> None:
    folder = copy_example(tmp_path / "a")
    record = json.loads(run("report", str(folder), "--json").stdout)
    assert record["report"] == str(folder / "report.html")
    assert all(Path(file).is_file() for file in record["files"])
    stored = [json.loads(line) for line in (folder / "points.jsonl").read_text().splitlines()]
    assert record["counts"]["ok"] == len(record["points"]) == len(stored)
    assert {point["point_id"] for point in record["points"]} == {point["point_id"] for point in stored}
    compared = run("compare", str(folder / "run.json"), str(copy_example(tmp_path / "b")), "--json")
    assert compared.status == 0
    assert json.loads(compared.stdout)["counts"]["no difference"] == len(stored)


@pytest.mark.parametrize(
    "words",
    [
        ("measure", "--pattern", "0;2", "--json"),
        ("latency", "--pattern", "1023", "--emulate", "none", "--json"),
        ("report", "nowhere", "--json"),
        ("compare", "nowhere", "nowhere", "--json"),
    ],
)
def test_an_error_leaves_standard_output_empty(run: Run, words: tuple[str, ...]) -> None:
    done = run(*words)
    assert done.status == 2
    assert done.stdout == ""
    assert done.stderr.startswith("hmexp: ") and "{" not in done.stderr


def test_how_loud_a_command_is(run: Run) -> None:
    size = ("--size", "1000000", *QUICK[4:])
    usual = run("measure", "--pattern", NODE, *size)
    assert "is rounded up to" in usual.stderr
    if (cache := last_level_cache_bytes()) is not None and cache > 1_000_000:
        assert "size 1000000 fits in the last-level cache" in usual.stderr
    quiet = run("measure", "-q", "--pattern", NODE, *size)
    assert quiet.stderr == ""
    for words in (("-v", "report", "nowhere"), ("report", "nowhere", "-v")):
        loud = run(*words)
        assert "hmexp.cli: " in loud.stderr and "Traceback" in loud.stderr
    assert "Traceback" not in run("report", "nowhere").stderr
