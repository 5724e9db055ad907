"""The manual page, generated from the parsers."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from typing import Final

import hmexp
from hmexp.cli.parser import find_parsers
from hmexp.cli.status import MEANINGS

_FILES: Final = (
    ("results/RUN/", "What a run measured (points.jsonl, launches.jsonl, run.json) and what is made of it."),
    (
        "results/latest",
        "A link to the newest sweep; latest-placers, latest-granularity and latest-redis to studies.",
    ),
    ("/run/hmexp/", "The journal of settings of the machine that must be restored."),
)
_ENVIRONMENT: Final = (
    ("HMEXP_TERMINAL", "Terminal on which a notebook that papermill runs shows its progress."),
)


def make_manual(parser: argparse.ArgumentParser) -> str:
    """The manual page of a command line, as roff for man(7).

    Parameters
    ----------
    parser : ArgumentParser
        The whole of it, such as `hmexp.cli.main.build_parser` makes.
    """
    lines = [
        f'.TH HMEXP 1 "" "hmexp {hmexp.__version__}" "User Commands"',
        ".SH NAME",
        r"hmexp \- experiments on hybrid memory",
        ".SH SYNOPSIS",
        r".B hmexp",
        r"[\fB\-v\fR | \fB\-q\fR] \fICOMMAND\fR [\fIOPTIONS\fR]",
        ".SH DESCRIPTION",
        *_paragraphs(parser.description),
        ".SH OPTIONS",
        *_options(parser),
        ".SH COMMANDS",
    ]
    for name, inner in find_parsers(parser).items():
        if inner is not parser:
            lines += [f".SS {_escape(name)}", *_command(inner)]
    lines.append(".SH EXIT STATUS")
    for status, meaning in MEANINGS.items():
        lines += [".TP", f".B {int(status)}", _escape(meaning)]
    for title, rows in (("FILES", _FILES), ("ENVIRONMENT", _ENVIRONMENT)):
        lines.append(f".SH {title}")
        for name, text in rows:
            lines += [".TP", f".I {_escape(name)}", _escape(text)]
    lines += [".SH SEE ALSO", r"\fBnumactl\fR(8), \fBnuma\fR(7), \fBmove_pages\fR(2), \fBmbind\fR(2)"]
    return "\n".join(lines) + "\n"


def _command(parser: argparse.ArgumentParser) -> Iterator[str]:
    usage = " ".join(parser.format_usage().removeprefix("usage: ").split())
    yield from (".nh", ".ad l", rf"\fB{_escape(parser.prog)}\fR {_escape(usage.removeprefix(parser.prog))}")
    yield from (".ad b", ".hy", ".PP")
    yield from _paragraphs(parser.description)
    yield from _options(parser)
    yield from _paragraphs(parser.epilog)


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    formatter = parser._get_formatter()  # noqa: SLF001 # expands %(default)s and names the values
    for action in parser._actions:  # noqa: SLF001
        if action.help in (None, argparse.SUPPRESS) or isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            continue
        head = formatter._format_action_invocation(action)  # noqa: SLF001
        yield from (".TP", rf"\fB{_escape(head)}\fR")
        yield _escape(formatter._expand_help(action))  # noqa: SLF001


def _paragraphs(text: str | None) -> Iterator[str]:
    """Filled paragraphs; those with indented lines as examples."""
    for part in (text or "").strip("\n").split("\n\n"):
        if not part:
            continue
        if re.search(r"^  ", part, re.MULTILINE):
            yield from (".PP", ".nf", *(_escape(line) for line in part.split("\n")), ".fi")
        else:
            yield from (".PP", _escape(" ".join(part.split())))


def _escape(text: str) -> str:
    """Text for roff: backslashes and dashes as themselves, no line that would be a request."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-").replace("^", r"\(ha").replace("~", r"\(ti")
    return rf"\&{escaped}" if escaped.startswith((".", "'")) else escaped
