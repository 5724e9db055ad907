"""A process beside a launch that ends what the launch has started, should the launch be killed.

It reads a line for each process that is started, and ``done`` when the launch has cleaned up by itself. At
the end of its input without that, the launch was killed: it kills those processes and removes their folder.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from hmexp.program.launch.remains import Remains, Running, read_running

_DONE: Final = "done"


class Warden:
    """Looks after a launch; a context manager.

    Parameters
    ----------
    folder : Path
        The folder of the launch; removed at the end.
    """

    def __init__(self, folder: Path) -> None:
        self.mark = secrets.token_hex(8)
        self._folder = folder
        own = os.getsid(0)
        session = own if own == os.getpid() else None
        self._remains = Remains(self.mark, session)
        self._known: list[Running] = []
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, self.mark, str(session or 0), str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True,
            # Whoever kills the group of the launch must not kill its warden.
            start_new_session=True,
        )  # fmt: skip

    def watch(self, pid: int) -> None:
        """Have a process of the launch killed with it."""
        found = read_running(pid)
        if found is not None:
            self._known.append(found)
            self._write(f"{found.pid} {found.parent} {found.session} {found.started}")

    def clean(self) -> int:
        """Kill what is left of the launch, and return how many processes that were."""
        return self._remains.kill(self._known)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clean()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._write(_DONE)
        self._process.communicate()

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            # Somebody has killed it: the launch goes without.
            return


def main(arguments: list[str]) -> None:
    """Be the warden of a launch: its mark, its session or 0, and its folder."""
    mark, session, folder = arguments
    known: list[Running] = []
    for line in sys.stdin:
        if line.strip() == _DONE:
            return
        known.append(Running(*map(int, line.split())))
    Remains(mark, int(session) or None).kill(known)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
