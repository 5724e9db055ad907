"""A process beside us that notes the signals it gets: those that were sent to our whole process group.

Nothing in a signal says whether it was sent to a process or to its group. But what reaches a process of the
group that nobody knows of was sent to all of them, and so to the program, too.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import Final

from hmexp.closing import Closing
from hmexp.native.spawn import SeenSignal

#: It ends with us, for its input does. Signals of the kernel (a key on the terminal) say so themselves.
_PROGRAM: Final = """\
import _thread, os, signal
def end():
    os.read(0, 1)
    os._exit(0)
_thread.start_new_thread(end, ())
asker, noted = os.getppid(), []
os.write(1, b"\\n")
while True:
    got = signal.sigwaitinfo(signal.valid_signals())
    if got.si_signo == signal.SIGRTMAX and got.si_pid == asker:
        os.write(1, (" ".join(noted) + "\\n").encode())
        noted.clear()
    elif got.si_code <= 0:
        noted[:-64] = []
        noted.append(f"{got.si_signo}:{got.si_pid}")
"""
#: A signal to a group reaches its processes one after the other, within this [s].
_GROUP_SECONDS: Final = 0.02
#: How long it may take to answer: a signal that comes twice is better than one that does not come [s].
_PATIENCE_SECONDS: Final = 5.0
#: How long ours of a signal that it has noted may take to be seen here [s].
_MEMORY_SECONDS: Final = 1.0


class Bystander(Closing):
    """Tells signals to our process group from those to this process alone."""

    def __init__(self) -> None:
        #: Number and sender, and until when each counts.
        self._noted: list[tuple[tuple[int, int], float]] = []
        self._process: subprocess.Popen[bytes] | None = None
        former = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            # What is blocked stays so: none of them ends it.
            self._process = subprocess.Popen(
                [sys.executable, "-ISE", "-c", _PROGRAM],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/",
            )  # fmt: skip
        except OSError:
            pass  # no more processes: then everything counts as sent to us alone
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, former)
        if self._process is not None:
            # Of a key and of a process, one signal would be left if both waited for it.
            self._read(self._process)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            with self._process:
                self._process = None

    def sent_to_us(self, signals: list[SeenSignal]) -> list[SeenSignal]:
        """Those of some signals that were sent to us alone, and not to the whole group.

        Parameters
        ----------
        signals : list of SeenSignal
            All that processes have sent since the last call.
        """
        if not signals or self._process is None:
            return signals
        time.sleep(_GROUP_SECONDS)
        now = time.monotonic()
        noted = [(key, now + _MEMORY_SECONDS) for key in self._ask(self._process)]
        self._noted = [each for each in self._noted if each[1] > now] + noted
        return [each for each in signals if not self._take(each)]

    def _take(self, seen: SeenSignal) -> bool:
        """Strike out one of those noted, if there is any like this."""
        for index, (key, _) in enumerate(self._noted):
            if key == (seen.number, seen.sender):
                del self._noted[index]
                return True
        return False

    def _ask(self, process: subprocess.Popen[bytes]) -> list[tuple[int, int]]:
        """The number and the sender of each signal that it has got since it was asked last."""
        with suppress(OSError):
            process.send_signal(signal.SIGRTMAX)
        pairs = [word.split(":") for word in self._read(process).split()]
        return [(int(number), int(sender)) for number, sender in pairs]

    def _read(self, process: subprocess.Popen[bytes]) -> str:
        """A line of it, or as much as comes in time."""
        assert process.stdout is not None
        answer = b""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not answer.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
                break
            part = os.read(process.stdout.fileno(), 4096)
            if not part:
                break
            answer += part
        return answer.decode()
