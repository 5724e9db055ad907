"""The tree of parsers: names, values, errors, and how cheap it is to have."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from hmexp.cli.main import COMMANDS, build_parser
from hmexp.cli.parser import FAMILIES, find_parsers
from hmexp.cli.status import MEANINGS, ExitStatus
from tests.cli.conftest import Run

PARSERS = find_parsers(build_parser())


def shown(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [action for action in parser._actions if action.help is not argparse.SUPPRESS]


def test_help_needs_nothing_heavy_and_no_measurement() -> None:
    look = (
        "import sys\n"
        "from hmexp.cli.main import build_parser\n"
        "build_parser('').format_help()\n"
        "cheap = {'numpy', 'pandas', 'matplotlib', 'IPython'} & set(sys.modules)\n"
        "build_parser()\n"
        "whole = {'pandas', 'matplotlib', 'IPython', 'jinja2', 'papermill'} & set(sys.modules)\n"
        "print(cheap, whole)"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set() set()"


def test_every_command_says_the_same_in_both_lists() -> None:
    parser = build_parser()
    action = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    assert {choice.dest: choice.help for choice in action._choices_actions} == COMMANDS
    alone = build_parser("sweep")
    assert set(find_parsers(alone)) >= {"hmexp", "hmexp sweep", "hmexp doctor"}
    assert len(find_parsers(alone)["hmexp sweep"]._actions) > 20
    assert len(find_parsers(alone)["hmexp compare"]._actions) == 1


@pytest.mark.parametrize("name", PARSERS)
def test_every_command_has_words_for_itself_and_its_options(name: str) -> None:
    parser = PARSERS[name]
    if not name.startswith("hmexp lab"):
        assert parser.description and parser.epilog
    for action in shown(parser):
        described = action.help or isinstance(action, argparse._SubParsersAction)
        assert described, (name, action.dest)


@pytest.mark.parametrize("name", PARSERS)
def test_verbosity_is_an_option_of_every_command(name: str) -> None:
    leaf = not any(isinstance(a, argparse._SubParsersAction) for a in PARSERS[name]._actions)
    if leaf:
        assert "--verbose" in PARSERS[name]._option_string_actions, name


@pytest.mark.parametrize("name", PARSERS)
def test_no_command_has_two_options_for_one_idea(name: str) -> None:
    visible = {option for action in shown(PARSERS[name]) for option in action.option_strings}
    for family in FAMILIES:
        assert len(visible & {f"--{other}" for other in family}) <= 1, (name, family)


@pytest.mark.parametrize(
    ("command", "given", "name", "value"),
    [
        ("sweep", ["--pattern", "0", "0,2"], "patterns", ["0", "0,2"]),
        ("sweep", ["--operation=read"], "operations", ["read"]),
        ("sweep", ["--op", "read", "latency"], "operations", ["read", "latency"]),
        ("sweep", ["--page-bytes", "2MiB"], "pages", ["2MiB"]),
        ("sweep", ["--order", "random_line"], "access", ["random_line"]),
        ("sweep", ["--threads", "auto", "2"], "threads", [0, 2]),
        ("sweep", ["--run", "-dash"], "run_name", "-dash"),
        ("sweep", ["--patterns", "0", "-1:2"], "patterns", ["0", "-1:2"]),
        ("measure", ["--patterns", "1:2"], "pattern", "1:2"),
        ("measure", ["--pattern", "0", "--op", "copy"], "operation", "copy"),
        ("measure", ["--pattern", "0", "--placement", "compact"], "pinning", "compact"),
        ("measure", ["--pattern", "0", "--pages", "2MiB"], "page_bytes", "2MiB"),
        ("measure", ["--pattern", "0", "--granules", "8KiB"], "granule", "8KiB"),
        ("measure", ["--pattern", "0", "--cpus", "1,0"], "cpus", (1, 0)),
        ("measure", ["--pattern", "0", "--cpus", "0-2,5"], "cpus", (0, 1, 2, 5)),
        ("latency", ["--pattern", "0", "--threads", "auto"], "threads", 0),
        ("compare", ["a", "b", "--least", "2%", "--false", "1"], "ignore_below", 0.02),
        ("compare", ["a", "b", "--false", "1"], "false_discoveries", 0.01),
        ("report", ["x/run.json", "--keep", "90%"], "run_directory", Path("x")),
        ("report", ["x", "--keep", "85"], "keep", 0.85),
        ("report", ["x"], "keep", 0.9),
    ],
)
def test_old_and_other_names_are_understood(command: str, given: list[str], name: str, value: object) -> None:
    assert getattr(build_parser(command).parse_args([command, *given]), name) == value


def test_what_follows_two_dashes_belongs_to_the_guest() -> None:
    options = build_parser("lab").parse_args(["lab", "run", "--", "hmexp", "measure", "--op", "read"])
    assert options.command[-2:] == ["--op", "read"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("sweep --threads two", "'two' is not a whole number"),
        ("sweep --launches 1e3", "'1e3' is not a whole number; write 1000"),
        ("sweep --sample-seconds 0,05", "write 0.05"),
        ("sweep --sample-seconds nan", "not a finite number"),
        ("sweep --patern 0", "unrecognized arguments: --patern 0 (did you mean --patterns?)"),
        ("swep", "did you mean sweep?"),
        ("measure", "required: --pattern"),
        ("measure --pattern", "expected one argument"),
        ("measure --pattern 0 --cpus 3-1", "'3-1' is not a list of CPUs"),
        ("measure --pattern 0 --size 3bananas", "unknown unit 'bananas'"),
        ("latency --pattern 0 --stores sideways", "choose from"),
        ("report x --price-dram 8,5", "write 8.5"),
        ("report x --price-slow 8EUR", "a price is a number alone"),
        ("report x --price-slow -1", "not a price above 0"),
        ("report x --keep 500", "'500' is not from 0 to 100 percent"),
        ("report x --keep -5", "'-5' is not from 0 to 100 percent"),
        ("report x --keep nan", "not a finite number"),
        ("report x --price-dram 8", "give both --price-dram and --price-slow"),
        ("compare a b --false 200", "'200' is not from 0 to 100 percent"),
        ("compare a b --false 0", "--false-discoveries 0"),
        ("compare a b --least -1", "'-1' is not from 0 to 100 percent"),
        ("completion fish", "choose from"),
        ("", "required: COMMAND"),
    ],
)
def test_a_bad_value_is_answered_in_a_few_lines(run: Run, words: str, says: str) -> None:
    done = run(*words.split())
    assert done.status == ExitStatus.USAGE
    assert says in done.stderr
    assert "-> " in done.stderr and "usage:" not in done.stderr and done.stderr.count("\n") == 2
    assert done.stdout == ""


def test_exit_statuses_are_all_explained() -> None:
    assert set(MEANINGS) == set(ExitStatus)


def test_a_bug_has_a_status_of_its_own(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from hmexp.memory.placers import PLACERS

    def fall_over() -> None:
        raise LookupError("it fell over")

    monkeypatch.setattr(type(PLACERS["mbind"]), "unavailable", lambda _self: fall_over())
    done = run("placers")
    assert done.status == ExitStatus.INTERNAL
    assert "This is a bug" in done.stderr and "LookupError: it fell over" in done.stderr


@pytest.mark.parametrize("words", [("matrix", "--help"), ("study", "placers", "--explain")])
def test_a_core_that_refuses_to_load_ends_in_a_message(words: tuple[str, ...]) -> None:
    # These parsers need the core; here it refuses as one does that was built from other sources.
    refuse = (
        "import sys\n"
        "from hmexp.errors import NativeError\n"
        "class Refusing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'hmexp.native':\n"
        "            raise NativeError('the core was built from other sources', 'build it again')\n"
        "sys.meta_path.insert(0, Refusing())\n"
        "from hmexp.cli.main import main\n"
        "main(sys.argv[1:])\n"
    )
    done = subprocess.run([sys.executable, "-c", refuse, *words], capture_output=True, text=True)
    said = "hmexp: the core was built from other sources\n  -> build it again\n"
    assert (done.returncode, done.stdout, done.stderr) == (ExitStatus.USAGE, "", said)
