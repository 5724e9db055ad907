"""The signals of a program that `hmexp run` has started are its own: each comes once, whoever sends it."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from hmexp.native.spawn import SeenSignal
from hmexp.program.launch import child

SECONDS = 30
#: Counts its signals, and says so; a line of input is answered with the counts, and "end" with the end.
COUNTER = """
import json, os, select, signal, sys
def say(*words): print(*words, flush=True)
counts = {}
def handle(number, frame):
    name = signal.Signals(number).name
    counts[name] = counts.get(name, 0) + 1
    say("seen", name, counts[name])
for name in sys.argv[1:]:
    signal.signal(signal.Signals[name], handle)
say("ready", os.getpid())
# Not a read that blocks: a signal just before it would be seen only with the next line.
while True:
    if not select.select([0], [], [], 0.05)[0]:
        continue
    for line in os.read(0, 4096).decode().splitlines() or ["end"]:
        if line == "end":
            os._exit(3)
        say("counts", json.dumps(counts))
"""
NAMES = (
    "SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGTSTP", "SIGCONT", "SIGWINCH",
    "SIGRTMIN",
)  # fmt: skip


class Session:
    """`hmexp run` as the first process of a terminal of its own."""

    def __init__(self) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            words = [sys.executable, "-m", "hmexp", "-q", "run", "--record", "none", "--"]
            os.execv(sys.executable, [*words, sys.executable, "-S", "-c", COUNTER, *NAMES])
        settings = termios.tcgetattr(self.fd)
        # Ctrl-C would throw away what the program says of it, too.
        settings[3] = settings[3] & ~termios.ECHO | termios.NOFLSH
        termios.tcsetattr(self.fd, termios.TCSANOW, settings)
        self._text = ""
        self.program = int(self.expect(r"ready (\d+)\r\n"))

    def send(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def expect(self, pattern: str) -> str:
        """The first group of a pattern, once it is there."""
        deadline = time.monotonic() + SECONDS
        while (match := re.search(pattern, self._text)) is None:
            assert time.monotonic() < deadline, f"{pattern!r} is not in {self._text!r}"
            if select.select([self.fd], [], [], 0.5)[0]:
                self._text += os.read(self.fd, 4096).decode()
        self._text = self._text[match.end() :]
        return match[1]

    def counts(self) -> dict[str, int]:
        self.send("counts\n")
        found: dict[str, int] = json.loads(self.expect(r"counts (\{.*\})\r\n"))
        return found

    def wait_for_hmexp(self) -> None:
        """Wait until it has got its signals: two of a number that wait are one, a stop discards SIGCONT."""
        waiting = True
        while waiting:
            status = Path(f"/proc/{self.pid}/status").read_text()
            masks = re.findall(r"(?:SigPnd|ShdPnd):\s+([0-9a-f]+)", status)
            waiting = any(int(mask, 16) for mask in masks)
            time.sleep(0.001)

    def group(self) -> dict[int, str]:
        """Its processes, with their command lines."""
        found = {}
        for folder in Path("/proc").iterdir():
            try:
                if folder.name.isdigit() and os.getpgid(int(folder.name)) == self.pid:
                    found[int(folder.name)] = (folder / "cmdline").read_text()
            except OSError:
                continue
        return found


@pytest.fixture
def session() -> Iterator[Session]:
    found = Session()
    yield found
    for pid in found.group():
        os.kill(pid, signal.SIGKILL)
    os.close(found.fd)
    with suppress(ChildProcessError):
        os.waitpid(found.pid, 0)


def test_a_late_sigcont_does_not_undo_a_stop() -> None:
    """On a busy machine it was passed on after the next Ctrl-Z, and the shell never got its terminal back."""
    late = SeenSignal(int(signal.SIGCONT), by_kernel=False, sender=os.getpid())
    with subprocess.Popen(["sleep", "1000"]) as process:

        def state() -> str:
            return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]

        try:
            os.kill(process.pid, signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
            child._handle(process.pid, late)
            assert state() == "T"
            # The stop was handled, and a SIGCONT that comes after it is for the program.
            assert child._has_stopped(process.pid)
            child._handle(process.pid, late)
            os.waitid(os.P_PID, process.pid, os.WCONTINUED)
            assert state() != "T"
        finally:
            process.kill()


def resize(session: Session) -> None:
    fcntl.ioctl(session.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 99, 0, 0))


def test_each_signal_comes_once(session: Session) -> None:
    expected = dict.fromkeys(NAMES, 0)

    def provoke(name: str, send: Callable[[], object]) -> None:
        expected[name] += 1
        send()
        assert int(session.expect(rf"seen {name} (\d+)\r\n")) == expected[name]
        session.wait_for_hmexp()

    # From the terminal's keys and size: to the group in its foreground, by the kernel.
    for name, key in (("SIGINT", "\x03"), ("SIGQUIT", "\x1c"), ("SIGTSTP", "\x1a")):
        provoke(name, lambda key=key: session.send(key))  # type: ignore[misc]
    provoke("SIGWINCH", lambda: resize(session))
    for name in NAMES:
        number = signal.Signals[name]
        # From a shell to its job: to the group, by a process.
        provoke(name, lambda number=number: os.killpg(os.tcgetpgrp(session.fd), number))  # type: ignore[misc]
        # By kill(1) to hmexp alone, and to the program alone.
        provoke(name, lambda number=number: os.kill(session.pid, number))  # type: ignore[misc]
        provoke(name, lambda number=number: os.kill(session.program, number))  # type: ignore[misc]
    # hmexp handles signals in order: once it has passed on the last, no second one of any is on its way.
    provoke("SIGUSR1", lambda: os.kill(session.pid, signal.SIGUSR1))
    assert session.counts() == expected
    session.send("end\n")
    assert os.waitstatus_to_exitcode(os.waitpid(session.pid, 0)[1]) == 3
    assert session.group() == {}


def test_a_stopped_group_goes_on_once(session: Session) -> None:
    """SIGSTOP and SIGCONT to the group, as by kill(1), and to hmexp alone."""
    for send in (os.killpg, os.kill):
        send(session.pid, signal.SIGSTOP)
        assert os.WIFSTOPPED(os.waitpid(session.pid, os.WUNTRACED)[1])
        send(session.pid, signal.SIGCONT)
        session.expect(r"seen SIGCONT (\d+)\r\n")
        session.wait_for_hmexp()
    os.kill(session.pid, signal.SIGUSR1)
    session.expect(r"seen SIGUSR1 (1)\r\n")
    assert session.counts() == {"SIGCONT": 2, "SIGUSR1": 1}


def test_who_is_in_the_group(session: Session) -> None:
    """What looks for hmexp by its command line must find it alone; what it has started ends with it."""
    others = {pid: line for pid, line in session.group().items() if pid not in (session.pid, session.program)}
    # Beyond its interpreter, which may stand in a folder of any name.
    words = [line.split("\0", 1)[1] for line in others.values()]
    assert len(words) == 1 and "hmexp" not in words[0], others
    os.kill(session.pid, signal.SIGKILL)
    os.waitpid(session.pid, 0)
    deadline = time.monotonic() + SECONDS
    while set(session.group()) - {session.program}:
        assert time.monotonic() < deadline
        time.sleep(0.01)
