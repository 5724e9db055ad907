"""Presets: files of parameters, that a person may copy."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hmexp.errors import ParameterError
from hmexp.notebook.sweep import Sweep
from hmexp.sweep import preset
from hmexp.sweep.parameters import SweepParameters
from hmexp.sweep.preset import NAMES, STANDARD, find_preset

FOLDER = Path(preset.__file__).with_name("presets")


def hmexp(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hmexp", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_the_standard_is_the_default_and_each_file_has_its_name() -> None:
    assert SweepParameters.from_mapping({}) == SweepParameters()
    assert set(find_preset(STANDARD).values) <= set(SweepParameters.names())
    assert {path.stem for path in FOLDER.glob("*.toml")} == set(NAMES)
    for name in NAMES:
        assert find_preset(name).about
        assert SweepParameters.from_mapping({"preset": name}).preset == name


def test_what_is_given_wins_over_the_preset_and_a_copy_can_be_changed(tmp_path: Path) -> None:
    quick = SweepParameters.from_mapping({"preset": "quick"})
    assert quick.operations == ("read", "latency")
    assert SweepParameters.from_mapping({"preset": "quick", "operations": "write"}).operations == ("write",)
    mine = tmp_path / "mine.toml"
    shutil.copy(FOLDER / "quick.toml", mine)
    mine.write_text(mine.read_text() + "access = 'random_line'\n")
    found = SweepParameters.from_mapping({"preset": str(mine)})
    assert found.access == ("random_line",)
    assert found.patterns == quick.patterns


def test_in_the_notebook_what_is_as_it_was_is_the_presets() -> None:
    namespace: dict[str, Any] = SweepParameters().to_record() | {"preset": "quick", "launches": 3}
    parameters = Sweep(namespace).plan.parameters
    assert (parameters.size, parameters.launches, parameters.samples) == (("64MiB",), 3, 3)


@pytest.mark.slow
def test_a_sweep_of_a_preset(tmp_path: Path) -> None:
    small = ["--size", "1MiB", "--launches", "1", "--samples", "2", "--sample-seconds", "0.001"]
    done = hmexp("sweep", "--preset", "quick", *small, "--results", str(tmp_path), "--run", "mine")
    assert done.returncode == 0, done.stderr
    run = json.loads((tmp_path / "mine" / "run.json").read_text())
    assert run["parameters"]["preset"] == "quick" and run["parameters"]["operations"] == ["read", "latency"]
    assert run["counts"] == {"ok": 6}


def test_they_are_listed(run_hmexp: Callable[..., Any]) -> None:
    done = run_hmexp("presets")
    assert done.status == 0, done.stderr
    for name in NAMES:
        assert re.search(rf"^{name} +(\d+ +\d+ +[\d.]+ |not here: )", done.stdout, re.MULTILINE), done.stdout


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("patern = ['0']", "unknown parameter: 'patern' .did you mean 'patterns'"),
        ("run = 'mine'", "unknown parameter: 'run'"),
        ("preset = 'quick'", "unknown parameter: 'preset'"),
        ("launches = 'many'", "launches 'many' is not a whole number"),
        ("patterns = [", "is not valid TOML.*write lines such as"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_what_is_wrong(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(ParameterError, match=re.escape(str(file))) as caught:
        SweepParameters.from_mapping({"preset": str(file)})
    assert re.search(says, str(caught.value), re.DOTALL), str(caught.value)


def test_an_unknown_preset_is_refused_with_those_there_are(
    tmp_path: Path, run_hmexp: Callable[..., Any]
) -> None:
    done = run_hmexp("sweep", "--preset", "quik", "--results", str(tmp_path / "none"))
    assert done.status == 2
    assert re.search("preset 'quik' is unknown.*use one of: quick, standard, full", done.stderr, re.DOTALL)
    with pytest.raises(ParameterError, match="cannot be read: No such file"):
        SweepParameters.from_mapping({"preset": str(tmp_path / "none.toml")})
    with pytest.raises(ParameterError, match="preset True is not a text"):
        SweepParameters.from_mapping({"preset": True})
    assert not (tmp_path / "none").exists()


def test_a_byte_order_mark_is_no_part_of_a_preset(tmp_path: Path) -> None:
    """Editors of Windows write one."""
    path = tmp_path / "mine.toml"
    path.write_text('patterns = ["1:0"]\n', encoding="utf-8-sig")
    assert find_preset(str(path)).values == {"patterns": ["1:0"]}
