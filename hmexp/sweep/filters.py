"""Which points of the grid are wanted: conditions such as ``operation=read,latency`` on their parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hmexp.errors import HmexpError, ParameterError
from hmexp.measure.quantity import find_quantity
from hmexp.memory.page_sizes import find_page_bytes, read_page_size
from hmexp.native import PAGE_BYTES
from hmexp.pattern import Pattern
from hmexp.sweep.access import find_access
from hmexp.sweep.point import SweepPoint
from hmexp.units import format_size, parse_size

ALL: Final = "all"
NONE: Final = "none"


@dataclass(frozen=True)
class _Key:
    """A parameter that can be asked for: what a point has, how it is written, how it is read."""

    of: Callable[[SweepPoint], Any]
    read: Callable[[str, tuple[int, ...]], Any]
    say: Callable[[Any], str] = str


def _granule(text: str, _nodes: tuple[int, ...]) -> int:
    return read_page_size(text)


def _pattern(text: str, nodes: tuple[int, ...]) -> str:
    return str(Pattern.parse_any(text, nodes, PAGE_BYTES))


_KEYS: Final[dict[str, _Key]] = {
    "pattern": _Key(lambda p: p.pattern, _pattern),
    "operation": _Key(lambda p: p.operation, lambda text, _: find_quantity(text)),
    "size": _Key(lambda p: p.size_bytes, lambda text, _: parse_size(text), format_size),
    "granule": _Key(lambda p: p.granule_bytes, _granule, format_size),
    "page": _Key(lambda p: p.page_bytes, lambda text, _: find_page_bytes(text), format_size),
    "placer": _Key(lambda p: p.placer, lambda text, _: text),
    "access": _Key(lambda p: p.access, lambda text, _: find_access(text)),
    "threads": _Key(lambda p: p.threads, lambda text, _: int(text)),
    "cpu_node": _Key(lambda p: p.cpu_node, lambda text, _: text),
}
#: The axis of the grid is a name for the parameter of a point, too.
_AXES: Final = {
    "patterns": "pattern", "operations": "operation", "granules": "granule", "pages": "page",
    "placers": "placer", "cpu_nodes": "cpu_node",
}  # fmt: skip


def choose(
    points: Sequence[SweepPoint], only: Sequence[str], without: Sequence[str], ratio_nodes: tuple[int, ...]
) -> list[SweepPoint]:
    """The points that meet all conditions of `only`, and none of `without`.

    Parameters
    ----------
    points : sequence of SweepPoint
        The grid.
    only, without : sequence of str
        Conditions ``KEY=VALUE,VALUE``: a point meets one if it has any of the values. Patterns have commas
        of their own: there a space is between values.
    ratio_nodes : tuple of int
        The nodes of patterns that are given as a ratio.

    Raises
    ------
    ParameterError
        If a condition cannot be read, a value is that of no point, or no point is left.
    """
    narrowing = [_read("only", text, points, ratio_nodes) for text in only if text != ALL]
    dropping = [_read("without", text, points, ratio_nodes) for text in without if text != NONE]
    chosen = [
        point
        for point in points
        if all(meets(point) for meets in narrowing) and not any(meets(point) for meets in dropping)
    ]
    if not chosen:
        raise ParameterError(
            f"no point is left of {len(points)} by only {list(only)} and without {list(without)}",
            "use fewer conditions: those of `only` must all be met, and any of `without` is enough",
        )
    return chosen


def _read(
    name: str, text: str, points: Sequence[SweepPoint], ratio_nodes: tuple[int, ...]
) -> Callable[[SweepPoint], bool]:
    word, equals, rest = text.partition("=")
    word = word.strip()
    word = _AXES.get(word, word)
    key = _KEYS.get(word)
    if not equals or key is None:
        raise ParameterError(
            f"{name} {text!r} is not a condition" if not equals else f"{name} {text!r}: {word!r} is unknown",
            f"write KEY=VALUE,VALUE with a key of: {', '.join(_KEYS)}; such as operation=read,latency",
        )
    there = list(dict.fromkeys(value for value in map(key.of, points) if value is not None))
    wanted = set()
    for part in rest.split() if word == "pattern" else rest.split(","):
        try:
            value = key.read(part.strip(), ratio_nodes)
        except (HmexpError, ValueError):
            value = None
        if value not in there:
            raise ParameterError(
                f"{name} {text!r}: no point has the {word} {part.strip()!r}",
                f"there are: {(' ' if word == 'pattern' else ', ').join(map(key.say, there))}",
            )
        wanted.add(value)
    if not wanted:
        raise ParameterError(f"{name} {text!r} has no value", "write such as operation=read,latency")
    return lambda point: key.of(point) in wanted
