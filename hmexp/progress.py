"""How far a sweep is: in a notebook, on a terminal, and in a log.

Each place needs a way of its own. A bar that is redrawn (tqdm) is right on a terminal only; a notebook
replaces a display in place; papermill's log would show the first state of that for ever, so it gets lines.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TextIO

from tqdm import tqdm

from hmexp.experiment.progress import Progress, ProgressDisplay
from hmexp.markup import bar, card, element
from hmexp.report.page.inline_html import Html

if TYPE_CHECKING:
    from IPython.display import DisplayHandle

#: Terminal that a notebook run by `make sweep` shows its progress on; papermill shows none of it.
TERMINAL = "HMEXP_TERMINAL"
#: Shortest and longest time between two lines of a log [s].
_SOON: Final = 10.0
_LATE: Final = 300.0
#: Part of the time so far after which a log's next line is due.
_PACE: Final = 0.05
#: Width of a bar where the terminal does not tell its own.
_COLUMNS: Final = 80
#: Of what is measured now: a pattern may have a million entries.
_MOST_LETTERS: Final = 80


class TerminalBar:
    """A bar with the time left, redrawn in one line."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._bar: Any = None

    def show(self, progress: Progress) -> None:
        """See `ProgressDisplay`."""
        if self._bar is None:
            # Some pseudo-terminals say that they have no columns at all; tqdm would draw nothing there.
            known = _columns(self._stream) > 0
            self._bar = tqdm(
                total=progress.total,
                initial=progress.done,
                unit="launch",
                file=self._stream,
                dynamic_ncols=known,
                ncols=None if known else _COLUMNS,
            )
        self._bar.total = progress.total
        self._bar.set_postfix_str(progress.current, refresh=False)
        self._bar.update(progress.done - self._bar.n)
        self._bar.refresh()
        if not progress.current:
            self._bar.close()


class LogLines:
    """A line now and then, for a log: the first at once, then seldomer the longer it takes, and the last.

    Parameters
    ----------
    stream : file, optional
        Where to; standard output if not given, which papermill logs and keeps.
    clock : callable
        Seconds of a clock that only goes forward.
    """

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._started: float | None = None
        self._due = 0.0

    def show(self, progress: Progress) -> None:
        """See `ProgressDisplay`."""
        now = self._clock()
        self._started = now if self._started is None else self._started
        if progress.current and now < self._due:
            return
        self._due = now + min(_LATE, max(_SOON, _PACE * (now - self._started)))
        # Looked up late: a notebook's standard output is another one in each kernel.
        stream = self._stream or sys.stdout
        stream.write(f"{progress_text(progress)}\n")
        stream.flush()


class NotebookBar:
    """A bar that is replaced in place, in the notebook and in what papermill saves of it."""

    def __init__(self) -> None:
        self._handle: DisplayHandle | None = None

    def show(self, progress: Progress) -> None:
        """See `ProgressDisplay`."""
        from IPython.display import display  # no command has a use for it

        shown = Html(progress_html(progress), progress_text(progress))
        if self._handle is None:
            self._handle = display(shown, display_id=True)
        else:
            self._handle.update(shown)


class Displays:
    """Several displays at once."""

    def __init__(self, displays: Sequence[ProgressDisplay]) -> None:
        self.displays = tuple(displays)

    def show(self, progress: Progress) -> None:
        """See `ProgressDisplay`."""
        for one in self.displays:
            one.show(progress)


def stream_display(stream: TextIO | None = None) -> ProgressDisplay:
    """What a command shows: a bar on a terminal, lines where the stream is a file or a pipe."""
    chosen = stream or sys.stderr
    return TerminalBar(chosen) if chosen.isatty() else LogLines(chosen)


def notebook_display() -> ProgressDisplay:
    """What a notebook shows: its bar, and what there is for whoever does not see the notebook.

    Under `make sweep` that is the terminal; under papermill alone it is lines, which ``--log-output`` shows.
    """
    displays: list[ProgressDisplay] = [NotebookBar()]
    terminal = terminal_of_notebook()
    if terminal is not None:
        displays.append(TerminalBar(terminal))
    elif not is_attended():
        displays.append(LogLines())
    return Displays(displays)


def is_attended(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this kernel was started by something that a person sits in front of.

    A Jupyter server names the session in the kernel's environment; papermill and nbconvert do not.
    """
    return any(name == "JPY_SESSION_NAME" or name.startswith(("VSCODE_", "PYCHARM_")) for name in environment)


def progress_text(progress: Progress) -> str:
    """How far it is, in words."""
    words = [f"{progress.done} of {progress.total} launches"]
    if progress.current and progress.seconds_left is not None:
        words.append(f"about {format_seconds(progress.seconds_left)} left")
    if progress.failed:
        words.append(f"{progress.failed} failed")
    if progress.current:
        words.append(progress.current[:_MOST_LETTERS] + "…" * (len(progress.current) > _MOST_LETTERS))
    return " · ".join(words)


def progress_html(progress: Progress) -> str:
    """The bar as HTML."""
    share = progress.done / max(progress.total, 1)
    return card(bar(share, width_em=44), element("div", element("small", progress_text(progress))))


def format_seconds(seconds: float) -> str:
    """A time left, no more exact than an estimate is."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def _columns(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        return 0


def terminal_of_notebook() -> TextIO | None:
    """The terminal named in the environment, if it can be written."""
    name = os.environ.get(TERMINAL)
    if not name:
        return None
    try:
        return open(name, "w", encoding="utf-8")  # noqa: PTH123 - open for as long as the kernel lives
    except OSError:
        return None
