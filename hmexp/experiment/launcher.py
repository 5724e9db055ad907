"""Starting workers, and making a record of whatever becomes of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol


class Launchable(Protocol):
    """A task that a worker can be given."""

    @property
    def point_id(self) -> str:
        """Id of the point that it is about."""

    def to_json(self) -> str:
        """The task as one line."""

    def empty_record(self) -> dict[str, Any]:
        """The record of a point of which nothing is known yet."""


def launch(
    task: Launchable, timeout_seconds: float, worker: str = "hmexp.experiment.worker"
) -> dict[str, Any]:
    """Measure a point in a fresh process.

    Parameters
    ----------
    task : Launchable
        What to measure.
    timeout_seconds : float
        After this the worker is killed [s].
    worker : str
        The module that measures it.

    Returns
    -------
    dict
        The worker's record; a failed one with the reason if it crashed, was killed or took too long.
    """
    process = subprocess.Popen(
        [sys.executable, "-S", "-P", "-m", worker],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=_environment(),
        # Ctrl-C is for the runner, which then ends the worker.
        start_new_session=True,
    )
    try:
        out, err = process.communicate(task.to_json(), timeout=timeout_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return _failure(task, f"the worker took longer than {timeout_seconds:g} s and was ended", "Timeout")
    except BaseException:
        process.kill()
        process.wait()
        raise
    last_words = err.strip()[-2000:]
    if process.returncode < 0:
        name = _signal_name(-process.returncode)
        hint = " (the kernel does so when memory runs out; see dmesg)" if name == "SIGKILL" else ""
        return _failure(task, f"the worker was killed by {name}{hint}", "Killed", last_words)
    try:
        record = json.loads(out)
    except ValueError:
        reason = f"the worker ended with status {process.returncode} and without a record"
        return _failure(task, reason, "Crashed", last_words)
    if not isinstance(record, dict) or record.get("point_id") != task.point_id:
        return _failure(
            task, "the worker printed something else than the record of its point", "Crashed", out[:500]
        )
    return record


def _environment() -> dict[str, str]:
    """What the worker is started with: this process's own path of modules, ready to be used.

    Finding it again (the ``site`` module, and whatever starts from ``.pth`` files) would take a part of
    the time that a launch may cost.
    """
    here = str(Path(__file__).parents[2])
    # Run from the folder of a notebook, that folder must not hide the standard library; ours comes last.
    path = dict.fromkeys([*(entry for entry in sys.path if entry not in ("", str(Path.cwd()))), here])
    # Nothing there multiplies matrices: threads for it would take time to start, and CPUs from the loops.
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path), "OPENBLAS_NUM_THREADS": "1"}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _failure(task: Launchable, reason: str, error: str, last_words: str = "") -> dict[str, Any]:
    return task.empty_record() | {"reason": reason, "error": error, "last_words": last_words}
