"""Workloads: small TOML files that say how a program is started, loaded, measured and stopped."""

from __future__ import annotations

import difflib
import re
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, get_args

import msgspec

from hmexp.decoding import convert
from hmexp.errors import ParameterError
from hmexp.program.workload.checks import WorkloadMistakeError, check_workload
from hmexp.program.workload.toml_lines import KeyPath, find_line
from hmexp.store.schema import Stored
from hmexp.store.workload_records import WorkloadRecord

FOLDER: Final = Path(__file__).with_name("shipped")
_STEP: Final = re.compile(r"\.([\w-]+)|\[(\d+)\]")
_LARGEST_BYTES: Final = 1 << 20
Value = str | int | float | bool


@dataclass(frozen=True)
class Workload:
    """A workload that was read and checked.

    Parameters
    ----------
    name : str
        Of the file, without its ending.
    path : Path
        The file.
    record : WorkloadRecord
        What is in it.
    """

    name: str
    path: Path
    record: WorkloadRecord

    def with_values(self, given: Mapping[str, str]) -> Workload:
        """The workload with other values of its parameters, as they are typed on a command line.

        Raises
        ------
        ParameterError
            If a name is unknown, or a value is not of the kind that the file has.
        """
        known = self.record.parameters
        values = dict(known)
        for name, text in given.items():
            if name not in known:
                raise ParameterError(
                    f"the workload {self.name} has no parameter {name!r}",
                    f"{_close(name, known)}its parameters are: {', '.join(known) or 'none'}",
                )
            values[name] = _read_value(name, text, known[name])
        record = msgspec.structs.replace(self.record, parameters=values)
        return replace(self, record=record)

    def missing(self) -> tuple[str, ...]:
        """Programs that it needs and that are not installed."""
        return tuple(name for name in self.record.needs if shutil.which(name) is None)

    def require_installed(self) -> None:
        """Refuse a workload whose programs are not installed.

        Raises
        ------
        ParameterError
            Naming them, and the packages that they are in.
        """
        missing = self.missing()
        if missing:
            packages = self.record.packages
            raise ParameterError(
                f"the workload {self.name} needs {', '.join(missing)}, which is not installed",
                f"apt install {packages}" if packages else f"install it; {self.path} says what is run",
            )


def shipped() -> tuple[str, ...]:
    """The names of the workloads that hmexp brings."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def is_file(name: str) -> bool:
    """Whether a workload is named by the path of its file (with a slash in it, or ending in ``.toml``)."""
    return "/" in name or name.endswith(".toml")


def find_workload(name: str) -> Workload:
    """The workload of that name, or in the file of that path, see `is_file`.

    Raises
    ------
    ParameterError
        If there is none, with the names there are, or its file has a mistake.
    """
    if is_file(name):
        return read_workload(Path(name).expanduser())
    if name not in shipped():
        raise ParameterError(
            f"workload {name!r} is unknown",
            f"{_close(name, shipped())}use one of: {', '.join(shipped())} (`hmexp workloads`), or the path "
            "of a .toml file of your own",
        )
    return read_workload(FOLDER / f"{name}.toml")


def read_workload(path: Path) -> Workload:
    """Read a workload file.

    Raises
    ------
    ParameterError
        If it cannot be read, or has a mistake: with the file, the line and the key.
    """
    try:
        if path.is_file() and path.stat().st_size > _LARGEST_BYTES:
            raise ParameterError(f"{path} is too large to be a workload")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ParameterError(
            f"the workload {path} cannot be read: {why}",
            f"name a file such as {FOLDER / 'sort.toml'}, or copy one: `hmexp workloads sort`",
        ) from error
    return Workload(path.stem, path, parse_workload(text, str(path)))


def parse_workload(text: str, where: str) -> WorkloadRecord:
    """Read the text of a workload file.

    Parameters
    ----------
    text : str
        TOML.
    where : str
        The file, for errors.

    Raises
    ------
    ParameterError
        If it has a mistake: with the file, the line and the key.
    """
    try:
        found = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ParameterError(
            f"{where} is not valid TOML: {error}", "see docs/how-to/workloads.md, or `hmexp workloads sort`"
        ) from error
    try:
        _require_known(found, WorkloadRecord, ())
        record = _convert(found)
        check_workload(record)
    except WorkloadMistakeError as wrong:
        line = find_line(text, wrong.path)
        at = f", line {line}" if line is not None else ""
        raise ParameterError(f"{where}{at}: {_say_path(wrong.path)}{wrong.message}", wrong.remedy) from wrong
    return record


def _convert(found: dict[str, Any]) -> WorkloadRecord:
    try:
        return convert(found, WorkloadRecord)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        path = [name or int(number) for name, number in _STEP.findall(place)]
        missing = re.search(r"missing required field `(\w+)`", message)
        if missing is not None:
            raise WorkloadMistakeError(
                path, f"the key {missing[1]} is missing", "see docs/how-to/workloads.md"
            ) from error
        remedy = f"use one of: {', '.join(_choices(path))}" if "enum" in message else None
        raise WorkloadMistakeError(
            path, message[:1].lower() + message[1:].replace("`", ""), remedy
        ) from error


def _choices(path: KeyPath) -> tuple[str, ...]:
    """The values that a key may have."""
    found: Any = WorkloadRecord
    for name in (step for step in path if isinstance(step, str)):
        struct = next(_structs(found))
        found = next(field.type for field in msgspec.structs.fields(struct) if field.name == name)
    return tuple(map(str, get_args(found)))


def _require_known(table: Mapping[str, Any], struct: type[Stored], path: KeyPath) -> None:
    """Refuse keys that are not in the struct, at every level."""
    fields = {field.name: field.type for field in msgspec.structs.fields(struct)}
    for name, value in table.items():
        here = (*path, name)
        if name not in fields:
            raise WorkloadMistakeError(
                here, "is not a key of a workload", f"{_close(name, fields)}known are: {_all(fields)}"
            )
        inner = next(_structs(fields[name]), None)
        if inner is None:
            continue
        for number, item in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(item, dict):
                _require_known(item, inner, (*here, number) if isinstance(value, list) else here)


def _structs(annotation: Any) -> Iterator[type[Stored]]:
    """The structs in the type of a field."""
    if isinstance(annotation, type) and issubclass(annotation, Stored):
        yield annotation
    for part in get_args(annotation):
        yield from _structs(part)


def _read_value(name: str, text: str, usual: Value) -> Value:
    """A value from the command line, of the kind of the file's."""
    try:
        if isinstance(usual, bool):
            return {"true": True, "false": False}[text]
        if isinstance(usual, int):
            return int(text.replace("_", ""))
        return float(text) if isinstance(usual, float) else text
    except (ValueError, KeyError) as error:
        what = {bool: "true or false", int: "a whole number"}.get(type(usual), "a number")
        raise ParameterError(f"{name} {text!r} is not {what}", f"its usual value is {usual}") from error


def _say_path(path: KeyPath) -> str:
    words = ""
    for part in path:
        name = part if isinstance(part, int) or re.fullmatch(r"[\w-]+", part) else repr(part)
        words += f"[{part + 1}]" if isinstance(part, int) else f"{'.' * bool(words)}{name}"
    return f"{words}: " if words else ""


def _close(name: str, known: Any) -> str:
    found = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {found[0]}? " if found else ""


def _all(names: Any) -> str:
    return ", ".join(names)
