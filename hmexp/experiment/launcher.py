"""Launches: a fresh worker for each, and a record of whatever becomes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

import msgspec

from hmexp.decoding import decode
from hmexp.experiment.launch_records import empty_record
from hmexp.experiment.task import Task, encode_task
from hmexp.fork_server import ForkServer
from hmexp.process import Child, ChildError
from hmexp.store.parts import Start
from hmexp.store.program_points import ProgramPoint
from hmexp.store.records import LaunchRecord
from hmexp.system.oom import OomKills

WORKER: Final = "hmexp.experiment.worker"
_SHOWN: Final = 500
#: Makes a launch of a task within a time [s].
Launch = Callable[[Task, float], LaunchRecord]
_SERVER: ContextVar[ForkServer | None] = ContextVar("server", default=None)


def launch(task: Task, timeout_seconds: float, server: ForkServer | None = None) -> LaunchRecord:
    """Measure a launch in a fresh process.

    Parameters
    ----------
    task : Task
        What to measure.
    timeout_seconds : float
        After this the worker is killed [s].
    server : ForkServer, optional
        Forks the worker; without one it is that of `forking`, or the worker is started anew.

    Returns
    -------
    LaunchRecord
        The worker's record; a failed one with the reason if it crashed, was killed or took too long.
    """
    kills = OomKills.read()
    # A program inherits what its parent was started with: it gets a parent of its own.
    server = None if isinstance(task.parameters, ProgramPoint) else server or _SERVER.get()
    try:
        if server is None:
            answer = Child(WORKER, timeout_seconds, site=False).ask(encode_task(task))
        else:
            answer = server.ask(encode_task(task), timeout_seconds)
    except ChildError as error:
        reason = f"the worker {kills.explain(error)}"
        return _failure(task, error.failure, reason, error.last_words)
    try:
        record = decode(answer, LaunchRecord)
    except ValueError as error:
        shown = answer[:_SHOWN].decode(errors="replace")
        return _failure(task, "Crashed", f"the worker printed something other than a record: {error}", shown)
    if record.point_id != task.point_id or record.launch != task.launch:
        return _failure(task, "Crashed", "the worker printed the record of another launch", "")
    return msgspec.structs.replace(record, start="exec" if server is None else "fork")


@contextmanager
def forking(start: Start) -> Iterator[None]:
    """Have `launch` fork its workers from one process that was started before, if `start` says so."""
    if start == "exec":
        yield
        return
    with ForkServer(WORKER) as server:
        before = _SERVER.set(server)
        try:
            yield
        finally:
            _SERVER.reset(before)


def _failure(task: Task, error: str, reason: str, last_words: str) -> LaunchRecord:
    return msgspec.structs.replace(empty_record(task), reason=reason, error=error, last_words=last_words)
