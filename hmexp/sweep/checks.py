"""Checks of what a person asks to be measured: each returns the value, or says what is wrong with it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any, cast, get_args

from hmexp.errors import ParameterError
from hmexp.measure.launches import MOST_LAUNCHES
from hmexp.measure.shapes import require_shape
from hmexp.store.parts import Start
from hmexp.sweep.unquoted import quoted


def check_fields(defaults: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Check values by the kind of the defaults: lists of texts, whole numbers, numbers above 0, texts.

    Parameters
    ----------
    defaults : dataclass instance
        The parameters with their defaults.
    given : mapping
        Values by name.

    Raises
    ------
    ParameterError
        If a name is unknown, or a value has a type that cannot be used.
    """
    known = asdict(defaults)
    require_known(given, known)
    checks: dict[type, Callable[[str, Any], Any]] = {
        tuple: check_texts, int: check_whole, float: check_positive, str: check_text,
    }  # fmt: skip
    return {name: checks[type(known[name])](name, value) for name, value in given.items()}


def require_known(given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse names that are not parameters.

    Raises
    ------
    ParameterError
        Naming each unknown one and what may have been meant.
    """
    names = sorted(known)
    unknown = sorted(set(given) - set(names))
    if not unknown:
        return
    lines = []
    for name in unknown:
        close = difflib.get_close_matches(name, names, n=1)
        lines.append(f"{name!r}" + (f" (did you mean {close[0]!r}?)" if close else ""))
    raise ParameterError(
        f"unknown parameter{'s' if len(unknown) > 1 else ''}: {', '.join(lines)}",
        f"the parameters are: {', '.join(names)}",
    )


def _not_empty(name: str, items: Iterable[Any]) -> tuple[Any, ...]:
    values = tuple(items)
    if not values:
        raise ParameterError(f"{name} is an empty list", f"give at least one of {name}")
    return values


def check_text(name: str, value: Any) -> str:
    """A text, or a number that stands for one."""
    return quoted(name, value)


def check_texts(name: str, value: Any) -> tuple[str, ...]:
    """One text or several, each once."""
    items = value if isinstance(value, list | tuple) else [value]
    return tuple(dict.fromkeys(check_text(name, item) for item in _not_empty(name, items)))


def check_sizes(name: str, value: Any) -> tuple[str, ...]:
    """Sizes, in one text or in several."""
    texts = check_texts(name, value)
    return tuple(dict.fromkeys(part.strip() for text in texts for part in text.split(",")))


def check_whole(name: str, value: Any) -> int:
    """A whole number."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ParameterError(f"{name} {value!r} is not a whole number")
    return value


def check_positive(name: str, value: Any) -> float:
    """A number above 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ParameterError(f"{name} {value!r} is not a number of seconds above 0")
    return float(value)


def check_more_launches(name: str, value: Any) -> int:
    """A number of launches beyond those that a point has."""
    if not 0 <= check_whole(name, value) < MOST_LAUNCHES:
        raise ParameterError(f"{name} {value} is not a whole number from 0 to {MOST_LAUNCHES - 1}")
    return int(value)


def parse_budget(text: str) -> float | None:
    """A budget of time [s]; None for ``none``.

    Raises
    ------
    ParameterError
        If it is not a number above 0 and a unit.
    """
    if text == "none":
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|min|h)\s*", text)
    if match is not None and float(match[1]) == 0:
        raise ParameterError(
            f"budget {text!r} leaves no time to measure", "write a time above zero, such as 90s; or none"
        )
    if match is None:
        raise ParameterError(
            f"budget {text!r} is not a time", "write a number and a unit: 90s, 10min or 1.5h; or none"
        )
    return float(match[1]) * {"s": 1, "min": 60, "h": 3600}[match[2]]


def check_part(name: str, value: Any) -> float:
    """A part of a whole: a number from 0 to below 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise ParameterError(f"{name} {value!r} is not a number from 0 to 1", "0.01 is 1 %")
    return float(value)


def check_whole_numbers(name: str, value: Any) -> tuple[int, ...]:
    """One whole number or several."""
    items = value if isinstance(value, list | tuple) else [value]
    return tuple(check_whole(name, item) for item in _not_empty(name, items))


def check_budget(name: str, value: Any) -> str:
    """A budget of time, as text."""
    text = check_text(name, value)
    parse_budget(text)
    return text


def check_shapes(name: str, value: Any) -> str:
    """How loops walk: ``plain``, ``auto``, or a shape."""
    return require_shape(check_text(name, value))


def check_start(name: str, value: Any) -> Start:
    """How the process of a launch begins."""
    for known in get_args(Start):
        if value == known:
            return cast("Start", known)
    raise ParameterError(f"{name} {value!r} is neither fork nor exec", "fork starts launches faster")
