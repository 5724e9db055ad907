"""Options made of the fields of a dataclass of parameters, and the parameters made of what was given."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final, TypeVar

from hmexp.cli.options import number, threads, whole

if TYPE_CHECKING:
    from hmexp.study.experiment import StudyParameters

    P = TypeVar("P", bound=StudyParameters)

_READERS: Final[dict[type, Callable[[str], Any]]] = {int: whole, float: number, str: str}


def add_parameters(
    parser: argparse.ArgumentParser,
    parameters: type[Any],
    texts: Mapping[str, str],
    leave: Collection[str] = (),
) -> None:
    """Add an option for each field.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Of the command.
    parameters : type
        The dataclass; its defaults say what each option takes.
    texts : mapping of str to str
        What each field is, by its name.
    leave : collection of str
        Fields that are no options.
    """
    for field in fields(parameters):
        if field.name in leave:
            continue
        default: Any = field.default
        many = isinstance(default, tuple)
        shown = " ".join(default) if many else "auto" if field.name == "threads" and not default else default
        read = threads if field.name == "threads" else str if many else _READERS[type(default)]
        option = field.name.replace("_", "-")
        parser.add_argument(
            f"--{option}",
            dest=f"given_{field.name}",
            metavar=option.upper(),
            nargs="+" if many else None,
            type=read,
            help=f"{texts[field.name]} (default: {shown})",
        )


def take_parameters(options: argparse.Namespace, parameters: type[P]) -> P:
    """Make the parameters of the options that were given.

    Raises
    ------
    ParameterError
        If a value cannot be used.
    """
    given = {field.name: getattr(options, f"given_{field.name}") for field in fields(parameters)}
    return parameters.from_mapping({name: value for name, value in given.items() if value is not None})
