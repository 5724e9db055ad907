"""What is asked for when a program is started, and what a way has made of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hmexp.native.spawn import Inheritance
from hmexp.pattern import Pattern
from hmexp.program.launch.executable import Executable
from hmexp.program.launch.preload import THRESHOLD_BYTES
from hmexp.store.following_records import Following
from hmexp.store.parts import SettingRecord
from hmexp.store.program_records import Promise
from hmexp.system.topology import Topology


@dataclass(frozen=True)
class StartOptions:
    """How a program is started and watched.

    Parameters
    ----------
    record : Path or None
        Folder for its record; None keeps none.
    sample_seconds : float or None
        Time between two looks at where its pages are, at the longest; the first ones come sooner. None is
        10 s, or more where looking would take more than 5 % of the time. 0 looks only when `Started.look` is
        called [s].
    needs_bytes : int or None
        Memory that it will take: refused where its nodes have no room for that; None if unknown [bytes].
    threshold_bytes : int
        For the way `preload`: smaller mappings stay as they are [bytes].
    pages_per_second : float or None
        For the way `follow`: the most pages that are moved in a second; None for no limit.
    stop_in_exit : bool
        Whether it is stopped in its exit, so that its pages can be looked at then (`Started.exit_stop`).
    environment : mapping
        Added to this process's environment.
    """

    record: Path | None = None
    sample_seconds: float | None = None
    needs_bytes: int | None = None
    threshold_bytes: int = THRESHOLD_BYTES
    pages_per_second: float | None = None
    stop_in_exit: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """A program to be started, and where its pages shall be.

    Parameters
    ----------
    command : tuple of str
        The program and its arguments.
    executable : Executable
        Its file.
    pattern : Pattern or None
        Where its pages shall be; None where the kernel decides.
    topology : Topology
        The machine.
    options : StartOptions
        How it is started.
    exact : bool
        A way that keeps only the ratio of the pattern refuses: another may put each page in its place.
    """

    command: tuple[str, ...]
    executable: Executable
    pattern: Pattern | None
    topology: Topology
    options: StartOptions = StartOptions()
    exact: bool = False


@dataclass(frozen=True)
class Plan:
    """How one way starts a program.

    Parameters
    ----------
    way : str
        Its name.
    why : str
        How it places pages, in a sentence.
    promise : str
        `exact`, `ratio` or `none`.
    path : str
        The file that is executed.
    command : tuple of str
        What is executed: the program, or another that becomes it.
    environment : dict of str to str
        Added to the environment.
    inherits : Inheritance
        Memory policy, and no huge pages.
    settings : dict of str to SettingRecord
        Settings of the machine that are held until the program has ended.
    verify : callable, optional
        Looks at the process once it runs, and raises `HmexpError` if the way has not worked.
    attend : callable, optional
        Works on the process in a thread of its own until the event is set or it has ended.
    conclude : callable, optional
        Says what the way has found out, once the program has ended.
    warnings : tuple of str
        What a person should know.
    """

    way: str
    why: str
    promise: Promise
    path: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    inherits: Inheritance = field(default_factory=Inheritance)
    settings: Mapping[str, SettingRecord] = field(default_factory=dict)
    verify: Callable[[int], None] | None = None
    attend: Callable[[int, threading.Event], Following] | None = None
    conclude: Callable[[], tuple[str, ...]] | None = None
    warnings: tuple[str, ...] = ()
