"""Where the commands of a launch run: a folder of its own, an environment, and the values of placeholders."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from hmexp.errors import MeasurementError
from hmexp.process import ChildError, CommandEnd, carry_out, describe_end
from hmexp.program.workload.placeholders import fill, fill_words
from hmexp.store.workload_records import CommandRecord, Words, WorkloadRecord
from hmexp.system.cpus import allowed_cpus

_MOST_OUTPUT_BYTES: Final = 64 << 20
_SHOWN: Final = 500


@dataclass(frozen=True)
class Ran:
    """A command that has ended with status 0.

    Parameters
    ----------
    ended : CommandEnd
        How long it took, and its CPU time.
    output : str
        What it printed, on standard output and standard error.
    """

    ended: CommandEnd
    output: str


@dataclass(frozen=True)
class Site:
    """Where the commands of one launch run.

    Parameters
    ----------
    folder : Path
        The folder of the launch.
    values : mapping of str to fact
        Values of the placeholders.
    environment : mapping of str to str
        The whole environment of the commands.
    """

    folder: Path
    values: Mapping[str, str | int | float | bool]
    environment: Mapping[str, str]

    def fill(self, text: str) -> str:
        """Put the values into a text."""
        return fill(text, self.values)

    def words(self, command: Words, *, shell: bool) -> tuple[str, ...]:
        """Put the values into a command."""
        return fill_words(command, self.values, shell=shell)

    def succeeds(self, words: tuple[str, ...], seconds: float) -> bool:
        """Whether a command ends with status 0 in time."""
        with tempfile.TemporaryFile(dir=self.folder) as output:
            try:
                return carry_out(words, self.folder, self.environment, output, seconds).status == 0
            except ChildError:
                return False

    def run(self, command: CommandRecord, what: str) -> Ran:
        """Run a command of the workload.

        Parameters
        ----------
        command : CommandRecord
            The command.
        what : str
            What it is for, as an error begins: ``load``.

        Raises
        ------
        MeasurementError
            If it cannot be started, takes too long, or ends with another status than 0: with its output.
        """
        words = self.words(command.command, shell=command.shell)
        shown = " ".join(words)[:_SHOWN]
        with tempfile.TemporaryFile(dir=self.folder) as output:
            try:
                ended = carry_out(words, self.folder, self.environment, output, command.timeout_seconds)
            except ChildError as error:
                raise MeasurementError(
                    f"{what}: the command {error.reason}: {shown}", _last_words(_read(output))
                ) from error
            text = _read(output)
        if ended.status != 0:
            raise MeasurementError(
                f"{what}: the command {describe_end(ended.status)}: {shown}", _last_words(text)
            )
        return Ran(ended, text)


def make_site(workload: WorkloadRecord, folder: Path, built_in: Mapping[str, str | int]) -> Site:
    """Write the files of a workload into the folder of a launch.

    Parameters
    ----------
    workload : WorkloadRecord
        The workload.
    folder : Path
        An empty folder.
    built_in : mapping of str to fact
        Values of placeholders that are not the workload's, beside those that are the same everywhere.

    Raises
    ------
    MeasurementError
        If a file cannot be written.
    """
    for name, text in workload.files.items():
        try:
            (folder / name).write_text(text, encoding="utf-8")
        except OSError as error:
            raise MeasurementError(f"{folder / name} cannot be written: {error.strerror}") from error
    own: dict[str, str | int] = {"dir": str(folder), "python": sys.executable, "cpus": len(allowed_cpus())}
    return Site(folder, {**workload.parameters, **own, **built_in}, dict(os.environ))


def _read(output: IO[bytes]) -> str:
    output.seek(0)
    data = output.read(_MOST_OUTPUT_BYTES + 1)
    if len(data) > _MOST_OUTPUT_BYTES:
        raise MeasurementError("the command printed more than 64 MiB", "have it print the numbers alone")
    return data.decode(errors="replace")


def _last_words(text: str) -> str:
    text = text.strip()
    return f"its output ended with: {text[-_SHOWN:]}" if text else "it has printed nothing"
