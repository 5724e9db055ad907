"""Texts that YAML reads as something else where they stand without quotes.

``papermill -y`` reads YAML 1.1, in which digits with colons between them are one number of base 60.
"""

from __future__ import annotations

from typing import Final

from hmexp.errors import ParameterError

_BASE: Final = 60


def quoted(name: str, value: object) -> str:
    """The text that a parameter is, or that a number stands for.

    Parameters
    ----------
    name : str
        Of the parameter. A pattern of 60 or more is a number that YAML makes of a ratio: 60 of ``1:0``.
    value : object
        What was read.

    Raises
    ------
    ParameterError
        If it is neither, or may have been a ratio, with how to write it.
    """
    if isinstance(value, str):
        return value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and name.startswith("pattern") and _BASE <= float(str(value)) < float("inf"):
        more, rest = divmod(float(str(value)), _BASE)
        meant = f"{more:g}:{rest:g}"
        raise ParameterError(
            f"{name} {value!r} is a number: without quotes, YAML reads a ratio ({meant}) in base 60",
            f"""put it in quotes: papermill -y '{name}: ["{meant}"]'; if it is a node: "{value!r}\"""",
        )
    if isinstance(value, bool) or not isinstance(value, int):
        raise ParameterError(
            f"{name} {value!r} is not a text",
            f"YAML, which papermill -y reads, takes it for a {_kind_of(value)}: put it in quotes",
        )
    return str(value)


def _kind_of(value: object) -> str:
    match value:
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case None:
            return "null"
        case list() | tuple():
            return "list"
        case dict():
            return "table"
    return type(value).__name__
