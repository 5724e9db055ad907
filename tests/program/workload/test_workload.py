"""Workload files: what is read, and that each mistake is an error with its line."""

from __future__ import annotations

import contextlib
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmexp.errors import ParameterError
from hmexp.program.workload.files import find_workload, parse_workload, read_workload, shipped
from hmexp.program.workload.placeholders import fill_words, names_in
from hmexp.program.workload.toml_lines import find_line

GOOD = """\
title = "a loop"
[parameters]
rounds = 3
[program]
command = "loop {rounds} --port {port}"
[ready]
port = "{port}"
[[load]]
command = ["fill", "a b", "{dir}/x"]
[measure]
command = "ask | wc"
shell = true
[[metrics]]
name = "speed"
unit = "1/s"
better = "higher"
regex = 'speed ([0-9.]+)'
[[metrics]]
name = "elapsed"
unit = "s"
better = "lower"
source = "elapsed"
"""


@pytest.mark.parametrize("name", shipped())
def test_what_hmexp_ships_can_be_read(name: str) -> None:
    found = find_workload(name)
    assert found.record.title and found.record.about and found.record.metrics
    assert found.path.name == f"{name}.toml"


def test_a_file_is_read_and_its_values_replaced(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    mine = read_workload(path)
    assert mine.name == "mine"
    assert mine.record.load[0].command == ("fill", "a b", "{dir}/x")
    assert [metric.name for metric in mine.record.metrics] == ["speed", "elapsed"]
    changed = mine.with_values({"rounds": "1_000"})
    assert changed.record.parameters == {"rounds": 1000}
    with pytest.raises(ParameterError, match="did you mean rounds"):
        mine.with_values({"round": "4"})
    with pytest.raises(ParameterError, match="'many' is not a whole number"):
        mine.with_values({"rounds": "many"})


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("command = \"loop", "comand = \"loop", 5, "program.comand: is not a key of a workload"),
        ("rounds = 3", "port = 3", 3, "{port} is a free TCP port"),
        ("rounds = 3", "rounds = 3\nturns = 4", 4, "parameters.turns: no command uses it"),
        ("{rounds}", "{turns}", 5, "{turns} is not a parameter"),
        ("{rounds}", "{rounds!r}", 5, "is not the name of a parameter"),
        ("{rounds}", "{rounds} {", 5, "brace that stands alone"),
        ("--port {port}", "'--port {port}", 5, "No closing quotation"),
        ("shell = true", "shell = 'yes'", 12, "measure.shell: expected bool, got str"),
        ("shell = true", "shell = true\nsay = 'go'", 10, "needs either command or say"),
        ("shell = true", "shell = true\nthreads = 0", 13, "is not a number of threads"),
        ("shell = true", "shell = true\ntimeout_seconds = inf", 13, "is not a number of seconds above 0"),
        ('better = "lower"', 'better = "best"', 21, "use one of: higher, lower"),
        ('source = "elapsed"', 'source = "elapsed"\nregex = "x"', 23, "elapsed is a time"),
        ("([0-9.]+)", "([0-9.+)", 17, "cannot be used: unterminated character set"),
        ("([0-9.]+)", "([0-9])(x)", 17, "has 2 groups"),
        ("regex = 'speed ([0-9.]+)'", "json = 'a..b'", 17, "cannot be read from '..b' on"),
        ("regex = 'speed ([0-9.]+)'", "json = 'a'\ntake = 'p100'", 18, "take 'p100' is unknown"),
        ("regex = 'speed ([0-9.]+)'", "", 13, "needs either regex or json"),
        ('name = "elapsed"', 'name = "speed"', 19, "two metrics are called 'speed'"),
        ('port = "{port}"\n', "", 6, "says nothing to wait for"),
        ('unit = "s"\n', "", 18, "the key unit is missing"),
        ("[measure]", "[measures]", 10, "did you mean measure?"),
        ("[measure]", "[stop]\nsignal = 'TERM'\n[measure]", 11, "'TERM' is not a signal"),
        ("[measure]", "[files]\n'../x' = ''\n[measure]", 11, "is not usable as the name of a file"),
    ],
)  # fmt: skip
def test_a_mistake_is_an_error_with_its_line(old: str, new: str, line: int, words: str) -> None:
    assert old in GOOD
    with pytest.raises(ParameterError) as caught:
        parse_workload(GOOD.replace(old, new, 1), "mine.toml")
    assert str(caught.value).startswith(f"mine.toml, line {line}: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("title = ", "is not valid TOML"),
        ("title = 1", "title: expected str, got int"),
        ("", "the key title is missing"),
        ("metrics = []\n" + GOOD.split("[[metrics]]", maxsplit=1)[0], "there is no metric"),
        (GOOD.split("[measure]", maxsplit=1)[0] + "[[metrics]]" + GOOD.rsplit("[[metrics]]", maxsplit=1)[1],
         "nothing is measured afterwards"),
    ],
)  # fmt: skip
def test_a_file_that_is_wrong_as_a_whole(text: str, words: str) -> None:
    with pytest.raises(ParameterError, match=re.escape(words)):
        parse_workload(text, "mine.toml")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="No such file"):
        find_workload(str(tmp_path / "none.toml"))
    with pytest.raises(ParameterError, match="did you mean redis"):
        find_workload("reddis")
    (tmp_path / "latin.toml").write_bytes(b"title = '\xff'")
    with pytest.raises(ParameterError, match="it is not UTF-8"):
        find_workload(str(tmp_path / "latin.toml"))


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30))
def test_a_value_is_one_argument_whatever_is_in_it(value: str) -> None:
    values = {"name": value}
    assert fill_words("echo 'a {name}' {name}", values, shell=False) == ("echo", f"a {value}", value)
    shell, flag, script = fill_words("printf %s {name}", values, shell=True)
    assert (shell, flag) == ("/bin/sh", "-c")
    assert shlex.split(script) == ["printf", "%s", value]


@given(st.text(alphabet="abc=[]{}\"'\n.#\\ 1,", max_size=200))
def test_any_text_is_a_workload_or_an_error_for_a_person(text: str) -> None:
    with pytest.raises(ParameterError, match=r"mine\.toml"):
        parse_workload(text, "mine.toml")


@given(st.integers(0, len(GOOD)), st.integers(0, 12), st.text(max_size=6))
def test_a_damaged_workload_is_one_or_an_error(at: int, gone: int, more: str) -> None:
    text = GOOD[:at] + more + GOOD[at + gone :]
    with contextlib.suppress(ParameterError):
        found = parse_workload(text, "mine.toml")
        assert found.title is not None and found.metrics
        assert set(names_in(str(found.program.command))) <= {
            "rounds",
            "port",
            "dir",
            "here",
            "python",
            "cpus",
        }


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), min_size=1, max_size=8))
def test_each_key_is_found_on_its_line(tables: list[tuple[str, int]]) -> None:
    lines = ["top = '''", "a = 1", "[not]", "'''", "# c = 2"]
    places = {}
    counts = dict.fromkeys("abc", 0)
    for name, value in tables:
        lines += [f"[[{name}]]", f'  "key" = {value} # key = 3']
        places[name, counts[name], "key"] = len(lines)
        counts[name] += 1
    text = "\n".join(lines)
    tomllib.loads(text)
    for path, line in places.items():
        assert find_line(text, path) == line
        assert find_line(text, (*path[:2], "none")) == line - 1
    assert find_line(text, ("not",)) is None
