"""Runs that are damaged, of another kind, or not complete: a message, a status, and the report is left."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.program.test_prediction import point as program_point
from tests.program.test_prediction import study as program_study
from tests.report.test_first_pages import store

EXAMPLE = Path(__file__).resolve().parents[2] / "results" / "example"
LINES = (EXAMPLE / "points.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
DESCRIBED = json.loads((EXAMPLE / "run.json").read_text(encoding="utf-8"))
GOOD = "<p><strong>All 35 points measured</strong>"
Json = dict[str, Any]


def each(change: Callable[[Json], object], at: slice = slice(None)) -> bytes:
    """The lines of the example, some of them changed."""
    records = [json.loads(line) for line in LINES]
    for record in records[at]:
        change(record)
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def result(**fields: object) -> bytes:
    return each(lambda record: record["result"].update(fields), slice(3, 4))


def top(**fields: object) -> bytes:
    return each(lambda record: record.update(fields), slice(3, 4))


def asked(**fields: object) -> bytes:
    return each(lambda record: record["parameters"].update(fields), slice(3, 4))


def without(name: str) -> bytes:
    return each(lambda record: record.pop(name), slice(3, 4))


def scale(measured: Json, factor: float) -> None:
    """Make a result faster or slower, every number of it."""
    measured["samples"] = [value * factor for value in measured["samples"]]
    for holder in (measured, *measured["launches"]):
        for name in ("median", "ci_low", "ci_high"):
            if name in holder:
                holder[name] *= factor


def misplaced() -> bytes:
    def change(record: Json) -> None:
        record["proof"]["after"].update(ok=False, misplaced=3)

    return each(change, slice(3, 4))


def line(value: object) -> bytes:
    return json.dumps(value).encode() + b"\n"


def schema(number: object) -> bytes:
    return line(json.loads(LINES[0]) | {"schema": number})


#: What points.jsonl holds, and a part of the message. All are refused with status 2.
POINTS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty"),
    "one empty line": (b"\n", "line 1 of"),
    "blanks": (b"   \n", "line 1 of"),
    "zeros": (b"\0" * 4096, "no complete line"),
    "a line of zeros": (b"\0" * 99 + b"\n", "line 1 of"),
    "noise": (os.urandom(4000).replace(b"\n", b"") + b"\n", "line 1 of"),
    "torn in its first line": (LINES[0][:300].encode(), "no complete line"),
    "torn in the middle": ((LINES[0] + LINES[1][:300] + "\n" + LINES[2]).encode(), "line 2 of"),
    "a page of a proxy": (b"<html>404</html>\n", "line 1 of"),
    "a pointer of Git LFS": (b"version https://git-lfs.github.com/spec/v1\n", "line 1 of"),
    "compressed": (gzip.compress("".join(LINES[:3]).encode(), mtime=0) + b"\n", "line 1 of"),
    "UTF-16": ("".join(LINES[:2]).encode("utf-16"), "line 1 of"),
    "a list": (line([json.loads(LINES[0])]), "not a JSON object"),
    "a number": (b"5\n", "not a JSON object"),
    "null": (b"null\n", "not a JSON object"),
    "an empty object": (b"{}\n", "line 1 of"),
    "schema 0": (schema(0), "has schema 0"),
    "schema 99": (schema(99), "has schema 99"),
    "schema two": (schema("two"), "has schema 'two'"),
    "schema null": (schema(None), "has schema None"),
    "schema 1.5": (schema(1.5), "has schema 1.5"),
    "another kind": (top(kind="future"), "'future'"),
    "no id": (without("point_id"), "point_id"),
    "no status": (without("status"), "status"),
    "no parameters": (without("parameters"), "no parameters"),
    "a status of its own": (top(status="fine"), "'fine'"),
    "median null": (result(median=None), "$.result.median"),
    "median NaN": (result(median=float("nan")), "$.result.median"),
    "median infinite": (result(median=float("inf")), "$.result.median"),
    "median a word": (result(median="fast"), "$.result.median"),
    "median 0": (result(median=0.0), "its median is 0 GB/s"),
    "median below 0": (result(median=-5.0), "its median is -5 GB/s"),
    "interval the wrong way round": (result(ci_low=9.0, ci_high=1.0), "ends (1) before it begins (9)"),
    "no samples": (result(samples=[]), "no sample"),
    "no unit": (result(unit=""), "its unit is ''"),
    "another unit": (result(unit="MB/s"), "its unit is 'MB/s'"),
    "no result": (top(result=None), "no result"),
    "a proof that failed": (misplaced(), "pages are misplaced"),
    "a pattern that is none": (asked(pattern="x,y"), "its pattern is none"),
    "another pattern": (asked(pattern="0,0,0,0,0,0,0,2"), "a DRAM share of"),
    "a share above 1": (top(dram_share=7.5), "a DRAM share of 7.5"),
    "no share": (top(dram_share=None), "no DRAM share"),
}
#: What run.json holds.
RUNS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "run.json is damaged"),
    "garbage": (b"hello", "run.json is damaged"),
    "a list": (b"[]", "not a JSON object"),
    "no plan": (line({k: v for k, v in DESCRIBED.items() if k != "plan"}), "no plan"),
    "nested": (b'{"plan":' + b"[" * 100_000, "run.json is damaged"),
    "another format": (line({"plan": 5, "points": "many"}), "$.plan"),
    "schema 0": (line(DESCRIBED | {"schema": 0}), "has schema 0"),
    "schema 99": (line(DESCRIBED | {"schema": 99}), "has schema 99"),
    "schema two": (line(DESCRIBED | {"schema": "two"}), "has schema 'two'"),
    "of another run": (line(DESCRIBED | {"dram_nodes": [5]}), "the DRAM nodes of run.json"),
}


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    folder = tmp_path / "stored"
    folder.mkdir()
    for name in ("points.jsonl", "run.json"):
        shutil.copy(EXAMPLE / name, folder / name)
    (folder / "report.html").write_text(GOOD)
    return folder


def require_refused(run: Run, stored: Path, says: str) -> None:
    for words in (("report", stored), ("compare", EXAMPLE, stored), ("compare", stored, EXAMPLE)):
        done = run(*map(str, words))
        assert done.status == 2 and done.stdout == "", words
        first, *rest = done.stderr.splitlines()
        assert says in first and str(stored) in first, done.stderr
        assert rest and rest[-1].startswith("  -> "), done.stderr
    assert (stored / "report.html").read_text() == GOOD
    assert sorted(path.name for path in stored.iterdir()) == ["points.jsonl", "report.html", "run.json"]


@pytest.mark.parametrize("case", POINTS)
def test_broken_points_are_refused(run: Run, stored: Path, case: str) -> None:
    content, says = POINTS[case]
    (stored / "points.jsonl").write_bytes(content)
    require_refused(run, stored, says)


@pytest.mark.parametrize("case", RUNS)
def test_a_broken_description_is_refused(run: Run, stored: Path, case: str) -> None:
    content, says = RUNS[case]
    (stored / "run.json").write_bytes(content)
    require_refused(run, stored, says)


def test_a_pipe_for_points_is_not_waited_for(run: Run, stored: Path) -> None:
    (stored / "points.jsonl").unlink()
    os.mkfifo(stored / "points.jsonl")
    require_refused(run, stored, "is not a file")


def test_a_report_is_not_replaced_by_one_of_fewer_points(run: Run, stored: Path, undrawn: None) -> None:
    (stored / "points.jsonl").write_text("".join(LINES[:4]))
    done = run("report", str(stored))
    assert done.status == 2 and "shows 35 measured points, and the run now has 4" in done.stderr
    assert (stored / "report.html").read_text() == GOOD
    assert not (stored / "points.csv").exists()
    # Without the other one it is written, and is still no success.
    (stored / "report.html").unlink()
    done = run("report", str(stored))
    assert done.status == 1 and "of 35 points 31 not measured yet" in done.stderr
    page = (stored / "report.html").read_text()
    assert "31 of 35 points are not measured yet" in page
    # It says itself how many it shows.
    (stored / "points.jsonl").write_text(LINES[0])
    assert "shows 4 measured points, and the run now has 1" in run("report", str(stored)).stderr
    assert (stored / "report.html").read_text() == page


def test_a_comparison_of_which_points_are_missing_is_none(run: Run, stored: Path) -> None:
    (stored / "points.jsonl").write_text("".join(LINES[:4]))
    page = stored / "page.html"
    done = run("compare", str(EXAMPLE), str(stored), "--html", str(page))
    assert "Not complete: of the 35 points of B 31" in page.read_text()
    assert (
        "No: nothing beyond the noise in 4 points" in page.read_text() and 'verdict open"' in page.read_text()
    )
    assert done.status == 1 and "of the 35 points of B 31 are not measured yet" in done.stderr
    (stored / "points.jsonl").write_bytes(top(status="failed", result=None, reason="no memory"))
    done = run("compare", str(stored), str(EXAMPLE))
    assert done.status == 1 and "of the 35 points of A 1 failed" in done.stderr
    faster = each(lambda record: scale(record["result"], 1.25), slice(5))
    (stored / "points.jsonl").write_bytes(faster)
    assert run("compare", str(EXAMPLE), str(stored), "--html", str(page)).status == 0
    assert "Yes: of 35 points that could be compared, " in page.read_text()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--keep", "0.9"), "'0.9' would be 0.9 percent; write 90"),
        (("--keep", "0"), "'0' would be 0 percent"),
        (("--keep", "500"), "not from 0 to 100 percent"),
        (("--keep", "nan"), "not a finite number"),
    ],
)
def test_percent_is_percent(run: Run, stored: Path, words: tuple[str, ...], says: str) -> None:
    done = run("report", str(stored), *words)
    assert done.status == 2 and says in done.stderr


def test_a_study_is_reported_again_but_not_with_fewer_points(run: Run, tmp_path: Path) -> None:
    store(program_study([program_point("0", 1.0), program_point("0,2", 1.02)], "program"), tmp_path)
    for _ in range(2):
        done = run("report", str(tmp_path))
        assert done.status == 0 and done.stdout.startswith("Yes: set 1:1 by "), done.stderr
    good = (tmp_path / "report.html").read_text()
    points = tmp_path / "points.jsonl"
    points.write_text(points.read_text().splitlines()[0] + "\n")
    done = run("report", str(tmp_path))
    assert done.status == 2 and "the report was left as it was" in done.stderr
    assert (tmp_path / "report.html").read_text() == good
