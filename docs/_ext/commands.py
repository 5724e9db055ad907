"""The reference of the command line, made from its parsers when the site is built.

A page that has the line ``<!-- commands -->`` gets a section for each command in its place.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from sphinx.application import Sphinx

MARKER = "<!-- commands -->"
#: Markdown's own signs; a help text that has them means the signs.
SIGNS = re.compile(r"([\\*_<>\[\]|$#])")
USAGE_COLUMNS = 92


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("source-read", insert_commands)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def insert_commands(app: Sphinx, page: str, source: list[str]) -> None:
    """Replace the marker of a page by the commands."""
    if MARKER not in source[0]:
        return
    import hmexp.cli
    from hmexp.cli.main import build_parser
    from hmexp.cli.status import MEANINGS

    for path in sorted(Path(hmexp.cli.__file__).parent.glob("*.py")):
        app.env.note_dependency(str(path))
    rows = [f"| {int(status)} | {prose(meaning)} |" for status, meaning in MEANINGS.items()]
    statuses = ["## Exit statuses", "", "| status | meaning |", "|---|---|", *rows]
    source[0] = source[0].replace(MARKER, "\n".join([*describe(build_parser()), *statuses, ""]))


def describe(parser: argparse.ArgumentParser, about: str = "", level: int = 2) -> Iterator[str]:
    """Yield the lines of a command and of the commands below it, in Markdown."""
    yield f"{'#' * min(level, 4)} {parser.prog}\n"
    yield from paragraphs(parser.description or sentence(about))
    yield f"```text\n{usage(parser)}\n```\n"
    for group in parser._action_groups:
        actions = [action for action in group._group_actions if is_shown(action)]
        if not actions:
            continue
        if group.title and group.title not in ("positional arguments", "options"):
            yield f"**{prose(group.title)}**\n"
        if group.description:
            yield f"{prose(group.description)}\n"
        for action in actions:
            yield f"`{' , '.join(spellings(action))}`".replace(" , ", "`, `")
            yield f": {prose(expand(parser, action))}\n"
    if parser.epilog:
        yield from paragraphs(parser.epilog)
    for name, below, help_text in subcommands(parser):
        assert below.prog.endswith(name)
        yield from describe(below, help_text, level + 1 if parser.prog != "hmexp" else level)


def subcommands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser, str]]:
    """Yield the name, the parser and the help of each command of a parser."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, below in action.choices.items():
                if name in helps:
                    yield name, below, helps[name]


def is_shown(action: argparse.Action) -> bool:
    hidden = action.help == argparse.SUPPRESS or isinstance(action, argparse._HelpAction)
    return not hidden and not isinstance(action, argparse._SubParsersAction)


def usage(parser: argparse.ArgumentParser) -> str:
    formatter = argparse.HelpFormatter(parser.prog, width=USAGE_COLUMNS)
    formatter.add_usage(parser.usage, parser._actions, parser._mutually_exclusive_groups)
    return re.sub("\x1b\\[[0-9;]*m", "", formatter.format_help()).strip()


def spellings(action: argparse.Action) -> list[str]:
    formatter = argparse.HelpFormatter("hmexp")
    if not action.option_strings:
        return [str(action.metavar or action.dest)]
    if action.nargs == 0:
        return list(action.option_strings)
    default = action.dest.upper()
    return [f"{option} {formatter._format_args(action, default)}" for option in action.option_strings]


def expand(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """The help of an action, with its default and choices in their places."""
    return argparse.HelpFormatter(parser.prog)._expand_help(action) if action.help else ""


def sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def paragraphs(text: str) -> Iterator[str]:
    """The paragraphs of a description; those with indented lines are examples, shown as they are."""
    for part in text.strip("\n").split("\n\n"):
        example = re.search(r"^  ", part, re.MULTILINE)
        yield f"```text\n{part}\n```\n" if example else f"{prose(part)}\n"


def prose(text: str) -> str:
    """Text as Markdown shows it unchanged, but for `code`."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(part if part.startswith("`") else SIGNS.sub(r"\\\1", part) for part in parts)
