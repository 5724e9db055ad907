"""Placeholders such as ``{port}`` in the commands of a workload: found, checked, and filled in."""

from __future__ import annotations

import shlex
import string
from collections.abc import Iterable, Mapping
from typing import Final

from hmexp.errors import ParameterError
from hmexp.store.workload_records import Words

#: What every launch has, beside the parameters of the workload.
BUILT_IN: Final[Mapping[str, str]] = {
    "port": "a free TCP port of this machine",
    "dir": "the folder of the launch: empty at first, and removed afterwards",
    "here": "the folder of the workload file",
    "python": "the Python that runs hmexp",
    "cpus": "how many CPUs this process may use",
}
SHELL: Final = "/bin/sh"


def names_in(text: str) -> tuple[str, ...]:
    """The names of the placeholders in a text, in their order.

    Raises
    ------
    ParameterError
        If a brace is open, or holds something other than a name.
    """
    return tuple(name for _, name in _parts(text) if name is not None)


def fill(text: str, values: Mapping[str, object]) -> str:
    """Put values in the place of the placeholders; ``{{`` is a brace.

    Raises
    ------
    ParameterError
        If a value is missing, or the text is not one of placeholders.
    """
    return _filled(text, {name: say(value) for name, value in values.items()})


def fill_words(command: Words, values: Mapping[str, object], *, shell: bool) -> tuple[str, ...]:
    """Make the arguments of a command.

    Without a shell the command is split first and filled in then: a value with spaces is one argument,
    whatever is in it. With one, each value is quoted.

    Raises
    ------
    ParameterError
        If a value is missing, or a quotation is open.
    """
    if shell:
        quoted = {name: shlex.quote(say(value)) for name, value in values.items()}
        script = command if isinstance(command, str) else shlex.join(command)
        return (SHELL, "-c", _filled(script, quoted))
    return tuple(fill(word, values) for word in split_words(command))


def split_words(command: Words) -> tuple[str, ...]:
    """Split a command into its words.

    Raises
    ------
    ParameterError
        If a quotation is open, or there is no word.
    """
    if not isinstance(command, str):
        words = tuple(command)
    else:
        try:
            words = tuple(shlex.split(command))
        except ValueError as error:
            raise ParameterError(
                f"the command {command!r} cannot be split into words: {error}", "close the quotation"
            ) from error
    if not words or not words[0]:
        raise ParameterError("the command is empty", "write the program and its arguments")
    return words


def say(value: object) -> str:
    """A value as it stands in a command: true is ``true``."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) and value.is_integer() else str(value)


def require_names(text: str, known: Iterable[str]) -> None:
    """Refuse a text with a placeholder that is not known.

    Raises
    ------
    ParameterError
        Naming it, and those there are.
    """
    known = tuple(known)
    for name in names_in(text):
        if name not in known:
            raise ParameterError(
                f"{{{name}}} is not a parameter of this workload",
                f"use one of {', '.join(sorted(known))}; or write {{{{ and }}}} for braces",
            )


def _filled(text: str, values: Mapping[str, str]) -> str:
    require_names(text, values)
    return "".join(literal + ("" if name is None else values[name]) for literal, name in _parts(text))


def _parts(text: str) -> Iterable[tuple[str, str | None]]:
    try:
        parts = [(literal, name, spec, how) for literal, name, spec, how in string.Formatter().parse(text)]
    except ValueError as error:
        raise ParameterError(
            f"{text!r} has a brace that stands alone ({error})", "write {{ or }} for a brace"
        ) from error
    for literal, name, spec, how in parts:
        if name is None:
            yield literal, None
        elif not name.isidentifier() or spec or how:
            shown = name + (f"!{how}" if how else "") + (f":{spec}" if spec else "")
            raise ParameterError(
                f"{{{shown}}} in {text!r} is not the name of a parameter", "write {{ and }} for braces"
            )
        else:
            yield literal, name
