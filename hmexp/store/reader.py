"""Reading what a run has stored: a line at a time, into typed records, in whatever schema it was written."""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from hmexp.decoding import convert, decode
from hmexp.errors import StoreError
from hmexp.store.conversion import Json, upgrade, upgrade_run, without_nan
from hmexp.store.journal import file_errors
from hmexp.store.records import LaunchRecord, MeasuredRecord, PointRecord, RunRecord
from hmexp.store.schema import OLDEST_SCHEMA, SCHEMA

POINTS: Final = "points.jsonl"
LAUNCHES: Final = "launches.jsonl"
RUN: Final = "run.json"
#: How the store begins a record of today's schema; others are looked at more closely.
_BEGIN: Final = re.compile(rb'\{"schema":%d,"point_id":"([^"\\]+)","status":"([a-z]+)",' % SCHEMA)
_CURRENT: Final = b'{"schema":%d,' % SCHEMA
_ID: Final = re.compile(rb'\{"schema":[0-9]+,"point_id":"([^"\\]+)",')
#: A run.json has a few kilobytes; what is much larger is something else.
_LARGEST_RUN_BYTES: Final = 64 << 20
_RESTORE: Final = "restore it from a copy of the run; without it the measurements beside it say nothing"
R = TypeVar("R", bound=MeasuredRecord)
T = TypeVar("T")


class _Header(msgspec.Struct, gc=False):
    """What every record has, whatever its schema."""

    schema: int | str | float | bool | None = OLDEST_SCHEMA


class _Status(msgspec.Struct, gc=False):
    point_id: str
    status: str


def read_points(file: Path) -> dict[str, PointRecord]:
    """Read the last record of each point, in the order of their first ones, see `each_record`."""
    return {record.point_id: record for record in each_record(file, PointRecord)}


def take_points(file: Path, take: Callable[[PointRecord], T]) -> dict[str, T]:
    """Read the last record of each point, and keep of it only what `take` returns."""
    return {record.point_id: take(record) for record in each_record(file, PointRecord)}


def read_launches(file: Path, leave: Collection[str] = ()) -> dict[str, dict[int, LaunchRecord]]:
    """Read the last record of each launch, by its point and number; not of the points in `leave`."""
    found: dict[str, dict[int, LaunchRecord]] = {}
    for record in each_record(file, LaunchRecord, leave):
        if record.point_id not in leave:
            found.setdefault(record.point_id, {})[record.launch] = record
    return found


def each_record(file: Path, record_type: type[R], leave: Collection[str] = ()) -> Iterator[R]:
    """Read the records of a file, one after the other.

    Parameters
    ----------
    file : Path
        A `points.jsonl` or `launches.jsonl`. If it is missing there are no records; a last line that was
        cut off when its writer was killed is not a record.
    record_type : type
        What its lines are.
    leave : collection of str
        Ids of points whose lines are skipped without a look.

    Raises
    ------
    StoreError
        If the file cannot be read, a complete line of it cannot, or a record has a schema of a newer hmexp.
        It names the file, the line and the field.
    """
    for number, line in _lines(file):
        if leave and (begin := _ID.match(line)) and begin[1].decode(errors="replace") in leave:
            continue
        yield read_record(line, record_type, f"line {number} of {file}")


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    if not file.exists() and not file.is_symlink():
        return
    with file_errors("read", file), collector_paused(), file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                break
            yield number, line


def read_record(line: bytes, record_type: type[R], where: str) -> R:
    """Read a line of a file, or a record that another machine has sent; errors are those of `each_record`."""
    try:
        if not line.startswith(_CURRENT):
            return _converted(line, record_type, where)
        return decode(line, record_type)
    except msgspec.DecodeError as error:
        return _second_look(line, record_type, where, error)
    except (ValueError, TypeError, RecursionError) as error:
        raise _damaged(where, error) from error


def _second_look(line: bytes, record_type: type[R], where: str, error: msgspec.DecodeError) -> R:
    """Python's own JSON reads what others do not, such as NaN and half a surrogate pair."""
    try:
        return _converted(line, record_type, where)
    except (ValueError, TypeError, RecursionError) as again:
        # Of a typed field msgspec says where it is; of what is not JSON at all, Python does.
        raise _damaged(where, error if isinstance(error, msgspec.ValidationError) else again) from again


def _converted(line: bytes, record_type: type[R], where: str) -> R:
    found = _object(line)
    require_schema(found.get("schema", OLDEST_SCHEMA), where)
    if found.get("schema") == SCHEMA:
        return convert(found, record_type, str_keys=True)
    return convert(upgrade(found), record_type, str_keys=True)


def convert_point(found: Json) -> PointRecord:
    """Make a typed record of one that an earlier schema described; the dict is used up.

    Raises
    ------
    ValueError
        Naming the field that cannot be understood.
    """
    without_nan(found)
    return convert(upgrade(found), PointRecord, str_keys=True)


def convert_run(found: Json) -> RunRecord:
    """Make a typed description of a run of one in an earlier schema; the dict is used up.

    Raises
    ------
    ValueError
        Naming the field that cannot be understood.
    """
    without_nan(found)
    return convert(upgrade_run(found), RunRecord, str_keys=True)


def _object(text: bytes) -> Json:
    try:
        found = msgspec.json.decode(text)  # noqa: TID251 - of no type
    except msgspec.DecodeError:
        # Python's own JSON reads what others do not, such as NaN.
        found = json.loads(text)
        without_nan(found)
    if not isinstance(found, dict):
        raise TypeError("it is not a JSON object")
    return found


def _damaged(where: str, error: Exception) -> StoreError:
    why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
    return StoreError(
        f"{where} is damaged: {why}", "remove that line, and the same command measures what it held again"
    )


def read_statuses(file: Path) -> dict[str, str]:
    """Read the last status of each point, without the rest of the records, which may be large.

    Raises
    ------
    StoreError
        As `each_record`; but what is inside of a line that begins and ends well is not looked at.
    """
    found: dict[str, str] = {}
    for number, line in _lines(file):
        begin = _BEGIN.match(line)
        if begin is not None and line.endswith(b"}\n"):
            found[begin[1].decode(errors="replace")] = begin[2].decode()
            continue
        where = f"line {number} of {file}"
        try:
            require_schema(decode(line, _Header).schema, where)
            status = decode(line, _Status)
        except (ValueError, RecursionError) as error:
            raise _damaged(where, error) from error
        found[status.point_id] = status.status
    return found


def read_run(path: Path) -> RunRecord:
    """Read the `run.json` of a run directory.

    Raises
    ------
    StoreError
        If it is missing, cannot be read, or was written by a newer hmexp.
    """
    file = path / RUN
    with file_errors("read", file):
        if not file.is_file():
            raise StoreError(
                f"{path} is not a run directory: it has no {RUN}", "name a folder under results/"
            )
        if file.stat().st_size > _LARGEST_RUN_BYTES:
            raise StoreError(f"{file} is too large to be the description of a run", _RESTORE)
        text = file.read_bytes()
    return parse_run(text, str(file), path.name)


def parse_run(text: bytes, where: str, name: str) -> RunRecord:
    """Read the description of a run, of a file or as another machine has sent it; see `read_run`."""
    try:
        found = _object(text)
        require_schema(found.get("schema", OLDEST_SCHEMA), where)
        if "plan" not in found:
            raise StoreError(f"{where} does not describe a run of hmexp: it has no plan", _RESTORE)
        found.setdefault("name", name)
        if found.get("schema") == SCHEMA:
            return convert(found, RunRecord, str_keys=True)
        return convert_run(found)
    except RecursionError as error:
        raise StoreError(f"{where} is damaged: it is nested too deeply", _RESTORE) from error
    except (ValueError, TypeError) as error:
        raise StoreError(f"{where} is damaged: {error}", _RESTORE) from error


def require_schema(schema: object, where: str) -> None:
    """Refuse what was written by a newer hmexp: it may mean something else by the same names.

    Raises
    ------
    StoreError
        Naming the schema that was found, and those that can be read.
    """
    number = schema if isinstance(schema, int) and not isinstance(schema, bool) else None
    if number is not None and OLDEST_SCHEMA <= number <= SCHEMA:
        return
    raise StoreError(
        f"{where} has schema {schema!r}; this hmexp reads schemas {OLDEST_SCHEMA} to {SCHEMA}",
        "read it with the hmexp that wrote it, or a newer one (run.json names it: provenance.packages.hmexp)"
        if number is not None and number > SCHEMA
        else "the file was changed since hmexp wrote it: restore it, or remove that line",
    )


@contextmanager
def collector_paused() -> Iterator[None]:
    """Make many objects without the garbage collector, which then takes half of the time."""
    # JSON makes no cycles, and the collector looks at everything again for each few hundred new objects.
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
