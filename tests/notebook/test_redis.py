"""The notebook of a Redis, through papermill, tiny: to its end, and again from its records."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hmexp.notebook.redis import RedisNotebook
from hmexp.program.redis.parameters import RedisParameters
from hmexp.system.topology import read_topology

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "redis.ipynb"
ONE_NODE = len(read_topology().memory_nodes) == 1
TINY = [
    "-p", "data", "8MiB", "-p", "rate", "1000", "-p", "seconds", "0.3", "-p", "launches", "1", "-p",
    "settle_seconds", "20", "-p", "prices", "10,3", "-y",
    'reads: ["50"]\nvalues: ["100B"]\nratios: ["1:0", "1:1"]',
]  # fmt: skip


def papermill(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "papermill", str(NOTEBOOK), "out.ipynb", "--no-progress-bar", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=600)


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def shown(path: Path) -> str:
    return json.dumps([cell.get("outputs") for cell in json.loads(path.read_text())["cells"]])


@pytest.mark.slow
def test_it_measures_and_shows_its_records_again(tmp_path: Path, redis_here: None) -> None:
    done = papermill(*TINY, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = tmp_path / "results" / "latest-redis"
    ratios = ["1:0"] if ONE_NODE else ["1:0", "1:1"]
    rows = read_rows(run / "requests.csv")
    assert [row["ratio"] for row in rows] == ratios
    for row in rows:
        assert (row["values"], row["reads"]) == ("100", "50")
        assert float(row["throughput [requests/s]"]) > 0
        assert 0 < float(row["p50 [us]"]) <= float(row["p99 [us]"]) <= float(row["p99_9 [us]"])
        assert float(row["misplaced_share"]) < 0.05
    dumps = read_rows(run / "dumps.csv")
    assert [row["ratio"] for row in dumps] == ratios
    for row in dumps:
        assert float(row["fork [ms]"]) > 0 and float(row["minor_faults [faults]"]) > 0
        # The server's and the child's pages were looked at: more than 8 MiB of data in each.
        for who in ("server", "child"):
            pages = float(row[f"{who}_in_place [pages]"]) + float(row[f"{who}_misplaced [pages]"])
            assert pages * 4096 > 6 << 20
    text = shown(tmp_path / "out.ipynb")
    assert "No verdict: " in text or "Not judged" in text or "open" in text
    assert ("No verdict: this machine has one node with memory" in text) == ONE_NODE
    # Three figures, and the picture that controls would change.
    assert text.count("image/png") == 4
    assert "price_of_all_dram" in text

    # The same records, shown and not measured again.
    before = {path.name for path in run.iterdir()}
    shown_again = RedisNotebook({"records": str(run), "prices": "10,5"})
    shown_again.run()
    assert list(shown_again.requests()["price_of_all_dram"]) == ([1.0] if ONE_NODE else [1.0, 0.75])
    assert ("one node with memory" in shown_again.verdict().text) == ONE_NODE
    assert shown_again.figure("redis_latency").png.startswith(b"\x89PNG")
    shown_again.require_complete()
    assert {path.name for path in run.iterdir()} == before


def test_bad_input_fails_papermill_and_leaves_nothing(
    tmp_path: Path, refused: Callable[..., str], redis_here: None
) -> None:
    assert "did you mean 'prices'" in refused(NOTEBOOK, "-p", "price", "10,3")
    assert {path.name for path in tmp_path.iterdir()} == {"out.ipynb"}


def test_the_parameters_cell_is_what_the_library_knows() -> None:
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    cell = next(cell for cell in cells if "parameters" in cell["metadata"].get("tags", []))
    source = "".join(cell["source"])
    values: dict[str, object] = {}
    exec(source, values)
    given = {name: value for name, value in values.items() if not name.startswith("__")}
    assert (given.pop("records"), given.pop("prices"), given.pop("keep")) == ("none", "none", 0.9)
    assert RedisParameters.from_mapping(given) == RedisParameters()
    assert set(given) == set(RedisParameters().to_record())
    for line in source.splitlines():
        assert ": " in line.split("=")[0] and "  # " in line
        assert line.count("=") == 1  # papermill --help-notebook cannot read other lines


@pytest.mark.parametrize(
    "bad",
    [{"keys": "hot"}, {"keys": "0"}, {"dump": "maybe"}, {"reads": ("101",)}, {"way": "by hand"},
     {"values": ("9B",)}, {"threads": 99}, {"launches": 0}],
)  # fmt: skip
def test_what_cannot_be_measured_is_refused(bad: dict[str, object], redis_here: None) -> None:
    from hmexp.errors import ParameterError
    from hmexp.program.redis.study import make_redis_study

    [name] = bad
    with pytest.raises(ParameterError, match=name):
        make_redis_study(RedisParameters(**{"data": "8MiB", **bad}), read_topology())  # type: ignore[arg-type]
