"""The notebooks of placers and of granularity, through papermill, tiny; and the same by the command."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hmexp.memory.placers import PLACERS
from hmexp.study.curves import CurveParameters
from hmexp.study.granularity import GranuleParameters
from hmexp.study.placers import PlacerParameters
from hmexp.system.topology import read_topology

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
ONE_NODE = len(read_topology().memory_nodes) == 1
TINY_PLACERS = [
    "-p",
    "size",
    "4MiB",
    "-p",
    "behaviour_size",
    "1MiB",
    "-p",
    "launches",
    "1",
    "-p",
    "pairs",
    "2",
]


def papermill(name: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "papermill", str(NOTEBOOKS / name), "out.ipynb", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=600)


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def shown(path: Path) -> str:
    return json.dumps([cell.get("outputs") for cell in json.loads(path.read_text())["cells"]])


@pytest.mark.slow
def test_placers(tmp_path: Path, machine_weights: Callable[[], None]) -> None:
    machine_weights()
    done = papermill("placers.ipynb", *TINY_PLACERS, "-y", 'limit_granules: ["2MiB"]', cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = tmp_path / "results" / "latest-placers"
    rows = {row["placer"]: row for row in read_rows(run / "placers.csv")}
    assert set(rows) == set(PLACERS)
    for row in rows.values():
        if row["not_measured"]:
            assert row["ns_per_page"] == "" and "->" not in row["not_measured"]
            continue
        assert float(row["ns_per_page"]) > 0 and float(row["of_plain"]) > 0
        # One launch has no interval.
        assert row["ns_low"] == row["ns_high"] == ""
        assert int(row["mappings"]) >= 1
        # A table covers 2 MiB, and may have been there for what is beside a region: of 4 MiB one is its own.
        assert float(row["page_table_bytes_per_page"]) >= 4
        assert float(row["misplaced: placed"]) == 0
    assert not rows["first_touch"]["not_measured"]
    far = read_rows(run / "one_tebibyte.csv")
    assert {row["region"] for row in far} == {"1TiB, EXTRAPOLATED"}
    assert next(row for row in far if row["placer"] == "mbind")["mappings"] == str(2**40 // 2**21)
    text = shown(tmp_path / "out.ipynb")
    assert text.count("image/png") == 3
    assert ("one node with memory" in text) == ONE_NODE

    # The same records, shown and not measured again.
    again = tmp_path / "again"
    again.mkdir()
    done = papermill("placers.ipynb", "-p", "records", str(run.resolve()), cwd=again)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in again.iterdir()} == {"out.ipynb"}
    assert shown(again / "out.ipynb").count("image/png") == 3


@pytest.mark.slow
def test_granularity(tmp_path: Path) -> None:
    arguments = [
        "-p",
        "size",
        "8MiB",
        "-p",
        "window",
        "1MiB",
        "-p",
        "samples",
        "2",
        "-p",
        "sample_seconds",
        "0.02",
    ]
    granules = 'granules: ["page", "64KiB", "2MiB"]'
    done = papermill(
        "granularity.ipynb", *arguments, "-p", "emulate", "9=optane-dcpmm", "-y", granules, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    run = tmp_path / "results" / "latest-granularity"
    rows = read_rows(run / "granules.csv")
    page = f"{os.sysconf('SC_PAGESIZE') // 1024}KiB"
    mixed = [row for row in rows if row["emulated"] == "True"]
    assert {(row["granule"], row["pages"]) for row in mixed} == {
        (page, "small pages"),
        ("64KiB", "small pages"),
        ("2MiB", "small pages"),
        ("2MiB", "2 MiB pages"),
    }
    assert {row["pages"] for row in rows if row["emulated"] == "False"} == {"small pages", "2 MiB pages"}
    for row in rows:
        assert row["misplaced"] == "0"
        assert float(row["gbps_low"]) <= float(row["gbps"]) <= float(row["gbps_high"])
        assert 0 < float(row["window_gbps_p5"]) <= float(row["window_gbps_p95"])
        assert 0 < float(row["window_ns_p5"]) <= float(row["window_ns_p95"])
    text = shown(tmp_path / "out.ipynb")
    assert text.count("image/png") == 2
    assert "EMULATED" in text
    # The price of small pages is that of real memory, whatever the rest is.
    assert "EMULATED" in (run / "figures" / "granularity.svg").read_text()
    assert "EMULATED" not in (run / "figures" / "translation_cost.svg").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("notebook", "arguments", "says"),
    [
        ("placers.ipynb", ["-p", "placer", "mbind"], "did you mean 'placers'"),
        ("placers.ipynb", ["-y", 'placers: ["by_hand"]'], "by_hand"),
        ("placers.ipynb", ["-p", "launches", "0"], "launches and pairs"),
        ("placers.ipynb", ["-p", "records", "nowhere"], "not a run directory"),
        ("granularity.ipynb", ["-p", "granule", "page"], "did you mean 'granules'"),
        ("granularity.ipynb", ["-y", 'granules: ["1TiB"]'], "1TiB"),
        ("granularity.ipynb", ["-p", "window", "1GiB"], "more than half of the region"),
        ("granularity.ipynb", ["-p", "threads", "99999"], "is not a number of threads here"),
        ("granularity.ipynb", ["-p", "huge", "perhaps"], "perhaps"),
    ],
)
def test_bad_input_fails_papermill_and_leaves_nothing(
    tmp_path: Path, refused: Callable[..., str], notebook: str, arguments: list[str], says: str
) -> None:
    assert says in refused(NOTEBOOKS / notebook, *arguments)
    assert {path.name for path in tmp_path.iterdir()} == {"out.ipynb"}


@pytest.mark.parametrize(
    ("notebook", "kind"),
    [
        ("placers.ipynb", PlacerParameters),
        ("granularity.ipynb", GranuleParameters),
        ("curves.ipynb", CurveParameters),
    ],
)
def test_the_parameters_cell_is_what_the_library_knows(
    notebook: str, kind: type[PlacerParameters] | type[GranuleParameters] | type[CurveParameters]
) -> None:
    cells = json.loads((NOTEBOOKS / notebook).read_text())["cells"]
    cell = next(cell for cell in cells if "parameters" in cell["metadata"].get("tags", []))
    source = "".join(cell["source"])
    values: dict[str, object] = {}
    exec(source, values)
    given = {name: value for name, value in values.items() if not name.startswith("__")}
    assert given.pop("records") == "none"
    assert kind.from_mapping(given) == kind()
    assert set(given) == set(kind().to_record())
    for line in source.splitlines():
        assert ": " in line.split("=")[0] and "  # " in line
        assert line.count("=") == 1  # papermill --help-notebook cannot read other lines


@pytest.mark.slow
def test_the_command_measures_and_goes_on(tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "hmexp", "study", "placers", "--results", str(tmp_path), "--run", "mine",
        "--placers", "first_touch", "--size", "1MiB", "--behaviour-size", "1MiB", "--launches", "1",
        "--limit-granules", "64KiB",
    ]  # fmt: skip
    for words in ("", "5 points are already measured"):
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        assert words in done.stderr
    lines = (tmp_path / "mine" / "points.jsonl").read_text().splitlines()
    assert len(lines) == 5  # one launch, three behaviours, one growing region: each measured once
    done = subprocess.run([*command, "--seed", "x"], capture_output=True, text=True)
    assert done.returncode == 2
    sweep = [sys.executable, "-m", "hmexp", "report", str(tmp_path / "mine")]
    assert "Traceback" not in subprocess.run(sweep, capture_output=True, text=True).stderr
