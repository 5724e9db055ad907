"""How far a sweep is, on a terminal."""

from __future__ import annotations

import os
import sys
from typing import Any, TextIO

from tqdm import tqdm

from hmexp.experiment.progress import Progress

#: Terminal that a notebook run by `make sweep` shows its progress on; papermill shows none of it.
TERMINAL = "HMEXP_TERMINAL"


class TerminalBar:
    """A bar with the time left, redrawn in one line."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._bar: Any = None

    def show(self, progress: Progress) -> None:
        """See `ProgressDisplay`."""
        if self._bar is None:
            self._bar = tqdm(
                total=progress.total,
                initial=progress.done,
                unit="launch",
                file=self._stream,
                dynamic_ncols=True,
            )
        self._bar.set_postfix_str(progress.current, refresh=False)
        self._bar.update(progress.done - self._bar.n)
        self._bar.refresh()
        if not progress.current:
            self._bar.close()


def terminal_of_notebook() -> TextIO | None:
    """The terminal named in the environment, if it can be written."""
    name = os.environ.get(TERMINAL)
    if not name:
        return None
    try:
        return open(name, "w", encoding="utf-8")  # noqa: PTH123 - open for as long as the kernel lives
    except OSError:
        return None
