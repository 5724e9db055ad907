"""Reading what a run has stored: a line at a time, so that many records need little memory."""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import orjson

from hmexp.errors import StoreError
from hmexp.store.journal import told
from hmexp.store.schema import SCHEMA

#: Records of earlier schemas are read; what they do not have is missing in what is made of them.
OLDEST_SCHEMA: Final[int] = 1
T = TypeVar("T")
K = TypeVar("K")
#: How the store begins a record; the schema is the newest one, so that others are looked at.
_BEGIN: Final = re.compile(rb'\{"schema":%d,"point_id":"([^"\\]+)","status":"([a-z]+)",' % SCHEMA)
_ID: Final = re.compile(rb'\{"schema":%d,"point_id":"([^"\\]+)",' % SCHEMA)
_MEASURED: Final = ("samples", "sample_seconds", "launches")


def read_points(file: Path, take: Callable[[dict[str, Any]], T]) -> dict[str, T]:
    """Read the last record of each point, in the order of their first ones, see `read_lines`."""
    return read_lines(file, take, lambda record: str(record["point_id"]))


def read_lines(
    file: Path,
    take: Callable[[dict[str, Any]], T],
    name: Callable[[dict[str, Any]], K | None],
    leave: Container[str] = (),
) -> dict[K, T]:
    """Read the last record of each name, in the order of their first ones.

    Parameters
    ----------
    file : Path
        A `points.jsonl`. If it is missing there are no points; a last line that was cut off when its writer
        was killed is no record.
    take : callable
        What to keep of a record. The rest of it is forgotten before the next line is read.
    name : callable
        What the record is of; None if it is not wanted.
    leave : container of str
        Ids of points whose lines are not even looked into.

    Returns
    -------
    dict
        What was taken, by name.

    Raises
    ------
    StoreError
        If the file cannot be read, a complete line of it cannot, or a record has a schema of a newer hmexp.
    """
    found: dict[K, T] = {}
    if not file.exists():
        return found
    with told("cannot read", file), collector_paused(), file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                break
            if (begin := _ID.match(line)) and begin[1].decode() in leave:
                continue
            record, key = _parse(line, number, file, name)
            require_schema(record, f"line {number} of {file}")
            if key is not None:
                found[key] = take(record)
    return found


def read_statuses(file: Path) -> dict[str, str]:
    """Read the last status of each point, without the rest of the records, which may be large.

    Raises
    ------
    StoreError
        As `read_lines`; but what is inside of a line that begins and ends well is not looked at.
    """
    found: dict[str, str] = {}
    if not file.exists():
        return found
    with told("cannot read", file), file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                break
            begin = _BEGIN.match(line)
            if begin is not None and line.endswith(b"}\n"):
                found[begin[1].decode()] = begin[2].decode()
                continue
            record, key = _parse(line, number, file, lambda record: str(record["point_id"]))
            require_schema(record, f"line {number} of {file}")
            found[str(key)] = str(record.get("status"))
    return found


def require_schema(record: dict[str, Any], where: str) -> None:
    """Refuse what was written by a newer hmexp: it may mean something else by the same names.

    Raises
    ------
    StoreError
        Naming the schema that was found, and those that can be read.
    """
    schema = record.get("schema", OLDEST_SCHEMA)
    if isinstance(schema, int) and OLDEST_SCHEMA <= schema <= SCHEMA:
        return
    known = str(SCHEMA) if SCHEMA == OLDEST_SCHEMA else f"{OLDEST_SCHEMA} to {SCHEMA}"
    raise StoreError(
        f"{where} has schema {schema!r}; this hmexp reads schema {known}",
        "read it with the hmexp that wrote it, or a newer one (run.json names it: provenance.packages.hmexp)",
    )


def _parse(
    line: bytes, number: int, file: Path, name: Callable[[dict[str, Any]], K | None]
) -> tuple[dict[str, Any], K | None]:
    try:
        record = _loads(line)
        if not isinstance(record, dict):
            raise TypeError("it is not a record")
        key = name(record)
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"line {number} of {file} is damaged: {error}", "remove that line; what it held is measured again"
        ) from error
    return record, key


def _loads(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except ValueError:
        # Python's own reads what others call no JSON, such as NaN, and says where a line is damaged.
        return json.loads(line)


@contextmanager
def collector_paused() -> Iterator[None]:
    """Make many objects without the garbage collector, which then takes half of the time."""
    # JSON makes no cycles, and the collector looks at everything again for each few hundred new objects: half
    # of the time that it takes to read many records.
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Interner:
    """Equal lists become one: of placement strips and of what is said of each sample, most are equal."""

    def __init__(self) -> None:
        self._lists: dict[Any, list[Any]] = {}

    def __call__(self, record: dict[str, Any]) -> dict[str, Any]:
        """Return the record itself, with lists that it shares with other records."""
        launches = record.get("launches")
        for part in (record, *(launches if isinstance(launches, list) else ())):
            proof = part.get("proof") if isinstance(part, dict) else None
            for side in proof.values() if isinstance(proof, dict) else ():
                if isinstance(side, dict) and side.get("strip"):
                    key = tuple(map(tuple, side["strip"]))
                    side["strip"] = self._lists.setdefault(key, side["strip"])
        result = record.get("result")
        if isinstance(result, dict):
            self._share(result)
            self._share(result.get("noise"))
        return record

    def _share(self, part: Any) -> None:
        if not isinstance(part, dict):
            return
        for name, value in part.items():
            # Measured numbers are hardly ever equal: to look would cost more than it saves.
            if isinstance(value, list) and name not in _MEASURED:
                part[name] = self._lists.setdefault(repr(value), value)
