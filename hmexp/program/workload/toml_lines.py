"""On which line of a TOML file a key is: what `tomllib` does not say, and a person needs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

#: A name of a table, or the number of a table in an array of them, from 0.
KeyPath = Sequence[str | int]
_HEADER: Final = re.compile(r"\s*(?P<open>\[\[?)\s*(?P<name>[^\[\]]+?)\s*\]")
_KEY: Final = re.compile(
    r"\s*(?P<name>(?:[\w-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[\w-]+|\"[^\"]*\"|'[^']*'))*)\s*="
)
_NAME: Final = re.compile(r"\"[^\"]*\"|'[^']*'|[\w-]+")
_LONG: Final = re.compile(r"\"\"\"|'''")


def find_line(text: str, path: KeyPath) -> int | None:
    """The line of a key, from 1; of the nearest table that contains it, if it has no line of its own.

    Parameters
    ----------
    text : str
        The file.
    path : sequence of str or int
        Where the key is, such as ``("metrics", 1, "regex")``.
    """
    lines: dict[tuple[str | int, ...], int] = {}
    for number, found in _keys(text):
        lines.setdefault(found, number)
    for length in range(len(path), 0, -1):
        known = lines.get(tuple(path[:length]))
        if known is not None:
            return known
    return None


def _keys(text: str) -> Iterator[tuple[int, tuple[str | int, ...]]]:
    """Every header and key with its line; lines inside of a long text are none."""
    table: tuple[str | int, ...] = ()
    counts: dict[tuple[str, ...], int] = {}
    inside = ""
    for number, line in enumerate(text.split("\n"), start=1):
        was_inside = bool(inside)
        for mark in _LONG.findall(line):
            inside = mark if not inside else "" if mark == inside else inside
        if was_inside:
            continue
        header = _HEADER.match(line)
        if header is not None:
            names = _names(header["name"])
            if header["open"] == "[[":
                counts[names] = counts.get(names, -1) + 1
            table = _numbered(names, counts)
            yield number, table
            if header["open"] == "[[":
                yield number, table[:-1]
        elif (key := _KEY.match(line)) is not None:
            yield number, (*table, *_names(key["name"]))


def _numbered(names: tuple[str, ...], counts: dict[tuple[str, ...], int]) -> tuple[str | int, ...]:
    path: list[str | int] = []
    for length, name in enumerate(names, start=1):
        path.append(name)
        if names[:length] in counts:
            path.append(counts[names[:length]])
    return tuple(path)


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _NAME.findall(text))
