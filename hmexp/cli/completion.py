"""The command ``hmexp completion``: what a shell needs to complete commands, options, files and choices."""

from __future__ import annotations

import argparse
from typing import Final

from hmexp.cli.options import Command
from hmexp.cli.status import ExitStatus, describe_statuses

SHELLS: Final = ("bash", "zsh", "tcsh")


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, help="shell that the script is for")


def make_script(shell: str) -> str:
    """The completion script of the whole command line for a shell."""
    import shtab

    from hmexp.cli.main import build_parser
    from hmexp.cli.parser import find_parsers

    parser = build_parser()
    kinds = {"file": shtab.FILE, "directory": shtab.DIRECTORY}
    for inner in find_parsers(parser).values():
        for action in inner._actions:  # noqa: SLF001 # shtab reads them, too
            kind = getattr(action, "complete", None)
            if isinstance(kind, str):
                action.complete = kinds[kind]  # type: ignore[attr-defined]
    return str(shtab.complete(parser, shell=shell))


def _run(options: argparse.Namespace) -> int:
    print(make_script(options.shell))
    return ExitStatus.OK


COMMAND = Command(
    "completion",
    "print a completion script for bash, zsh or tcsh",
    "Print a script that completes the commands, options, choices and files of hmexp.",
    "Install it once:\n\n"
    "  hmexp completion bash > ~/.local/share/bash-completion/completions/hmexp\n"
    "  hmexp completion zsh > ~/.zfunc/_hmexp       # a folder of $fpath\n"
    "  hmexp completion tcsh > /etc/profile.d/hmexp.completion.csh\n\n"
    'Or for this shell alone: eval "$(hmexp completion bash)"\n\n' + describe_statuses(),
    _add_options,
    _run,
)
