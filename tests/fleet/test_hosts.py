"""Who is a host, under which name, and what a host refuses."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmexp.errors import ParameterError
from hmexp.fleet import host as hosts
from hmexp.fleet.clusters import read_hosts
from hmexp.fleet.messages import VERSION, Greet, Greeting, encode
from hmexp.fleet.names import folder_name, is_safe
from hmexp.fleet.roster import Roster
from hmexp.fleet.spool import Spool
from hmexp.store.schema import SCHEMA


@given(st.text())
def test_whatever_a_host_calls_itself_its_folder_is_one_below_ours(told: str) -> None:
    name = folder_name(told)
    assert is_safe(name)
    base = Path("/fleet/hosts")
    assert (base / name).resolve().parent == base


@given(st.text(), st.text())
def test_two_names_are_two_folders(one: str, other: str) -> None:
    assert (folder_name(one) == folder_name(other)) == (one == other)


@pytest.mark.parametrize("told", ["node17", "rack-3.example.org", "A_1"])
def test_an_ordinary_name_stays(told: str) -> None:
    assert folder_name(told) == told


def greeting(**fields: Any) -> Greeting:
    told = {"name": "n1", "boot": "b1", "version": VERSION, "schema": SCHEMA, "now": time.time()} | fields
    return Greeting(**told)


def worker(slots: float = 1) -> dict[str, Any]:
    return {"name": "w", "resources": {"hmexp": slots} if slots else {}}


def test_one_machine_has_one_slot() -> None:
    said: list[str] = []
    roster = Roster(shared=False, say=said.append)
    assert roster.look({"a": worker(), "b": worker(), "c": worker(), "d": worker(0)}) == ["a", "b", "c"]
    now = time.time()
    roster.take("a", "w", greeting(), now)
    roster.take("b", "w", greeting(name="container"), now)
    roster.take("c", "w", greeting(name="n2", boot="b2"), now)
    assert roster.addresses == {"n1": "a", "n2": "c"}
    assert any("Worker b is on the machine of host n1" in text for text in said)
    assert any("Worker d offers no slot" in text for text in said)


def test_a_host_that_comes_back_is_found_at_its_new_address() -> None:
    roster = Roster(shared=False, say=lambda _text: None)
    roster.look({"a": worker()})
    roster.take("a", "w", greeting(), time.time())
    assert roster.look({}) == [] and roster.addresses == {}
    assert roster.look({"b": worker()}) == ["b"]
    roster.take("b", "w", greeting(), time.time())
    assert roster.addresses == {"n1": "b"}


@pytest.mark.parametrize("other", [{"schema": SCHEMA + 1}, {"version": "9.9"}])
def test_another_version_or_schema_is_refused_by_name(other: dict[str, Any]) -> None:
    roster = Roster(shared=False, say=lambda _text: None)
    roster.take("a", "w", greeting(**other), time.time())
    assert roster.addresses == {}
    assert str(next(iter(other.values()))) in roster.refused["n1"]


def test_clocks_that_differ_are_noted() -> None:
    said: list[str] = []
    roster = Roster(shared=False, say=said.append)
    now = time.time()
    roster.take("a", "w", greeting(now=now - 3600), now)
    assert roster.clocks["n1"] == pytest.approx(-3600, abs=5)
    assert "3600 s behind" in said[0]


def test_a_host_greets_whoever_asks_and_answers_nonsense_in_json() -> None:
    told = json.loads(hosts.answer(encode(Greet())))
    assert (told["message"], told["schema"], told["version"]) == ("greeting", SCHEMA, VERSION)
    for text in (b"", b"[]", b'{"message":"measure"}', b'{"message":"launch missiles"}'):
        assert json.loads(hosts.answer(text))["message"] == "refusal"


@pytest.mark.parametrize("name", ["..", "../x", "/etc", "a/b", ".hidden", "", "latest"])
def test_nothing_is_kept_outside_of_the_spool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for pair in ((name, "h"), ("f", name)):
        with pytest.raises(ParameterError, match="part of a path"):
            Spool(*pair)
    with pytest.raises(ParameterError, match="not the id of a point"):
        Spool("f", "h").keep(f"{name}/x", 0, b"{}")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_file_of_hosts(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text("# rack 1\nnode1\n\n  node2  # the new one\n")
    assert read_hosts(file) == ["node1", "node2"]
    for text, reason in (
        ("", "no hosts"), ("a\nb\na\n", "a twice"), ("-oProxyCommand=x\n", "not a host"),
        ("a b\n", "not a host"),
    ):  # fmt: skip
        file.write_text(text)
        with pytest.raises(ParameterError, match=reason):
            read_hosts(file)
