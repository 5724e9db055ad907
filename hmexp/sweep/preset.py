"""Presets: parameters of a sweep under a name, or in a file of one's own."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hmexp.errors import ParameterError

STANDARD: Final = "standard"
_FOLDER: Final = Path(__file__).with_name("presets")
#: From the shortest to the longest; a test holds that these are the files.
NAMES: Final = ("quick", STANDARD, "full")
_ABOUT: Final = "about"


@dataclass(frozen=True)
class Preset:
    """Parameters of a sweep.

    Parameters
    ----------
    name : str
        As it was asked for: of `NAMES`, or a path.
    about : str
        What it is for.
    values : mapping
        The parameters, not yet checked.
    """

    name: str
    about: str
    values: Mapping[str, Any]


def find_preset(name: str) -> Preset:
    """The preset of that name, or in the file of that path (with a slash in it, or ending in ``.toml``).

    Raises
    ------
    ParameterError
        If there is none, with the names there are, or its file cannot be read.
    """
    if name in NAMES:
        path = _FOLDER / f"{name}.toml"
    elif "/" in name or name.endswith(".toml"):
        path = Path(name).expanduser()
    else:
        raise ParameterError(
            f"preset {name!r} is unknown",
            f"use one of: {', '.join(NAMES)} (`hmexp presets`), or the path of a .toml file of your own",
        )
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ParameterError(
            f"preset {name!r} cannot be read: {error.strerror}",
            f"copy {_FOLDER / STANDARD}.toml, or use one of: {', '.join(NAMES)}",
        ) from error
    except ValueError as error:
        raise ParameterError(
            f"preset {name!r} is not valid TOML: {error}", "write lines such as: patterns = ['1:0', '1:1']"
        ) from error
    return Preset(name, str(values.pop(_ABOUT, "")), values)
