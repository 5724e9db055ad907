"""A child answers one question, and whatever else becomes of it has a name."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hmexp.process import Child, ChildError, describe_end, end_child, signal_name

HEAD = """\
import os, signal, subprocess, sys, time
from pathlib import Path
from hmexp.process import answer_once
"""


def child(folder: Path, body: str, **options: object) -> Child:
    """A child whose `answer` has this body."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    text = f"{HEAD}def answer(question):\n{lines}\nif __name__ == '__main__':\n    answer_once(answer)\n"
    (folder / "asked_child.py").write_text(text)
    return Child("asked_child", **options)  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def gone(pid: int) -> bool:
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


@pytest.mark.parametrize("site", [True, False])
def test_it_answers_and_stray_prints_do_not_damage_the_answer(folder: Path, site: bool) -> None:
    body = "print('stray')\nos.write(1, b'strayer')\nreturn question[::-1]"
    assert child(folder, body, site=site).ask(b"\x00abc") == b"cba\x00"


def test_one_that_falls_over_says_with_what_status_and_its_last_words(folder: Path) -> None:
    with pytest.raises(ChildError, match="ended with status 3") as caught:
        child(folder, "print('no luck', file=sys.stderr)\nsys.exit(3)").ask(b"")
    assert (caught.value.failure, caught.value.signal_name) == ("Crashed", None)
    assert caught.value.last_words == "no luck"


def test_a_bug_is_its_last_words(folder: Path) -> None:
    with pytest.raises(ChildError, match="ended with status 1") as caught:
        child(folder, "raise RuntimeError('a bug')").ask(b"")
    assert caught.value.last_words.endswith("RuntimeError: a bug")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_the_signal_that_ended_it_is_named(folder: Path, number: signal.Signals) -> None:
    with pytest.raises(ChildError, match=f"was killed by {number.name}") as caught:
        child(folder, f"os.kill(os.getpid(), {int(number)})").ask(b"")
    assert (caught.value.failure, caught.value.signal_name) == ("Killed", number.name)


def test_one_that_takes_too_long_is_ended_with_what_it_has_started(folder: Path) -> None:
    note = folder / "pid"
    body = f"started = subprocess.Popen(['sleep', '600'])\nPath({str(note)!r}).write_text(str(started.pid))\n"
    with pytest.raises(ChildError, match="took longer than 3 s") as caught:
        child(folder, body + "time.sleep(600)", timeout_seconds=3.0).ask(b"")
    assert caught.value.failure == "Timeout"
    deadline = time.monotonic() + 20
    while not gone(int(note.read_text())):
        assert time.monotonic() < deadline, "what it had started lives on"
        time.sleep(0.01)


@pytest.mark.parametrize("patience", [0.0, 60.0])
def test_interrupted_it_may_end_in_order_if_it_is_given_the_time(folder: Path, patience: float) -> None:
    begun, note = folder / "begun", folder / "note"
    body = (
        f"Path({str(begun)!r}).write_text(str(os.getpid()))\n"
        "try:\n    time.sleep(600)\n"
        f"except KeyboardInterrupt:\n    Path({str(note)!r}).write_text('in order')\nreturn b''"
    )

    def interrupt() -> None:
        deadline = time.monotonic() + 60
        while not (begun.exists() and begun.read_text()) and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        child(folder, body, patience_seconds=patience).ask(b"")
    thread.join()
    assert note.exists() == bool(patience)
    assert gone(int(begun.read_text()))


def test_the_environment_is_left_alone_for_the_programs_of_others(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(folder))
    body = "return repr([os.environ.get(n) for n in ('PYTHONPATH', 'OPENBLAS_NUM_THREADS', 'X')]).encode()"
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    asked = child(folder, body, own_path=False, environment={"X": "1"})
    assert asked.ask(b"") == repr([str(folder), None, "1"]).encode()


def test_an_end_is_said_in_words() -> None:
    assert describe_end(2) == "ended with status 2"
    assert describe_end(-15) == "was killed by SIGTERM"
    assert describe_end(-9).startswith("was killed by SIGKILL (the kernel does so when memory runs out")
    assert signal_name(200) == "signal 200"


@pytest.mark.parametrize("known", [True, False])
def test_a_child_that_is_gone_already_is_not_killed_again(known: bool) -> None:
    """Ctrl-C can come between the end of a child and the moment when its parent knows of it."""
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", ""], start_new_session=True, stdout=subprocess.PIPE
    )
    if known:
        process.wait()
    else:
        os.waitpid(process.pid, 0)
        assert process.returncode is None
    end_child(process)
    assert process.returncode == 0
