"""`hmexp runs` on copies of a stored run."""

from __future__ import annotations

import importlib.util
import json
import random
import shutil
from pathlib import Path

import msgspec
import pandas as pd
import pytest

from hmexp.store.reader import POINTS, RUN, read_points, read_run
from hmexp.store.results import Measured
from hmexp.store.writer import encode, encode_run

from .conftest import Run

EXAMPLE = Path(__file__).resolve().parents[2] / "results" / "example"


def copy(results: Path, name: str, day: int = 1, speed: float = 1.0) -> Path:
    """The example as it would have been on another day, at another speed."""
    folder = results / name
    folder.mkdir(parents=True)
    run = msgspec.structs.replace(read_run(EXAMPLE), name=name, started=f"2027-01-{day:02}T10:00:00+00:00")
    (folder / RUN).write_bytes(encode_run(run))
    with (folder / POINTS).open("wb") as lines:
        for record in list(read_points(EXAMPLE / POINTS).values())[:6]:
            assert isinstance(record.result, Measured)
            result = msgspec.structs.replace(record.result, median=record.result.median * speed)
            lines.write(encode(msgspec.structs.replace(record, result=result)) + b"\n")
    return folder


def days(results: Path, speeds: list[float]) -> None:
    for number, speed in enumerate(speeds):
        copy(results, f"day-{number:02}", number + 1, speed)


def test_runs_are_listed_with_what_they_are_and_broken_ones_with_why(run: Run, tmp_path: Path) -> None:
    copy(tmp_path / "r", "one")
    copy(tmp_path / "r", "two", 2)
    (tmp_path / "r" / "latest").symlink_to("two")
    broken = copy(tmp_path / "r", "broken")
    (broken / RUN).write_text("{")
    done = run("runs", "list", "--results", "r")
    assert done.status == 0
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["run", "broken", "one", "two"]
    assert "unreadable" in lines[1] and "damaged" in lines[1]
    assert "6 of 35" in lines[2] and "EMULATED optane-dcpmm" in lines[2]
    found = json.loads(run("runs", "list", "--results", "r", "--json").stdout)
    assert found[1]["counts"] == {"ok": 6, "failed": 0, "skipped": 0}
    assert "EMULATED" in run("runs", "show", "latest", "--results", "r").stdout
    assert run("runs", "show", "three", "--results", "r").status == 2
    assert run("runs", "list", "--results", "nowhere").status == 2


def test_tags_are_kept_found_and_taken_away(run: Run, tmp_path: Path) -> None:
    copy(tmp_path / "r", "one")
    copy(tmp_path / "r", "two", 2)
    assert run("runs", "tag", "one", "quiet", "baseline", "--results", "r").status == 0
    assert read_run(tmp_path / "r" / "one").tags == ("quiet", "baseline")
    names = json.loads(run("runs", "list", "--tag", "quiet", "--results", "r", "--json").stdout)
    assert [row["name"] for row in names] == ["one"]
    assert run("runs", "tag", "r/one", "quiet", "--remove", "--results", "r").stdout == "one: baseline\n"
    refused = run("runs", "tag", "one", "quiet", "--remove", "--results", "r")
    assert refused.status == 2 and "it has: baseline" in refused.stderr
    assert run("runs", "tag", "one", "two words", "--results", "r").status == 2


def test_a_run_is_removed_with_its_links_and_nothing_else(run: Run, tmp_path: Path) -> None:
    results = tmp_path / "r"
    for name in ("one", "two", "three"):
        copy(results, name)
    (results / "latest").symlink_to("two")
    (results / "one" / "notes.txt").write_text("mine")
    run("runs", "tag", "three", "keep", "--results", "r")
    for name, why in (("one", "notes.txt"), ("three", "the tag keep"), ("two", "use --yes")):
        refused = run("runs", "rm", name, "--results", "r")
        assert refused.status == 2 and why in refused.stderr
    assert run("runs", "rm", "latest", "--yes", "--results", "r").status == 0
    assert sorted(path.name for path in results.iterdir()) == ["one", "three"]
    assert run("runs", "rm", "one", "three", "--yes", "--force", "--results", "r").status == 0
    assert not list(results.iterdir())
    assert run("runs", "rm", str(tmp_path), "--yes", "--force").status == 2 and tmp_path.exists()


def test_a_trend_names_the_run_at_which_the_level_changed(run: Run, tmp_path: Path) -> None:
    noise = random.Random(7)
    days(tmp_path / "r", [(0.9 if day >= 5 else 1.0) * (1 + noise.gauss(0, 0.004)) for day in range(9)])
    done = run("runs", "trend", "--results", "r", "--operation", "read", "--ratio", "1:1")
    assert done.status == 0
    marked = [line for line in done.stdout.splitlines() if "<-" in line]
    assert len(marked) == 1 and "day-05" in marked[0] and "slower: -10." in marked[0].replace("-9.", "-10.")
    assert "of its model" in done.stdout and "the level of 1 changed" in done.stdout
    found = json.loads(run("runs", "trend", "--results", "r", "--json").stdout)
    assert len(found) == 6 and all(each["changed"] and len(each["runs"]) == 9 for each in found)


def test_a_trend_says_what_it_cannot_follow(run: Run, tmp_path: Path) -> None:
    days(tmp_path / "r", [1.0, 1.01, 0.99])
    run_file = tmp_path / "r" / "day-01" / RUN
    record = read_run(run_file.parent)
    assert record.provenance is not None
    other = msgspec.structs.replace(record.provenance, cpu_model="another")
    run_file.write_bytes(encode_run(msgspec.structs.replace(record, provenance=other)))
    shutil.copytree(tmp_path / "r" / "day-00", tmp_path / "r" / "torn")
    (tmp_path / "r" / "torn" / POINTS).write_text("nonsense\n")
    done = run("runs", "trend", "--results", "r", "--operation", "read", "--ratio", "1:1")
    assert "left out: day-01: measured on another CPU: another" in done.stdout
    assert "in fewer than 5 comparable runs" in done.stdout and "torn" in done.stderr
    assert run("runs", "trend", "--results", "r", "--operation", "nothing").status == 1


@pytest.mark.parametrize("words", [("runs",), ("runs", "rm"), ("runs", "tag", "one"), ("runs", "lisst")])
def test_what_is_no_action_is_refused(run: Run, words: tuple[str, ...]) -> None:
    assert run(*words).status == 2


def test_three_runs_are_compared_with_the_first(run: Run, tmp_path: Path) -> None:
    for name, speed in (("one", 1.0), ("two", 1.0), ("slow", 0.8)):
        copy(tmp_path / "r", name, speed=speed)
    done = run("compare", "r/one", "r/two", "r/slow", "--html", "page.html")
    # The copies have 6 points of the 35 of their plan.
    assert done.status == 1 and "not complete" in done.stderr
    lines = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()[-5:]}
    assert lines["two"][:2] == ["0", "0"]
    assert {path.name for path in tmp_path.glob("page-*.html")} == {"page-1.html", "page-2.html"}
    found = json.loads(run("compare", "r/one", "r/two", "r/slow", "--json").stdout)
    assert [each["b"]["name"] for each in found] == ["two", "slow"]
    assert all(each["false_discovery_rate"] == pytest.approx(0.025) for each in found)


def test_tables_are_written_as_parquet_where_pyarrow_is(run: Run, tmp_path: Path) -> None:
    folder = copy(tmp_path / "r", "one")
    if importlib.util.find_spec("pyarrow") is None:
        refused = run("report", "r/one", "--parquet")
        assert refused.status == 2 and "hmexp[parquet]" in refused.stderr
        assert not (folder / "report.html").exists()
        return
    run("report", "r/one", "--parquet")
    points = pd.read_parquet(folder / "points.parquet")
    written = pd.read_csv(folder / "points.csv")
    assert list(points) == list(written) and list(points["point_id"]) == list(written["point_id"])
    assert len(pd.read_parquet(folder / "samples.parquet")) == len(pd.read_csv(folder / "samples.csv"))
