"""A program that is to be looked at in its exit is, however short, and runs as it would without that."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hmexp.errors import StartError
from hmexp.native import spawn as spawning
from hmexp.native.exit_stop import ExitStop
from hmexp.native.spawn import SpawnError, Stage, gives_rights, spawn
from hmexp.program.launch.request import StartOptions
from hmexp.program.launch.ways import start

OPTIONS = StartOptions(sample_seconds=0.0, stop_in_exit=True)
TRUE = shutil.which("true") or "/bin/true"


class SlowStop(ExitStop):
    """As on a machine that has other things to do: a short program would have ended long ago."""

    def __init__(self, pid: int) -> None:
        time.sleep(0.3)
        super().__init__(pid)


@pytest.mark.parametrize(
    ("command", "status", "killed_by"),
    [
        ((TRUE,), 0, None),
        (("sh", "-c", "exit 3"), 3, None),
        (("sh", "-c", "kill -TERM $$"), 143, "SIGTERM"),
    ],
)
def test_the_shortest_program_is_looked_at(
    command: tuple[str, ...], status: int, killed_by: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spawning, "ExitStop", SlowStop)
    with start(command, "default", options=OPTIONS) as started:
        stop = started.exit_stop
        assert stop is not None and started.not_stopped is None
        assert stop.wait(30) and stop.is_stopped
        seen = started.look()
        assert seen is not None and sum(seen.by_node.values()) > 0
        run = started.wait()
    assert (run.status, run.signal) == (status, killed_by)


def test_many_short_programs_are_all_looked_at() -> None:
    for _ in range(20):
        with start((TRUE,), "default", options=OPTIONS) as started:
            assert started.exit_stop is not None and started.exit_stop.wait(30)
            assert started.exit_stop.is_stopped and started.look() is not None
            assert started.wait().status == 0


def test_asking_whether_it_has_ended_lets_it_go() -> None:
    with start((TRUE,), "default", options=OPTIONS) as started:
        deadline = time.monotonic() + 30
        while started.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        assert started.poll() == 0


def test_a_program_that_waits_is_stopped_by_a_signal() -> None:
    with start(("sleep", "1000"), "default", options=OPTIONS) as started:
        assert started.poll() is None
        assert started.exit_stop is not None and not started.exit_stop.wait(0.2)
        run = started.stop()
    assert run.signal == "SIGTERM" and run.status == 128 + signal.SIGTERM


def test_what_cannot_be_executed_is_the_same_error(tmp_path: Path) -> None:
    """The child that could not become the program ends, and leaves nothing behind."""
    file = tmp_path / "program"
    file.write_text("nobody may execute this")
    file.chmod(0o644)
    for held in (False, True):
        with pytest.raises(SpawnError) as caught:
            spawn(str(file), ["program"], dict(os.environ), stop_in_exit=held)
        assert caught.value.stage is Stage.EXEC
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    with pytest.raises(StartError, match="no-such-program-of-hmexp"):
        start(("no-such-program-of-hmexp",), "default", options=OPTIONS)


def test_a_file_that_gives_rights_keeps_them(tmp_path: Path) -> None:
    """A traced program would run without them, and so it is not traced."""
    file = tmp_path / "rights"
    shutil.copy(TRUE, file)
    file.chmod(0o755)
    assert gives_rights(str(file)) is None and gives_rights("no/such/file") is None
    file.chmod(0o4755)
    assert gives_rights(str(file)) == f"{file} is set-user-ID or set-group-ID"
    with start((str(file),), "default", options=OPTIONS) as started:
        assert started.exit_stop is None
        assert started.not_stopped == f"{file} is set-user-ID or set-group-ID"
        assert started.wait().status == 0


def test_it_ends_with_hmexp_before_it_begins() -> None:
    """Killed between fork and exec, hmexp leaves nobody who waits."""
    code = (
        "import os, sys, time\n"
        "from hmexp.native import spawn as spawning\n"
        "class Never:\n"
        "    def __init__(self, pid):\n"
        "        print(pid, flush=True)\n"
        "        time.sleep(1000)\n"
        "spawning.ExitStop = Never\n"
        "spawning.spawn('/bin/true', ['true'], dict(os.environ), stop_in_exit=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert Path(f"/proc/{child}").exists()
        parent.kill()
        parent.wait()
        deadline = time.monotonic() + 30
        while Path(f"/proc/{child}/exe").exists():
            assert time.monotonic() < deadline, "the child still waits"
            time.sleep(0.01)
