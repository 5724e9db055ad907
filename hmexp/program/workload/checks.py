"""What must hold of a workload beyond the types of its keys."""

from __future__ import annotations

import math
import re
import signal
from collections.abc import Iterator
from typing import Final

from hmexp.errors import ParameterError
from hmexp.program.workload.metrics import check_metric
from hmexp.program.workload.placeholders import BUILT_IN, names_in, require_names, split_words
from hmexp.program.workload.toml_lines import KeyPath
from hmexp.store.workload_records import MeasureRecord, Words, WorkloadRecord

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
_NAMES: Final = "use small letters, digits and underscores"
_FILE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", re.ASCII)


class WorkloadMistakeError(Exception):
    """A mistake in a workload file, by the path of its key.

    Parameters
    ----------
    path : sequence of str or int
        The key.
    message : str
        What is wrong with it.
    remedy : str, optional
        What to do about it.
    """

    def __init__(self, path: KeyPath, message: str, remedy: str | None = None) -> None:
        super().__init__(message)
        self.path, self.message, self.remedy = path, message, remedy


def check_workload(record: WorkloadRecord) -> None:
    """Refuse what no launch could carry out.

    Raises
    ------
    WorkloadMistakeError
        With the path of the key.
    """
    _check_names(record)
    _check_commands(record)
    _check_times(record)
    _check_phases(record)
    _check_metrics(record)


def command_texts(record: WorkloadRecord) -> Iterator[tuple[KeyPath, Words]]:
    """Every command of a workload, with the path of its key."""
    yield ("program", "command"), record.program.command
    for name, commands in (("prepare", record.prepare), ("load", record.load)):
        for number, command in enumerate(commands):
            yield (name, number, "command"), command.command
    for name, part in (("ready", record.ready), ("measure", record.measure), ("stop", record.stop)):
        if part is not None and part.command is not None:
            yield (name, "command"), part.command


def uses_folder(record: WorkloadRecord) -> bool:
    """Whether a command names the folder of the workload file."""
    return any("here" in names_in(text) for _, text in _filled_texts(record))


def _filled_texts(record: WorkloadRecord) -> Iterator[tuple[KeyPath, str]]:
    """Every text in which placeholders are filled in."""
    for path, command in command_texts(record):
        for word in (command,) if isinstance(command, str) else command:
            yield path, word
    yield ("program", "folder"), record.program.folder
    for name, value in record.program.environment.items():
        yield ("program", "environment", name), value
    if record.ready is not None and isinstance(record.ready.port, str):
        yield ("ready", "port"), record.ready.port
    if record.measure is not None and record.measure.say is not None:
        yield ("measure", "say"), record.measure.say


def _check_names(record: WorkloadRecord) -> None:
    for name, value in record.parameters.items():
        path = ("parameters", name)
        if not _NAME.fullmatch(name):
            raise WorkloadMistakeError(path, "is not usable as a name", _NAMES)
        if name in BUILT_IN:
            raise WorkloadMistakeError(path, f"{{{name}}} is {BUILT_IN[name]} already", "choose another name")
        if isinstance(value, float) and not math.isfinite(value):
            raise WorkloadMistakeError(path, f"{value} is not a number that a command can use")
    for name in record.files:
        if not _FILE.fullmatch(name):
            raise WorkloadMistakeError(
                ("files", name), "is not usable as the name of a file", "use a name without a folder"
            )


def _check_commands(record: WorkloadRecord) -> None:
    known = (*BUILT_IN, *record.parameters)
    used: set[str] = set()
    for path, command in command_texts(record):
        try:
            split_words(command)
        except ParameterError as error:
            raise WorkloadMistakeError(path, error.message, error.remedy) from error
    for path, text in _filled_texts(record):
        try:
            require_names(text, known)
            used.update(names_in(text))
        except ParameterError as error:
            raise WorkloadMistakeError(path, error.message, error.remedy) from error
    for name in record.parameters:
        if name not in used:
            raise WorkloadMistakeError(
                ("parameters", name), "no command uses it", f"write {{{name}}} in one, or remove it"
            )


def _check_times(record: WorkloadRecord) -> None:
    parts: list[tuple[KeyPath, float]] = [
        (("program",), record.program.timeout_seconds),
        (("stop",), record.stop.timeout_seconds),
    ]
    for name, part in (("ready", record.ready), ("measure", record.measure)):
        parts += [((name,), part.timeout_seconds)] if part is not None else []
    for name, commands in (("prepare", record.prepare), ("load", record.load)):
        parts += [((name, number), each.timeout_seconds) for number, each in enumerate(commands)]
    for path, seconds in parts:
        if not 0 < seconds < math.inf:
            raise WorkloadMistakeError(
                (*path, "timeout_seconds"), f"{seconds} is not a number of seconds above 0"
            )


def _check_phases(record: WorkloadRecord) -> None:
    if record.measure is not None:
        _check_measure(record.measure)
    ready = record.ready
    if ready is not None:
        if ready.port is ready.line is ready.command is None:
            raise WorkloadMistakeError(("ready",), "says nothing to wait for", "give port, line or command")
        if isinstance(ready.port, int) and not 0 < ready.port < 1 << 16:
            raise WorkloadMistakeError(("ready", "port"), f"{ready.port} is not a port")
        _check_regex(("ready", "line"), ready.line)
    if record.measure is None and record.load:
        raise WorkloadMistakeError(
            ("load",), "data is loaded, and nothing is measured afterwards",
            "add [measure]; what comes before the program starts is [[prepare]]",
        )  # fmt: skip
    if record.stop.signal not in signal.Signals.__members__:
        raise WorkloadMistakeError(
            ("stop", "signal"), f"{record.stop.signal!r} is not a signal", "write SIGTERM or SIGINT"
        )


def _check_measure(measure: MeasureRecord) -> None:
    if (measure.command is None) == (measure.say is None):
        raise WorkloadMistakeError(
            ("measure",), "needs either command or say", "say is a line for the program itself"
        )
    if (measure.say is None) != (measure.answer is None):
        raise WorkloadMistakeError(
            ("measure",), "say and answer belong together", "answer is the line that ends the window"
        )
    if measure.threads < 1:
        raise WorkloadMistakeError(("measure", "threads"), f"{measure.threads} is not a number of threads")
    if measure.say is not None and "\n" in measure.say.rstrip("\n"):
        raise WorkloadMistakeError(("measure", "say"), "is more than one line")
    _check_regex(("measure", "answer"), measure.answer)


def _check_metrics(record: WorkloadRecord) -> None:
    if not record.metrics:
        raise WorkloadMistakeError(
            ("metrics",), "there is no metric", "add [[metrics]], such as one with source = 'elapsed'"
        )
    names: set[str] = set()
    for number, metric in enumerate(record.metrics):
        path = ("metrics", number)
        if not _NAME.fullmatch(metric.name):
            raise WorkloadMistakeError((*path, "name"), f"{metric.name!r} is not usable as a name", _NAMES)
        if metric.name in names:
            raise WorkloadMistakeError((*path, "name"), f"two metrics are called {metric.name!r}")
        names.add(metric.name)
        if metric.source == "client" and (record.measure is None or record.measure.command is None):
            raise WorkloadMistakeError(
                (*path, "source"), "there is no client: [measure] has no command",
                "use source = 'program' or 'elapsed'",
            )  # fmt: skip
        try:
            check_metric(metric)
        except ParameterError as error:
            key = next((name for name in ("regex", "json", "take", "scale") if name in error.message), None)
            raise WorkloadMistakeError((*path, key) if key else path, error.message, error.remedy) from error


def _check_regex(path: KeyPath, text: str | None) -> None:
    try:
        re.compile(text or "")
    except re.error as error:
        raise WorkloadMistakeError(path, f"{text!r} is not a regular expression: {error}") from error
