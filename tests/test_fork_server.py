"""The server that forks a child for each question: real processes, killed and interrupted in every way."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hmexp.fork_server import ForkServer
from hmexp.process import ChildError

#: Answers what it is asked to do, in a module that the server imports.
_MODULE = """
import json, os, sys, time
from hmexp.fork_server import serve

BORN = os.getpid()

def answer(question):
    asked = json.loads(question)
    facts = {
        "pid": os.getpid(), "parent": os.getppid(), "server": BORN, "session": os.getsid(0),
        "open": sorted(os.listdir("/proc/self/fd")), "cwd": os.getcwd(), "long": len(asked.get("text", "")),
    }
    if "line" in asked:
        print("a stray line"); sys.stdout.flush()
    if "say" in asked:
        print(asked["say"], file=sys.stderr)
    if "sleep" in asked:
        with open(asked["sleep"], "w") as file:
            file.write(str(os.getpid()))
        if os.fork() == 0:
            time.sleep(60)
        time.sleep(60)
    if "signal" in asked:
        os.kill(os.getpid(), asked["signal"])
    if "fault" in asked:
        raise ValueError(asked["fault"])
    if "exit" in asked:
        os._exit(asked["exit"])
    return json.dumps(facts).encode()

serve(answer)
"""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ForkServer]:
    (tmp_path / "answering.py").write_text(_MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    with ForkServer("answering") as found:
        yield found


def ask(server: ForkServer, timeout_seconds: float | None = 30, **asked: object) -> dict[str, object]:
    answer = server.ask(json.dumps(asked).encode(), timeout_seconds)
    found: dict[str, object] = json.loads(answer)
    return found


def is_gone(pid: int) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX":
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


def test_each_question_has_a_child_of_its_own_and_the_server_stays(server: ForkServer) -> None:
    first, second = ask(server), ask(server, print=True)
    assert len({first["pid"], second["pid"], first["server"], os.getpid()}) == 4
    assert first["server"] == second["server"] == first["parent"]
    # It leads a session of its own, so that what it starts can be killed with it.
    assert first["session"] == first["pid"]
    # Nothing of the server's, and nothing of the questions before, is left open in a child.
    assert first["open"] == second["open"]
    assert ask(server, text="x" * (3 << 20))["long"] == 3 << 20


def test_every_end_has_its_name_and_the_next_child_is_well(server: ForkServer) -> None:
    with pytest.raises(ChildError) as crashed:
        ask(server, exit=3, say="what it said")
    assert (crashed.value.failure, crashed.value.reason) == ("Crashed", "ended with status 3")
    with pytest.raises(ChildError) as raised:
        ask(server, fault="a fault")
    assert raised.value.failure == "Crashed" and "ValueError: a fault" in raised.value.last_words
    with pytest.raises(ChildError) as killed:
        ask(server, signal=int(signal.SIGSEGV))
    assert (killed.value.failure, killed.value.signal_name) == ("Killed", "SIGSEGV")
    assert ask(server)["pid"]


def test_what_takes_too_long_is_killed_with_what_it_started(server: ForkServer, tmp_path: Path) -> None:
    before = ask(server)["server"]
    with pytest.raises(ChildError, match="longer than 1 s") as error:
        ask(server, 1, sleep=str(tmp_path / "pid"))
    assert error.value.failure == "Timeout"
    assert is_gone(int((tmp_path / "pid").read_text()))
    assert ask(server)["server"] == before


def test_a_server_that_was_killed_is_named_and_the_next_question_has_another(
    server: ForkServer, tmp_path: Path
) -> None:
    before = ask(server)["server"]
    assert isinstance(before, int)

    def kill() -> None:
        deadline = time.monotonic() + 20
        while not (tmp_path / "pid").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(before, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    with pytest.raises(ChildError) as error:
        ask(server, sleep=str(tmp_path / "pid"))
    thread.join()
    assert (error.value.failure, error.value.signal_name) == ("Killed", "SIGKILL")
    assert is_gone(int((tmp_path / "pid").read_text()))
    assert ask(server)["server"] != before


def test_an_interrupted_question_leaves_nothing_behind(
    server: ForkServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ask(server)["server"]
    assert isinstance(before, int)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    old = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 1.0)
    try:
        with pytest.raises(KeyboardInterrupt):
            ask(server, sleep=str(tmp_path / "pid"))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert is_gone(before)
    if (tmp_path / "pid").exists():
        assert is_gone(int((tmp_path / "pid").read_text() or before))
    assert ask(server)["server"] != before


def test_a_module_that_cannot_be_imported_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken.py").write_text("raise RuntimeError('not today')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with ForkServer("broken") as server, pytest.raises(ChildError) as error:
        server.ask(b"{}", 30)
    assert error.value.failure == "Crashed" and "not today" in error.value.last_words


def test_a_server_with_threads_refuses_to_fork(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
    (tmp_path / "threaded.py").write_text(threads + _MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    with ForkServer("threaded") as server, pytest.raises(ChildError) as error:
        server.ask(b"{}", 30)
    assert "2 threads" in error.value.last_words


def test_the_server_ends_with_its_owner_and_takes_its_child_along(tmp_path: Path) -> None:
    """The owner is killed: nothing is left to hold memory or a CPU."""
    (tmp_path / "answering.py").write_text(_MODULE)
    owner = os.fork()
    if owner == 0:
        # A fork of the tests' process: it only starts the server, and ends at once.
        try:
            import sys

            sys.path.insert(0, str(tmp_path))
            ForkServer("answering").ask(json.dumps({"sleep": str(tmp_path / "pid")}).encode())
        finally:
            os._exit(1)
    deadline = time.monotonic() + 30
    while not (tmp_path / "pid").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.1)
    child = int((tmp_path / "pid").read_text())
    with contextlib.suppress(ProcessLookupError):
        os.kill(owner, signal.SIGKILL)
    os.waitpid(owner, 0)
    assert is_gone(child)
