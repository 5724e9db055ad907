"""The parser of every command: short errors that help, and one set of names for the options."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, NoReturn

from hmexp.cli.status import ExitStatus

#: Names of one idea, without their dashes. A command offers one of each and understands the others.
FAMILIES: Final[tuple[tuple[str, ...], ...]] = (
    ("pattern", "patterns"),
    ("operation", "operations", "op"),
    ("granule", "granules"),
    ("page-bytes", "pages", "page", "page-size"),
    ("placer", "placers"),
    ("size", "sizes"),
    ("access", "accesses", "order"),
    ("threads", "thread"),
    ("pinning", "placement"),
    ("cpu-nodes", "cpu-node"),
    ("cpus", "cpu"),
    ("samples", "sample"),
    ("launches", "launch"),
    ("ignore-below", "least"),
    ("false-discoveries", "false"),
)
_CHOICE: Final = re.compile(r"invalid choice: '([^']*)' \(choose from (.*)\)")
_ONE: Final = "expected one argument"


class Parser(argparse.ArgumentParser):
    """A parser whose errors are two lines, and that understands each option by all its names."""

    #: The exit status of an error in what was typed.
    usage_status: ExitStatus = ExitStatus.USAGE

    def parse_known_args(  # type: ignore[override] # argparse overloads it by the namespace's type
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """See `argparse`; a word that no argument takes is an error here, where its parser is known."""
        # A value may begin with a dash (`--pattern -1:2`): its own check then says what is wrong with it.
        self._negative_number_matcher = re.compile(r"-[^-]")
        found, rest = super().parse_known_args(None if args is None else self._own_names(args), namespace)
        if rest:
            self.error(f"unrecognized arguments: {' '.join(rest)}{self._meant(rest)}")
        return found, rest

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and what to do, without the whole usage."""
        remedy = f"see `{self.prog} --help`"
        choice = _CHOICE.search(message)
        if choice is not None:
            close = difflib.get_close_matches(choice[1], re.findall(r"[\w./-]+", choice[2]), n=1)
            message += f"; did you mean {close[0]}?" if close else ""
        if message.endswith(_ONE):
            remedy = f"write --OPTION=VALUE if the value begins with two dashes; {remedy}"
        self.exit(self.usage_status, f"{self.prog}: {message}\n  -> {remedy}\n")

    def names(self) -> list[str]:
        """Every option that this parser offers, with its dashes."""
        return [
            name
            for action in self._actions
            if action.help is not argparse.SUPPRESS
            for name in action.option_strings
        ]

    def _own_names(self, args: Iterable[str]) -> list[str]:
        """The words, with other names of an option exchanged for this command's own."""
        known = set(self._option_string_actions)
        other: dict[str, str] = {}
        for family in FAMILIES:
            own = next((name for name in family if f"--{name}" in known), None)
            if own is not None:
                other |= {f"--{name}": f"--{own}" for name in family if f"--{name}" not in known}
        words, after = [], False
        for arg in args:
            after = after or arg == "--"
            name, equals, value = arg.partition("=")
            words.append(arg if after or name not in other else f"{other[name]}{equals}{value}")
        return words

    def _meant(self, rest: Sequence[str]) -> str:
        wrong = next((word.partition("=")[0] for word in rest if word.startswith("--")), None)
        close = difflib.get_close_matches(wrong, self.names(), n=1) if wrong else []
        return f" (did you mean {close[0]}?)" if close else ""


def find_parsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parser and all below it, by what a person types, in their order."""
    found = {parser.prog: parser}
    for action in parser._actions:  # noqa: SLF001 # argparse has no public way to its subparsers
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            choices: dict[str, Any] = action.choices
            for inner in dict.fromkeys(choices.values()):
                found |= find_parsers(inner)
    return found
