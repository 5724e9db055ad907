"""What the gatherer stores, and what it does when something dies: no network, no Dask."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from hmexp.errors import StoreError
from hmexp.experiment.progress import NoDisplay
from hmexp.fleet import host as hosts
from hmexp.fleet.folder import FleetPlan, _find_unfinished
from hmexp.fleet.gather import Gatherer
from hmexp.fleet.messages import Measure, Records, read_answer, read_question
from hmexp.store import journal
from hmexp.store.fleet import read_fleet
from hmexp.store.schema import SCHEMA
from tests.fleet.conftest import PARAMETERS


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


def identities(lines: list[Any]) -> list[tuple[str, int]]:
    return [(record.point_id, record.launch) for record in lines]


def test_every_launch_is_stored_once_in_an_ordinary_run_directory(scene: Any) -> None:
    found = scene.gather()
    assert (found.state, found.reason) == ("measured", None)
    assert sorted(identities(scene.lines())) == sorted(scene.measured)
    assert len(scene.measured) == 4
    path = scene.results / "one" / "hosts" / "host-a"
    run = json.loads((path / "run.json").read_text())
    assert run["counts"] == {"ok": 2} and run["finished"] is not None and run["name"] == "host-a"
    assert len((path / "points.jsonl").read_bytes().splitlines()) == 2
    assert [host.state for host in read_fleet(scene.results / "one").hosts] == ["measured"]
    assert not list((scene.results / "one" / "hosts").glob("latest*"))


def test_what_is_measured_is_not_measured_again(scene: Any) -> None:
    scene.gather()
    before = scene.lines()
    scene.gather()
    assert scene.lines() == before and len(scene.measured) == 4


@pytest.mark.parametrize("number", range(1, 5))
def test_a_gatherer_that_is_killed_when_a_launch_has_ended_neither_loses_nor_repeats_it(
    scene: Any, number: int
) -> None:
    def dies(question: bytes) -> bytes:
        answered = hosts.answer(question)
        asked = sum(isinstance(each, Measure) for each in scene.link.asked)
        if isinstance(read_question(question), Measure) and asked == number:
            raise Killed
        return answered

    scene.link.answer = dies
    with pytest.raises(Killed):
        scene.gather()
    assert len(scene.measured) == number and len(scene.lines()) == number - 1
    scene.link.answer = hosts.answer
    assert scene.gather().state == "measured"
    # The launch in flight was finished: it comes from the host's disk.
    assert len(scene.measured) == 4 == len(set(scene.measured))
    assert sorted(identities(scene.lines())) == sorted(scene.measured)


def test_a_full_disk_loses_nothing(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write

    def full(fd: int, data: bytes) -> int:
        if Path(f"/proc/self/fd/{fd}").readlink().name == "launches.jsonl" and len(scene.measured) > 1:
            write(fd, data[:100])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(fd, data)

    with monkeypatch.context() as patch:
        patch.setattr(journal.os, "write", full)
        found = scene.gather()
    assert found.state == "incomplete" and "No space left" in found.reason
    assert any("make room there" in text for text in scene.said)
    assert scene.gather().state == "measured"
    assert len(scene.measured) == 4 == len(set(scene.measured))
    assert sorted(identities(scene.lines())) == sorted(scene.measured)


def test_the_host_keeps_nothing_of_what_is_stored(scene: Any, tmp_path: Path) -> None:
    scene.gather()
    assert not list((tmp_path / "cache").rglob("*.json"))


def test_two_gatherers_do_not_share_a_folder(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hmexp.store.lock._LOCK_PATIENCE_SECONDS", 0.1)
    with scene.open(), pytest.raises(StoreError, match="is using"):
        scene.open()


def test_a_fleet_that_was_killed_before_its_report_is_resumed(scene: Any) -> None:
    with scene.open("auto") as folder:
        Gatherer(folder, scene.link, scene.said.append).measure("host-a", NoDisplay())
        assert folder.finish()
    with scene.open("auto") as again:
        assert again.path == folder.path
        assert again.finish()
        again.note_report()
    assert _find_unfinished(scene.results, FleetPlan("sweep", PARAMETERS, shared=True)) is None


def change(**fields: object) -> Any:
    """An answer to a measurement with other fields than the true one."""

    def answer(question: bytes) -> bytes:
        answered = hosts.answer(question)
        if not isinstance(read_question(question), Measure):
            return answered
        record = json.loads(bytes(read_answer(answered, Records, "h").launches[0]))
        return json.dumps({"message": "records", "launches": [record | fields]}).encode()

    return answer


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (change(point_id="../../../etc/passwd"), "it was not asked for"),
        (change(launch=77), "it was not asked for"),
        (change(parameters={"kind": "loop", "pattern": "0", "granule_bytes": 1, "size_bytes": 1,
                            "placer": "x", "operation": "read", "threads": 1}), "it was not asked for"),
        (change(schema=SCHEMA + 1), f"schema {SCHEMA + 1}"),
        (change(status="excellent"), "damaged"),
        (change(dram_share="all"), "damaged"),
    ],
)  # fmt: skip
def test_a_record_that_is_none_of_the_plan_is_refused(scene: Any, answer: Any, reason: str) -> None:
    scene.link.answer = answer
    found = scene.gather()
    assert found.state == "incomplete" and reason in found.reason and "host-a" in found.reason
    assert scene.lines() == []


@pytest.mark.parametrize("text", [b"", b"null", b"{}", b'{"message":"greet"}', b"\x80\x04.", "text", 7, None])
def test_an_answer_that_is_none_is_an_error_that_names_the_host(scene: Any, text: object) -> None:
    scene.link.answer = lambda _question: text
    found = scene.gather()
    assert found.state == "incomplete" and found.reason
    assert any(line.startswith("Host host-a: ") and line.count("host-a") == 1 for line in scene.said)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("baselines", {"feed": "beef"}, "points that it does not have"),
        ("added", ["feed"], "points that it does not have"),
        ("points", [], "has no points"),
        ("run", {"schema": SCHEMA + 1, "plan": "x"}, f"schema {SCHEMA + 1}"),
        ("run", [1, 2], "is damaged"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(scene: Any, field: str, value: object, reason: str) -> None:
    def answer(question: bytes) -> bytes:
        found = json.loads(hosts.answer(question))
        return json.dumps(found | ({field: value} if found["message"] == "host_plan" else {})).encode()

    scene.link.answer = answer
    found = scene.gather()
    assert found.state == "incomplete" and reason in found.reason
    assert not scene.measured


def test_a_host_of_another_schema_refuses_before_it_measures(
    scene: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "SCHEMA", SCHEMA + 1)
    found = scene.gather()
    assert found.state == "incomplete" and f"schema {SCHEMA + 1}" in found.reason
    assert not scene.measured
