"""A workload as it is stored: how a program is started, loaded, measured, stopped, and what is read off it.

The same structs are the keys of a workload file (`hmexp.program.workload.files`).
"""

from __future__ import annotations

from typing import Literal

from hmexp.store.schema import Stored

#: Words of a command, or one text that is split into words as a shell would, but by no shell.
Words = str | tuple[str, ...]


class CommandRecord(Stored, frozen=True, kw_only=True, gc=False):
    """A command that prepares something or loads data; it must end with status 0.

    Parameters
    ----------
    command : text or tuple of str
        The command. `{name}` stands for a parameter, `{port}` for a free port, `{dir}` for the folder of the
        launch.
    shell : bool
        Whether `/bin/sh` runs it; values are then quoted for it.
    timeout_seconds : float
        Longest time that it may take [s].
    """

    command: Words
    shell: bool = False
    timeout_seconds: float = 600.0


class ProgramCommand(Stored, frozen=True, kw_only=True, gc=False):
    """The program whose memory follows the pattern.

    Parameters
    ----------
    command : text or tuple of str
        The command, as in `CommandRecord`.
    shell : bool
        Whether `/bin/sh` runs it.
    environment : dict of str to str
        Variables that it gets beside those of hmexp.
    folder : str
        Where it runs.
    timeout_seconds : float
        Longest time that it may run, where it ends by itself [s].
    """

    command: Words
    shell: bool = False
    environment: dict[str, str] = {}
    folder: str = "{dir}"
    timeout_seconds: float = 3600.0


class ReadyRecord(Stored, frozen=True, kw_only=True, gc=False):
    """When the program is ready: whatever of these is given must hold.

    Parameters
    ----------
    port : text, int or None
        A port of this machine that accepts connections.
    line : str or None
        A regular expression that a line of the program's output matches.
    command : text, tuple of str or None
        A command that succeeds.
    shell : bool
        Whether `/bin/sh` runs the command.
    timeout_seconds : float
        Longest time until it is ready [s].
    """

    port: str | int | None = None
    line: str | None = None
    command: Words | None = None
    shell: bool = False
    timeout_seconds: float = 60.0


class MeasureRecord(Stored, frozen=True, kw_only=True, gc=False):
    """What happens in the measured window: a client that runs, or a line that the program answers.

    Parameters
    ----------
    command : text, tuple of str or None
        The client, as in `CommandRecord`.
    shell : bool
        Whether `/bin/sh` runs the client.
    threads : int
        Threads of the client that work.
    may_saturate : bool
        Whether the client may use all the CPU time of its threads. Else a launch in which it does is invalid:
        the client, not the program, was the limit.
    say : str or None
        A line that the program receives on its standard input.
    answer : str or None
        A regular expression; the window ends with the first line of the program's output that matches it.
    timeout_seconds : float
        Longest time of the window [s].
    """

    command: Words | None = None
    shell: bool = False
    threads: int = 1
    may_saturate: bool = False
    say: str | None = None
    answer: str | None = None
    timeout_seconds: float = 600.0


class StopRecord(Stored, frozen=True, kw_only=True, gc=False):
    """How the program is stopped; what is still there after the time is killed.

    Parameters
    ----------
    command : text, tuple of str or None
        A command that stops it.
    shell : bool
        Whether `/bin/sh` runs the command.
    signal : str
        The signal that it gets where there is no command.
    timeout_seconds : float
        How long it may take to end [s].
    """

    command: Words | None = None
    shell: bool = False
    signal: str = "SIGTERM"
    timeout_seconds: float = 60.0


class MetricRecord(Stored, frozen=True, kw_only=True, gc=False):
    """A number that is read off each launch.

    Parameters
    ----------
    name : str
        Its name, such as `throughput`.
    unit : str
        Its unit, such as `requests/s`.
    better : str
        Whether `higher` or `lower` is better.
    source : str
        Where it is found: `elapsed` (duration of the window [s]), `client` (output of the command that
        measures) or `program` (output of the program within the window).
    regex : str or None
        A regular expression; its first group, or all of it, is the number.
    json : str or None
        Path of the number in the output as JSON, such as `latency.p99` or `runs[*].seconds`.
    take : str
        Which one, if several are found: `only`, `first`, `last`, `sum`, `mean`, `smallest`, `largest`, or a
        percentile such as `p50` and `p99.9`.
    scale : float
        What the number is multiplied by to be in the unit.
    """

    name: str
    unit: str
    better: Literal["higher", "lower"]
    source: Literal["elapsed", "client", "program"] = "client"
    regex: str | None = None
    json: str | None = None
    take: str = "only"
    scale: float = 1.0


class WorkloadRecord(Stored, frozen=True, kw_only=True, gc=False):
    """A program, and how it is loaded, measured and stopped.

    Parameters
    ----------
    title : str
        What it is, for people.
    about : str
        What it is for.
    needs : tuple of str
        Programs that must be installed.
    packages : str
        Debian packages that they are in.
    parameters : dict of str to fact
        Values that the commands use by their names.
    files : dict of str to str
        Files that are written into the folder of each launch, by name.
    prepare : tuple of CommandRecord
        What is run before the program starts.
    program : ProgramCommand
        The program whose memory follows the pattern.
    ready : ReadyRecord or None
        When it is ready; None for at once.
    load : tuple of CommandRecord
        What is run once it is ready, before the window.
    measure : MeasureRecord or None
        What happens in the window; None if the window is the program's whole life.
    stop : StopRecord
        How the program is stopped.
    metrics : tuple of MetricRecord
        What is read off each launch; the first decides.
    """

    title: str
    about: str = ""
    needs: tuple[str, ...] = ()
    packages: str = ""
    parameters: dict[str, str | int | float | bool] = {}
    files: dict[str, str] = {}
    prepare: tuple[CommandRecord, ...] = ()
    program: ProgramCommand
    ready: ReadyRecord | None = None
    load: tuple[CommandRecord, ...] = ()
    measure: MeasureRecord | None = None
    stop: StopRecord = StopRecord()
    metrics: tuple[MetricRecord, ...]
