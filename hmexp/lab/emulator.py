"""One QEMU process: started so that it cannot outlive us, watched, and ended on every way out."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from hmexp.lab.errors import LabNeedError
from hmexp.lab.tools import Tools

POLL_SECONDS = 0.03
STOP_SECONDS = 3.0


class Emulator:
    """A running QEMU.

    Use it as a context manager: leaving it, by an exception too, ends the process.

    Parameters
    ----------
    tools : Tools
    arguments : sequence of str
        QEMU's arguments.
    directory : Path
        The run's own directory; QEMU's messages go to ``qemu.log`` there.
    interactive : bool
        Give the terminal to QEMU.
    """

    def __init__(
        self, tools: Tools, arguments: Sequence[str], directory: Path, *, interactive: bool = False
    ) -> None:
        self._log = directory / "qemu.log"
        # The kernel kills it when this thread ends in whatever way, SIGKILL included.
        command = ["setpriv", "--pdeathsig", "KILL", "--", *tools.qemu, *arguments]
        with self._log.open("wb") as log:
            try:
                self._process = subprocess.Popen(
                    command,
                    stdin=None if interactive else subprocess.DEVNULL,
                    stdout=None if interactive else log,
                    stderr=log,
                    env=tools.environment,
                    # Ctrl-C is for us: we end QEMU in order. A terminal stays with its session.
                    start_new_session=not interactive,
                )
            except OSError as error:
                raise LabNeedError(
                    f"the emulator cannot be started: {error}", "install qemu-system-x86"
                ) from error
        self.started = time.monotonic()

    def __enter__(self) -> Emulator:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the process, and wait until it is gone."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    @property
    def elapsed_seconds(self) -> float:
        """Time since the start [s]."""
        return time.monotonic() - self.started

    @property
    def messages(self) -> str:
        """What QEMU itself had to say."""
        return self._log.read_text(encoding="utf-8", errors="replace").strip()

    @property
    def status(self) -> int | None:
        """QEMU's exit status; None while it runs."""
        return self._process.poll()

    def watch(self, tick: Callable[[], bool], timeout_seconds: float | None) -> bool:
        """Wait for the end, calling `tick` again and again.

        Returns
        -------
        bool
            False if the time ran out first. `tick` ends the wait early by returning True.
        """
        while self._process.poll() is None:
            if tick():
                return True
            if timeout_seconds is not None and self.elapsed_seconds > timeout_seconds:
                return False
            time.sleep(POLL_SECONDS)
        return True


class Follower:
    """Copies what is added to a file of the guest to a stream, as it comes.

    Parameters
    ----------
    path : Path
        Need not be there yet.
    sink : binary stream, optional
        Where to copy.
    """

    def __init__(self, path: Path, sink: BinaryIO | None) -> None:
        self._path, self._sink, self._position = path, sink, 0

    def pump(self) -> None:
        """Copy what is new."""
        if self._sink is None:
            return
        try:
            if self._path.stat().st_size <= self._position:
                return
            with self._path.open("rb") as handle:
                handle.seek(self._position)
                while chunk := handle.read(1 << 20):
                    self._position += len(chunk)
                    self._sink.write(chunk)
            self._sink.flush()
        except FileNotFoundError:
            return
