"""What commands say beside their results: through `logging`, on standard error."""

from __future__ import annotations

import argparse
import logging
import sys
from typing import Final

#: Everything that hmexp logs is below this logger.
ROOT: Final = "hmexp"
_LEVELS: Final = (logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG)
_USUAL: Final = 2


class _Formatter(logging.Formatter):
    """A note stands as it is; a warning and an error begin with hmexp; what -v adds names its logger."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if record.levelno >= logging.ERROR:
            return f"hmexp: {text}"
        if record.levelno >= logging.WARNING:
            return f"hmexp: warning: {text}"
        return text if record.levelno >= logging.INFO else f"{record.name}: {text}"


class _BesideBar(logging.StreamHandler[object]):  # type: ignore[type-var] # the stream is looked up late
    """Writes to standard error, above a bar that is being drawn there."""

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        tqdm = sys.modules.get("tqdm")
        try:
            if tqdm is not None:
                tqdm.tqdm.write(text, file=sys.stderr)
            else:
                sys.stderr.write(f"{text}\n")
                sys.stderr.flush()
        except OSError:
            self.handleError(record)


def set_up(options: argparse.Namespace) -> None:
    """Let the loggers of hmexp speak as loudly as -v and -q say: notes usually, warnings with -q."""
    wanted = _USUAL + getattr(options, "verbose", 0) - getattr(options, "quiet", 0)
    logger = logging.getLogger(ROOT)
    logger.setLevel(_LEVELS[max(0, min(wanted, len(_LEVELS) - 1))])
    logger.propagate = False
    handler = _BesideBar()
    handler.setFormatter(_Formatter())
    logger.handlers = [handler]


def is_quiet() -> bool:
    """Whether -q was given: no progress is shown then."""
    return not logging.getLogger(ROOT).isEnabledFor(logging.INFO)
