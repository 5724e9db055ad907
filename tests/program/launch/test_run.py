"""`hmexp run` on this machine: the program's streams, status, signals and terminal are its own."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shlex
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hmexp.cli.main import main
from hmexp.errors import StartError
from hmexp.pattern import Pattern
from hmexp.program.launch.request import StartOptions
from hmexp.program.launch.ways import start
from hmexp.store.programs import read_program
from hmexp.system.topology import read_topology

NODE = read_topology().usable_nodes[0].id
HMEXP = (sys.executable, "-m", "hmexp")
#: How long anything may take on a busy machine [s].
SECONDS = 120
PROFILE = Path(__file__).parents[2] / "docker_profile.py"
#: Prints what it inherits, and what signals it gets; a line `end` ends it.
TALKER = """
import os, signal, sys
def say(*words): print(*words, flush=True)
for number in (signal.SIGINT, signal.SIGCONT, signal.SIGUSR1):
    signal.signal(number, lambda number, _: say(signal.Signals(number).name))
signal.signal(signal.SIGWINCH, lambda *_: say("columns", os.get_terminal_size(0).columns))
signal.signal(signal.SIGTERM, lambda *_: os._exit(5))
say("ready", os.isatty(0), os.getpid())
for line in sys.stdin:
    say("got", line.strip())
os._exit(9)
"""


def run(*words: str, given: str = "", **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*HMEXP, *words], input=given, capture_output=True, text=True, timeout=SECONDS, **options
    )  # type: ignore[call-overload]


def test_streams_status_policy_and_record(tmp_path: Path) -> None:
    """Nothing of hmexp is in the program's streams; what it inherits shows in /proc; the record has all."""
    script = (
        "cat; grep -E 'THP_enabled|SigIgn' /proc/self/status; grep -m1 heap /proc/self/numa_maps; "
        "echo wrong >&2; echo open; ls /proc/self/fd; exit 7"
    )
    record = tmp_path / "record"
    options = ("--record", str(record), "--pattern", str(NODE))
    words = ("-q", "run", *options, "--", "sh", "-c", script, "--", "a b")
    done = run(*words, given="in\0side")
    assert done.returncode == 7 and done.stderr == "wrong\n"
    assert done.stdout.startswith("in\0sideTHP_enabled:\t0\n")
    ignored = re.search(r"SigIgn:\s+([0-9a-f]+)", done.stdout)
    # Python ignores SIGPIPE for itself alone.
    assert ignored is not None and not int(ignored[1], 16) >> (signal.SIGPIPE - 1) & 1
    assert f" interleave=static:{NODE} heap " in done.stdout
    # The last is the folder that ls reads: nothing of hmexp is open.
    assert done.stdout.partition("\nopen\n")[2].split() == ["0", "1", "2", "3"]
    found = read_program(record)
    assert found.command == ("sh", "-c", script, "--", "a b")
    assert (found.status, found.signal, found.way, found.promise) == (7, None, "policy", "exact")
    assert [each.way for each in found.refused] == ["preload"] or not found.refused
    assert found.usage is not None and found.usage.minor_faults > 0 and found.ended is not None
    assert found.counters_after[f"numa_hit.{NODE}"] > found.counters_before[f"numa_hit.{NODE}"]
    # The folder is taken now: refused before anything starts.
    again = run("run", "--record", str(record), "--", "touch", str(tmp_path / "started"))
    assert again.returncode == 125 and "another program" in again.stderr
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("--pattern", f"{NODE},1023", "--", "touch", "X"), 125, "node 1023 does not exist"),
        (("--via", "node", "--", "touch", "X"), 125, "needs a pattern"),
        (("--via", "everywhere", "--", "touch", "X"), 125, "invalid choice"),
        (("--needs", "64TiB", "--pattern", str(NODE), "--", "touch", "X"), 125, "64TiB"),
        (("--", "systemctl", "restart", "redis"), 125, "no process would be placed"),
        (("--",), 125, "no program"),
        (("--", "no-such-program"), 127, "not found"),
        (("--", "/"), 126, "cannot be executed"),
        (("--record", "none", "-q", "--", "sh", "-c", "kill -KILL $$"), 137, ""),
    ],
)
def test_refusals_have_a_status_of_their_own(
    words: tuple[str, ...],
    status: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(["run", *words])
    out, err = capfd.readouterr()
    assert end.value.code == status and said in err, err
    assert out == "" and "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_container_names_its_filter(tmp_path: Path) -> None:
    """Docker's profile refuses set_mempolicy: no way is left, and each says why."""
    command = (*HMEXP, "run", "--pattern", str(NODE), "--record", "none", "--", "touch", str(tmp_path / "x"))
    done = subprocess.run(
        [sys.executable, PROFILE, "--", *command], capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode == 125 and list(tmp_path.iterdir()) == []
    assert "policy: a seccomp filter refuses set_mempolicy here" in done.stderr
    assert "preload: " in done.stderr and "docker run --security-opt seccomp=FILE" in done.stderr


def talk(*words: str) -> tuple[subprocess.Popen[str], int]:
    process = subprocess.Popen(
        [*HMEXP, "-q", "run", *words, "--", sys.executable, "-c", TALKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    ready = process.stdout.readline().split()
    assert ready[:2] == ["ready", "False"], (ready, process.stderr and process.stderr.read())
    return process, int(ready[2])


def test_signals_to_hmexp_are_passed_on() -> None:
    process, _ = talk("--record", "none")
    assert process.stdout is not None
    for number in (signal.SIGUSR1, signal.SIGINT):
        process.send_signal(number)
        assert process.stdout.readline() == f"{number.name}\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(SECONDS) == 5
    assert process.communicate() == ("", "")


def test_the_program_outlives_a_killed_hmexp(tmp_path: Path) -> None:
    process, pid = talk("--record", str(tmp_path / "record"), "--pattern", str(NODE))
    assert process.stdin is not None and process.stdout is not None
    assert read_program(tmp_path / "record").pid == pid
    process.kill()
    assert process.wait(SECONDS) == -signal.SIGKILL
    print("still there", file=process.stdin, flush=True)
    assert process.stdout.readline() == "got still there\n"
    process.communicate()
    found = read_program(tmp_path / "record")
    assert found.pid == pid and found.status is None and found.ended is None


def test_a_daemon_is_named(tmp_path: Path) -> None:
    """It leaves its parent at once; hmexp does not wait for it, and says so."""
    code = "import os, time\nif os.fork(): os._exit(3)\nos.setsid()\nos.closerange(0, 99)\ntime.sleep(20)"
    done = run("run", "--record", str(tmp_path), "--", sys.executable, "-c", code)
    left = read_program(tmp_path).left_running
    assert done.returncode == 3 and len(left) == 1
    os.kill(left[0], signal.SIGKILL)
    assert f"left running: process {left[0]}." in done.stderr


class Terminal:
    """A shell with job control on a terminal of its own."""

    def __init__(self, folder: Path) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.environ["PS1"] = "$ "
            os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
        self.text = ""

    def send(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def expect(self, pattern: str) -> str:
        """Everything until the pattern comes."""
        deadline = time.monotonic() + SECONDS
        while (match := re.search(pattern, self.text)) is None:
            ready, _, _ = select.select([self.fd], [], [], 0.5)
            if ready:
                self.text += os.read(self.fd, 4096).decode(errors="replace")
            assert time.monotonic() < deadline, f"{pattern!r} is not in {self.text!r}"
        seen, self.text = self.text[: match.end()], self.text[match.end() :]
        return seen

    def close(self) -> None:
        os.close(self.fd)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    found = Terminal(tmp_path)
    yield found
    found.close()


def test_the_terminal_is_the_programs(terminal: Terminal, tmp_path: Path) -> None:
    """Ctrl-C once, a new size, Ctrl-Z and fg, end of input, and the status, as without hmexp."""
    (tmp_path / "talker.py").write_text(TALKER)
    command = shlex.join([*HMEXP, "-q", "run", "--record", "none", "--", sys.executable, "talker.py"])
    terminal.send(f"stty -echo; {command} | cat; echo piped $PIPESTATUS\n")
    terminal.expect(r"ready True")
    terminal.send("through a pipe\n")
    terminal.expect(r"got through a pipe")
    terminal.send("\x04")
    terminal.expect(r"piped 9")
    terminal.send(f"{command}\n")
    terminal.expect(r"ready True")
    terminal.send("\x03")
    terminal.expect("SIGINT")
    terminal.send("one\n")
    assert "SIGINT" not in terminal.expect("got one")
    fcntl.ioctl(terminal.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 99, 0, 0))
    terminal.expect("columns 99")
    for word in ("two", "three"):
        terminal.send("\x1a")
        terminal.expect("Stopped")
        terminal.send(f"echo a shell for {word}\n")
        terminal.expect(f"a shell for {word}")
        terminal.send("fg\n")
        terminal.expect("SIGCONT")
        terminal.send(f"{word}\n")
        terminal.expect(f"got {word}")
    terminal.send("\x04")
    terminal.send("\necho status $?\n")
    terminal.expect("status 9")


def test_a_shell_keeps_its_jobs(terminal: Terminal) -> None:
    """It has a group of its own: it stops a job, suspends itself, and comes back."""
    shell = shlex.join([*HMEXP, "-q", "run", "--record", "none", "--", "bash", "--norc", "-i"])
    terminal.send(f"stty -echo; PS1='inner''> ' {shell}\n")
    terminal.expect("inner> ")
    terminal.send("sh -c 'echo it wor''ks; exec sleep 60'\n")
    terminal.expect("it works")
    terminal.send("\x1a")
    terminal.expect("Stopped +sh")
    # At once, and reaped (without -f `wait` returns at once for a stopped job), or the first exit is refused.
    terminal.send("kill -KILL %1; wait -f %1; suspend\n")
    terminal.expect("Stopped .*bash --norc")
    terminal.send("fg\n")
    terminal.expect("inner> ")
    terminal.send("exit 4\n")
    terminal.expect(r"\$ ")
    terminal.send("echo status $?\n")
    terminal.expect("status 4")


def test_a_program_started_from_python(tmp_path: Path) -> None:
    """The seam for sweeps: looked at on demand, stopped at the end, its record complete."""
    code = "import time; x = bytes(1) * 8 + b'1' * (24 << 20); time.sleep(60)"
    command = [sys.executable, "-c", code]
    options = StartOptions(record=tmp_path, sample_seconds=0)
    with start(command, "policy", Pattern((NODE,)), options) as started:
        deadline = time.monotonic() + SECONDS
        while (seen := started.look()) is None or seen.in_place < (24 << 20) // os.sysconf("SC_PAGESIZE"):
            assert time.monotonic() < deadline
        assert started.poll() is None
        with started.undisturbed():
            assert read_program(tmp_path).placements == started.record.placements
    record = read_program(tmp_path)
    assert (record.status, record.signal) == (143, "SIGTERM")
    assert record.shown_placement is not None and record.shown_placement.misplaced == 0
    assert record.fallen_back is not None and record.fallen_back.text is None
    with pytest.raises(StartError, match="no way 'everywhere'"):
        start(command, "everywhere", None, options)
