"""Needs, prices and capacity as options and as a file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Run

EXAMPLE = Path(__file__).resolve().parents[2] / "results" / "example"
NEEDS = """\
needs = ["read>=90", "latency<=1.6x"]
capacity = "1TiB"
price_dram = 8
price_slow = 3.5
currency = "EUR"
"""


def test_the_answer_is_on_the_page_and_in_json(run: Run, tmp_path: Path, undrawn: None) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("points.jsonl", "run.json"):
        shutil.copy(EXAMPLE / name, folder / name)
    file = tmp_path / "needs.toml"
    file.write_text(NEEDS)
    done = run("report", str(folder), "--needs", str(file), "--price-slow", "3", "--json")
    assert done.status == 0, done.stderr
    decision = json.loads(done.stdout)["decision"]
    assert (decision["verdict"], decision["ratio"], decision["pattern"]) == ("yes", "3:1", "0,0,2,0")
    assert decision["needs"][1] == {"of": "latency", "limit": 1.6, "unit": "x", "better": "less"}
    assert decision["ratios"][1]["price_per_gib"] == 6.75
    page = (folder / "report.html").read_text()
    first = page[page.index('<section id="answer"') : page.index('<section id="advice"')]
    for words in ("Yes, on the emulated machine", "6,912", "1,280", "✗ not kept", "✓ kept", 'scope="row"'):
        assert words in first, words
    assert page.index("EMULATED node 2") < page.index('<section id="answer"')


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--need", "read<=90"), "write read>=90"),
        (("--need", "copy>=90"), "no point of copy"),
        (("--price-dram", "8"), "one price is missing"),
        (("--currency", "EUR"), "a currency without prices"),
        (("--price-dram", "8", "--price-slow", "3", "--currency", "8 €"), "currency '8 €'"),
        (("--capacity", "much"), "not a number and a unit"),
        (("--capacity", "0"), "is zero"),
        (("--needs", "nowhere.toml"), "cannot read nowhere.toml"),
    ],
)
def test_a_question_that_is_none(run: Run, words: tuple[str, ...], says: str) -> None:
    done = run("report", str(EXAMPLE), *words)
    assert done.status == 2 and says in done.stderr and "-> " in done.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("needs = [", "not valid TOML"),
        ("", "has no needs"),
        ('need = ["read>=90"]', "unknown key 'need'"),
        ("needs = [90]", "something other than texts"),
        ('needs = "read>=90"', "cannot be used"),
        ("price_dram = true\nprice_slow = 3", "cannot be used"),
        ("price_dram = 8", "one price is missing"),
        ("price_dram = -8\nprice_slow = 3", "not a positive number"),
        ('capacity = "-1"', "not a number and a unit"),
    ],
)
def test_a_file_that_is_none(run: Run, tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "needs.toml"
    file.write_text(text)
    done = run("report", str(EXAMPLE), "--needs", str(file))
    assert done.status == 2 and says in done.stderr and "-> " in done.stderr
