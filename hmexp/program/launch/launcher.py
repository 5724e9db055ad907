"""Starting the program of a launch: in its way, with streams of its own, watched by the warden."""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from hmexp.errors import MeasurementError
from hmexp.pattern import Pattern
from hmexp.program.launch.output import ProgramOutput
from hmexp.program.launch.request import StartOptions
from hmexp.program.launch.started import Started
from hmexp.program.launch.warden import Warden
from hmexp.program.launch.ways import start


@dataclass(frozen=True)
class LaunchedProgram:
    """A program that runs, with its streams; a context manager that ends it.

    Parameters
    ----------
    started : Started
        The program.
    output : ProgramOutput
        What it prints, on standard output and standard error.
    input_fd : int or None
        Where lines for its standard input are written; None if that is empty.
    handle : int
        Becomes readable when it has ended.
    """

    started: Started
    output: ProgramOutput
    input_fd: int | None
    handle: int

    def say(self, line: str) -> None:
        """Write a line to its standard input.

        Raises
        ------
        MeasurementError
            If it has closed that.
        """
        assert self.input_fd is not None
        data = f"{line.rstrip(chr(10))}\n".encode()
        try:
            while data:
                data = data[os.write(self.input_fd, data) :]
        except BrokenPipeError as error:
            raise MeasurementError(
                "the program has closed its standard input", "say is for a program that reads lines"
            ) from error

    def wait_a_little(self, seconds: float) -> None:
        """Wait until it has ended, for that long at most [s]."""
        select.select([self.handle], [], [], seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.started.__exit__(kind, error, trace)
        if self.input_fd is not None:
            os.close(self.input_fd)
        os.close(self.handle)


@dataclass(frozen=True)
class Launcher:
    """How the program of a launch is started.

    Parameters
    ----------
    way : str
        The way.
    pattern : Pattern or None
        Where its pages shall be.
    warden : Warden
        Ends it, should the launch be killed.
    listens : bool
        Whether it gets lines on its standard input; else that is empty.
    stop_in_exit : bool
        Whether it is stopped in its exit.
    """

    way: str
    pattern: Pattern | None
    warden: Warden
    listens: bool = False
    stop_in_exit: bool = False

    def start(self, words: tuple[str, ...], additions: Mapping[str, str], folder: Path) -> LaunchedProgram:
        """Start it in a folder, with these variables beside those of this process.

        Raises
        ------
        HmexpError
            If it cannot be started in that way.
        """
        if not folder.is_dir():
            raise MeasurementError(f"the folder {folder}, in which the program runs, does not exist")
        source, input_fd = os.pipe() if self.listens else (os.open(os.devnull, os.O_RDONLY), None)
        output_fd, sink = os.pipe()
        options = StartOptions(environment=additions, sample_seconds=0.0, stop_in_exit=self.stop_in_exit)
        try:
            with _streams(source, sink), contextlib.chdir(folder):
                started = start(words, self.way, self.pattern, options)
        except BaseException:
            for fd in (output_fd,) if input_fd is None else (input_fd, output_fd):
                os.close(fd)
            raise
        finally:
            os.close(source)
            os.close(sink)
        self.warden.watch(started.pid)
        return LaunchedProgram(started, ProgramOutput(output_fd), input_fd, os.pidfd_open(started.pid))


@contextmanager
def _streams(source: int, sink: int) -> Iterator[None]:
    """Have what is started meanwhile read from one descriptor, and print to the other."""
    kept = [os.dup(number) for number in range(3)]
    try:
        for number, fd in enumerate((source, sink, sink)):
            os.dup2(fd, number)
        yield
    finally:
        for number, fd in enumerate(kept):
            os.dup2(fd, number)
            os.close(fd)
