from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmexp.errors import StoreError
from hmexp.store import lock
from hmexp.store.evidence import SetupRecord
from hmexp.store.journal import replace_file
from hmexp.store.parameters import LoopPoint
from hmexp.store.parts import SettingRecord, Status
from hmexp.store.reader import POINTS, read_launches, read_points, read_run, read_statuses, take_points
from hmexp.store.records import LaunchRecord, PointRecord, RunRecord
from hmexp.store.run import RunDirectory, open_run, resolve_results
from hmexp.store.schema import SCHEMA
from hmexp.store.writer import encode


def quiet(text: str) -> None:
    pass


def opened(results: Path, name: str = "auto", plan: str = "plan-a") -> RunDirectory:
    return open_run(results, name, described(plan), quiet)


def described(plan: str = "plan-a") -> RunRecord:
    return RunRecord(name="", plan=plan)


WHAT = LoopPoint(
    pattern="0", granule_bytes=4096, size_bytes=1 << 20, placer="bind", operation="read", threads=1
)


#: The same as schemas 1 and 2 wrote it, and as today's does.
PLAIN = msgspec.to_builtins(msgspec.structs.asdict(WHAT))
DESCRIBED = msgspec.to_builtins(WHAT)


def record(point: str, status: Status = "ok", reason: str | None = None) -> PointRecord:
    return PointRecord(point_id=point, status=status, reason=reason, parameters=WHAT)


def write(directory: RunDirectory, **changes: object) -> None:
    directory.update(msgspec.structs.replace(directory.run, **changes))


def test_records_are_there_after_reopening(tmp_path: Path) -> None:
    with opened(tmp_path) as directory:
        directory.append(record("a"))
        directory.append(record("b", "failed", reason="r"))
        directory.append(record("c", "skipped"))
        path = directory.path
    with opened(tmp_path) as directory:
        assert directory.path == path
        assert directory.finished_points() == {"a", "c"}
        directory.append(record("b", reason="measured again"))
    assert list(read_points(path / POINTS)) == ["a", "b", "c"]
    assert read_points(path / POINTS)["b"] == record("b", reason="measured again")
    assert (tmp_path / "latest").resolve() == path.resolve()


@given(cut=st.integers(1, 40))
def test_a_line_torn_by_a_kill_is_dropped_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    results = tmp_path_factory.mktemp("results")
    with opened(results) as directory:
        directory.append(record("a"))
        whole = (directory.path / "points.jsonl").read_bytes()
        directory.append(record("b", reason="x" * 20))
        path = directory.path / "points.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    assert list(read_points(path.parent / POINTS)) == ["a"]
    with opened(results) as directory:
        assert path.read_bytes() == whole
        directory.append(record("b"))
        assert directory.finished_points() == {"a", "b"}


def test_a_damaged_line_in_the_middle_is_reported_and_kept(tmp_path: Path) -> None:
    with opened(tmp_path) as directory:
        directory.append(record("a"))
        path = directory.path / "points.jsonl"
    text = "garbage\n" + path.read_text()
    path.write_text(text)
    with pytest.raises(StoreError, match=r"line 1 of .*points\.jsonl is damaged"):
        read_points(path)
    assert path.read_text() == text


def test_a_finished_run_is_left_alone_and_an_unfinished_one_is_resumed(tmp_path: Path) -> None:
    with opened(tmp_path) as directory:
        first = directory.path
        write(directory, finished="2026-01-01")
    with opened(tmp_path, plan="plan-b") as directory:
        other = directory.path
    assert other != first
    with open_run(tmp_path, "again", described(), quiet) as directory:
        assert directory.path not in (first, other)
    with opened(tmp_path) as directory:
        assert directory.path.name == "again"


def test_a_name_of_another_plan_is_refused(tmp_path: Path) -> None:
    opened(tmp_path, "mine").close()
    with pytest.raises(StoreError, match="other parameters"):
        opened(tmp_path, "mine", "plan-b")


@pytest.mark.parametrize("name", ["", "latest", "../x", "a/b", ".hidden", "x" * 200, "a\nb"])
def test_names_that_are_no_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match="cannot be the name of a run"):
        opened(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_two_processes_do_not_share_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_LOCK_PATIENCE_SECONDS", 0.3)
    with opened(tmp_path, "mine"), pytest.raises(StoreError, match="is using"):
        opened(tmp_path, "mine")
    opened(tmp_path, "mine").close()


def test_a_killed_process_lets_go_of_its_run(tmp_path: Path) -> None:
    script = (
        "import sys, time\nfrom pathlib import Path\n"
        "from hmexp.store.records import RunRecord\nfrom hmexp.store.run import open_run\n"
        "new = RunRecord(name='', plan='plan-a')\n"
        f"d = open_run(Path({str(tmp_path)!r}), 'mine', new, lambda t: None)\n"
        "print('held', flush=True)\ntime.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    process.kill()
    process.wait()
    process.stdout.close()
    opened(tmp_path, "mine").close()


def test_folders_that_cannot_be_written(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for results in (file, file / "below", Path("/proc/hmexp-results")):
        with pytest.raises(StoreError, match="results folder") as caught:
            opened(results)
        assert str(results) in str(caught.value)


def test_what_is_no_run_directory(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not a run directory"):
        read_run(tmp_path)
    for text in ("{", "[]", "{}"):
        (tmp_path / "run.json").write_text(text)
        with pytest.raises(StoreError):
            read_run(tmp_path)


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    replace_file(path, b"one")
    replace_file(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", 1.5])
def test_what_cannot_be_read_back_is_never_written(tmp_path: Path, value: object) -> None:
    """Neither a number that is none, nor a type that is not the field's."""
    before = record("a")
    with opened(tmp_path) as directory:
        directory.append(before)
        wrong = PointRecord(
            point_id="b",
            status="ok",
            parameters=WHAT,
            settings={"kernel": SettingRecord(before=value)},  # type: ignore[arg-type]
        )
        with pytest.raises(ValueError, match=r"read back|surrogates"):
            directory.append(wrong)
        run = directory.run
        with pytest.raises(ValueError, match=r"read back|surrogates"):
            write(directory, title=value)
        assert read_points(directory.path / POINTS) == {"a": before}
        assert read_run(directory.path) == run


def test_where_results_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve_results("auto") == tmp_path / "results"
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "hmexp").mkdir()
    (tmp_path / "hmexp" / "pattern.py").write_text("")
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    assert resolve_results("auto") == tmp_path / "results"
    assert resolve_results("here") == tmp_path / "notebooks" / "here"


def test_statuses_are_found_without_reading_records_and_damage_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "points.jsonl"
    whole: list[dict[str, object]] = [
        {"schema": SCHEMA, "point_id": "a", "status": "failed", "parameters": DESCRIBED},
        {"schema": 1, "point_id": "b", "status": "ok", "parameters": PLAIN},
        {"status": "skipped", "point_id": "c", "parameters": PLAIN},
        {"schema": SCHEMA, "point_id": "a", "status": "ok", "parameters": DESCRIBED},
    ]
    text = "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in whole)
    torn = f'{{"schema":{SCHEMA},"point_id":"d","status":"ok","re'
    file.write_text(text + torn)
    expected = {"a": "ok", "b": "ok", "c": "skipped"}
    assert read_statuses(file) == take_points(file, lambda record: record.status) == expected
    for bad in ("garbage\n", torn + "\n", '{"schema":99,"point_id":"e","status":"ok"}\n'):
        file.write_text(bad + text)
        with pytest.raises(StoreError, match=r"line 1 of .*points\.jsonl (is damaged|has schema 99)"):
            read_statuses(file)


@pytest.mark.parametrize("how", ["removed", "moved", "another in its place"])
def test_a_directory_that_is_gone_is_an_error_and_is_not_made_again(tmp_path: Path, how: str) -> None:
    with opened(tmp_path, "mine") as directory:
        directory.append(record("a"))
        directory.path.rename(tmp_path / "elsewhere")
        if how == "removed":
            shutil.rmtree(tmp_path / "elsewhere")
        if how == "another in its place":
            opened(tmp_path, "mine").close()
        there = sorted(directory.path.glob("*"))
        with pytest.raises(StoreError, match="removed or moved") as caught:
            directory.append(record("b"))
        with pytest.raises(StoreError, match="removed or moved"):
            write(directory, finished="now")
        assert str(directory.path) in str(caught.value)
        assert sorted(directory.path.glob("*")) == there
        assert not (directory.path / "points.jsonl").exists()


def test_a_file_that_is_gone_is_an_error_and_is_not_made_again(tmp_path: Path) -> None:
    with opened(tmp_path) as directory:
        directory.append(record("a"))
        (directory.path / "points.jsonl").unlink()
        with pytest.raises(StoreError, match=r"points\.jsonl: No such file"):
            directory.append(record("b"))
        assert not (directory.path / "points.jsonl").exists()


def test_a_line_that_does_not_fit_is_reported_and_cut_off(tmp_path: Path) -> None:
    with opened(tmp_path, "mine") as directory:
        directory.append(record("a"))
    file = tmp_path / "mine" / "points.jsonl"
    whole = file.read_bytes()
    script = (
        "import resource, sys\nfrom pathlib import Path\nfrom hmexp.store.parameters import LoopPoint\n"
        "from hmexp.store.records import PointRecord, RunRecord\nfrom hmexp.store.run import open_run\n"
        "new = RunRecord(name='', plan='plan-a')\n"
        f"d = open_run(Path({str(tmp_path)!r}), 'mine', new, lambda t: None)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({len(whole) + 10},) * 2)\n"
        "what = LoopPoint(pattern='0', granule_bytes=4096, size_bytes=4096, placer='bind', operation='read', "
        "threads=1)\n"
        "d.append(PointRecord(point_id='b', status='ok', parameters=what))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 1 and f"cannot write {file}: File too large" in done.stderr
    assert "make room there" in done.stderr
    assert len(file.read_bytes()) == len(whole) + 10
    opened(tmp_path, "mine").close()
    assert file.read_bytes() == whole


def test_what_killed_processes_left_is_written_over(tmp_path: Path) -> None:
    opened(tmp_path, "mine").close()
    (tmp_path / ".latest.new").symlink_to("nowhere")
    (tmp_path / "mine" / ".run.json.new").write_text("{")
    with opened(tmp_path, "mine") as directory:
        write(directory, counts={})
    assert {path.name for path in tmp_path.rglob(".*")} == {".lock"}


def test_measurements_of_nobody_knows_what_are_left_alone(tmp_path: Path) -> None:
    with opened(tmp_path, "mine") as directory:
        directory.append(LaunchRecord(point_id="a", status="ok", parameters=WHAT))
    (directory.path / "run.json").unlink()
    with pytest.raises(StoreError, match=r"launches\.jsonl, but no run\.json"):
        opened(tmp_path, "mine")


def test_a_run_killed_while_its_report_was_written_is_resumed(tmp_path: Path) -> None:
    with opened(tmp_path) as directory:
        write(directory, finished="2026-01-01", reported=False)
    with opened(tmp_path) as again:
        assert again.path == directory.path
        write(again, reported=True)
    (tmp_path / again.path.name).rename(tmp_path / "earlier")
    with opened(tmp_path) as anew:
        assert anew.path.name != "earlier" and anew.run.finished is None


def test_lines_of_points_that_are_left_are_not_looked_into(tmp_path: Path) -> None:
    file = tmp_path / "launches.jsonl"
    lines = [
        encode(LaunchRecord(point_id=point, status="ok", parameters=WHAT, launch=launch))
        for point, launch in (("b", 0), ("b", 1), ("b", 0))
    ]
    unreadable = b'{"schema":%d,"point_id":"a","status":"ok","parameters":7}' % SCHEMA
    file.write_bytes(b"".join(line + b"\n" for line in (unreadable, *lines, unreadable)))
    found = read_launches(file, {"a"})
    assert {point: list(launches) for point, launches in found.items()} == {"b": [0, 1]}
    with pytest.raises(StoreError, match=r"line 1 of .*launches\.jsonl is damaged: .*parameters"):
        read_launches(file)


@pytest.mark.parametrize("schema", [1, 2, SCHEMA])
def test_numbers_that_are_none_are_read_as_unknown(tmp_path: Path, schema: int) -> None:
    """Python's own JSON, which earlier versions wrote, has NaN, infinity and halves of surrogate pairs."""
    file = tmp_path / "points.jsonl"
    line = {
        "schema": schema, "point_id": "a", "status": "ok",
        "parameters": DESCRIBED if schema == SCHEMA else PLAIN,
        "reason": "\ud800", "dram_share": float("nan"),
        "setup": {"ns_per_page": 2.0, "seconds": float("inf"), "details": {"rate": [float("-inf"), 1.0]}},
    }  # fmt: skip
    file.write_text(json.dumps(line, separators=(",", ":")) + "\n")
    assert "NaN" in file.read_text()
    found = read_points(file)["a"]
    assert found.dram_share is None
    assert found.reason == "\ud800"
    assert found.setup == SetupRecord(ns_per_page=2.0, details={"rate": (None, 1.0)})
