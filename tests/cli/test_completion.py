"""Completion, in a real shell; and the manual page, by a real groff."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from hmexp.cli.completion import SHELLS, make_script
from hmexp.cli.main import COMMANDS, build_parser
from hmexp.cli.manual import make_manual
from hmexp.cli.parser import find_parsers
from hmexp.cli.status import ExitStatus
from tests.cli.conftest import Run

BASH = shutil.which("bash")


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("completion") / "hmexp"
    path.write_text(make_script("bash"))
    return path


def complete(script: Path, folder: Path, *words: str) -> set[str]:
    """What bash offers for the last word."""
    line = " ".join(words)
    ask = (
        f"source {script}; COMP_WORDS=({' '.join(map(repr, words))}); COMP_CWORD={len(words) - 1};"
        f" COMP_LINE={line!r}; COMP_POINT={len(line)};"
        " run=$(complete -p hmexp | sed 's/.*-F \\([^ ]*\\).*/\\1/');"
        ' $run hmexp "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}" 2>/dev/null;'
        ' printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run([str(BASH), "-c", ask], cwd=folder, capture_output=True, text=True, check=True)
    return {word.strip() for word in done.stdout.split("\n")} - {""}


@pytest.mark.skipif(BASH is None, reason="there is no bash here")
def test_bash_completes_commands_options_choices_and_files(script: Path, tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "notes.toml").touch()
    assert complete(script, tmp_path, "hmexp", "") >= set(COMMANDS)
    assert complete(script, tmp_path, "hmexp", "co") == {"compare", "completion"}
    assert complete(script, tmp_path, "hmexp", "sweep", "--pat") == {"--patterns"}
    assert complete(script, tmp_path, "hmexp", "latency", "--stores", "") >= {"nt", "flush"}
    assert complete(script, tmp_path, "hmexp", "study", "") >= {"placers", "granularity"}
    assert complete(script, tmp_path, "hmexp", "report", "") & {"results", "results/"}
    assert "notes.toml" in complete(script, tmp_path, "hmexp", "campaign", "")
    # What is only understood for old scripts is not offered.
    assert "--stride" not in complete(script, tmp_path, "hmexp", "measure", "--")


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_for_each_shell(run: Run, shell: str) -> None:
    done = run("completion", shell)
    assert done.status == 0 and "hmexp" in done.stdout and "granularity" in done.stdout


def test_the_manual_has_every_command_option_and_status(run: Run) -> None:
    page = make_manual(build_parser())
    for name, parser in find_parsers(build_parser()).items():
        assert f".SS {name}\n" in page or name == "hmexp"
        for option in (o for a in parser._actions for o in a.option_strings if a.help != "==SUPPRESS=="):
            assert option.replace("-", r"\-") in page
    for status in ExitStatus:
        assert f".B {int(status)}\n" in page
    assert run("man").stdout == page


@pytest.mark.skipif(shutil.which("groff") is None, reason="there is no groff here")
def test_groff_has_nothing_to_complain_of(tmp_path: Path) -> None:
    file = tmp_path / "hmexp.1"
    file.write_text(make_manual(build_parser()))
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tutf8", "-P-cbou", str(file)], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    words = re.sub(r"\s+", " ", done.stdout)
    assert "print or show the manual page" in words or "Show the manual page" in words
    assert "SYNOPSIS hmexp [-v | -q] COMMAND [OPTIONS]" in words
